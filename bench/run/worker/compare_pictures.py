"""Computes a picture in two ways and compares them, for `bench quality`.

The reference encodes the image, in float32 and untiled. To compare decodes, both decode these latents. To compare
encodes, the reference decodes what each made, because an error of latents is not one that can be seen. Latents that go
to or come from another VAE are scaled as a pipeline scales them. TF32 is off, so that float32 is what it says.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from bench import store
from bench.analysis.quality import picture_error, seams
from bench.device.base import Held
from bench.record import Case, OutOfMemory, PictureComparison, PictureFigures, SeamFigures, digest
from bench.run import input_picture, outcome
from bench.run.messages import ComparePictures, PicturesCompared
from bench.run.worker import perceptual
from bench.workloads import models
from bench.workloads.vae_classes.module import VaeOnDevice

_Picture = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a reference makes of an image.

    Attributes:
        key: the model.
        vae: it, in float32.
        image: (1, 3, height, width) in [-1, 1], placed.
        latents: unscaled.
        picture: what it decodes from them.
    """

    key: str
    vae: VaeOnDevice
    image: torch.Tensor
    latents: torch.Tensor
    picture: _Picture


def compare(request: ComparePictures, held: Held) -> PicturesCompared:
    """Compare on this process's device. A failure becomes an answer with its reason."""
    comparison = request.comparison
    axes = comparison.reference.axes
    pixels = input_picture.of(None if request.image is None else Path(request.image), axes["width"], axes["height"])
    before, part = held.state(), "the reference"
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            reference = _reference(comparison.reference, pixels.tobytes(), held.torch_device)
            part = "the picture"
            picture = _changed(comparison.changed, reference, held.torch_device)
        return PicturesCompared(comparison=_measured(comparison, reference.picture, picture, Path(request.folder)))
    except (RuntimeError, MemoryError, OSError, ValueError) as error:  # torch.OutOfMemoryError is a RuntimeError
        now = held.state()
        failure = outcome.of_exception(error, "run", replace(now, refusals=now.refusals - before.refusals))
        is_full = isinstance(failure, OutOfMemory)
        reason = f"{part} ran out of memory" if is_full else f"{part} failed: {outcome.brief(error)}"
        update = {"outcome": "out_of_memory" if is_full else "failed", "reason": reason}
        return PicturesCompared(comparison=comparison.model_copy(update=update))
    finally:
        held.meter.empty()


@lru_cache(maxsize=1)
def _reference(case: Case, pixels: bytes, device: torch.device) -> _Reference:
    """The reference of the image (height, width, 3) in these bytes, kept for the next comparison with it."""
    vae = VaeOnDevice(case, device)
    height, width = case.axes["height"], case.axes["width"]
    values = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(1, height, width, 3).permute(0, 3, 1, 2)
    image = vae.place(values.float() / 127.5 - 1)
    latents = vae.encode(image)
    return _Reference(case.model, vae, image, latents, _picture(vae.decode(vae.place(latents))))


def _changed(case: Case, reference: _Reference, device: torch.device) -> _Picture:
    """The picture of the case that is compared."""
    vae = VaeOnDevice(case, device)
    is_other = case.model != reference.key
    if case.operation == "decode":
        latents = reference.latents
        if is_other:
            latents = vae.unscaled(reference.vae.scaled(latents))
        return _picture(vae.decode(vae.place(latents)))
    latents = vae.encode(vae.place(reference.image)).float()
    if is_other:
        latents = reference.vae.unscaled(vae.scaled(latents))
    return _picture(reference.vae.decode(reference.vae.place(latents)))


def _picture(images: torch.Tensor) -> _Picture:
    """The first of (batch, 3, height, width) in [-1, 1] as (height, width, 3) from 0 to 1, as pipelines make it."""
    picture: _Picture = (images[0].float() / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    return picture


def _measured(comparison: PictureComparison, reference: _Picture, picture: _Picture, folder: Path) -> PictureComparison:
    """The comparison with its figures, or with the reason why there are none."""
    for name, values in (("reference", reference), ("picture", picture)):
        if not np.isfinite(values).all():
            share = 1 - float(np.isfinite(values).mean())
            reason = f"{share:.0%} of the {name}'s values are not finite: its precision overflows"
            return comparison.model_copy(update={"outcome": "not_finite", "reason": reason})
    error = picture_error.picture_error(reference, picture)
    factor = picture_error.amplification(error)
    no_lpips = perceptual.refusal()
    figures = PictureFigures(
        psnr_db=None if error.is_identical else error.psnr_db,
        ssim=error.ssim,
        mean=error.mean,
        largest=error.largest,
        lpips=None if no_lpips else perceptual.lpips(reference, picture),
        no_lpips=no_lpips,
        seams=_seams(comparison.changed, reference, picture),
        difference=_save_difference(comparison, picture_error.difference_picture(reference, picture, factor), folder),
        amplification=factor,
    )
    return comparison.model_copy(update={"outcome": "compared", "figures": figures})


def _seams(case: Case, reference: _Picture, picture: _Picture) -> SeamFigures | None:
    tile = models.workload(case.model).tile_used(case)
    error = seams.seam_error(reference, picture, tile) if tile else None
    return None if error is None else SeamFigures(near=error.near, elsewhere=error.elsewhere, share=error.share)


def _save_difference(comparison: PictureComparison, levels: npt.NDArray[np.uint8], folder: Path) -> str:
    """Write the picture of the differences, and return the file's name: the same for the same comparison."""
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    name = f"quality-{digest(comparison.key)}.png"
    store.write_whole(folder / name, buffer.getvalue())
    return name
