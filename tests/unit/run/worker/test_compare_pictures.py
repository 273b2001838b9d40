"""Pictures computed in two ways by real (tiny) models on the CPU, and held against each other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import a_case
from PIL import Image

from bench.record import Case, PictureComparison, Tile
from bench.run import input_picture
from bench.run.messages import ComparePictures

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from bench.device import choose  # noqa: E402
from bench.run.worker import compare_pictures, perceptual  # noqa: E402
from bench.workloads.vae_classes.module import VaeOnDevice  # noqa: E402


@pytest.fixture(scope="module")
def held() -> Any:
    return choose.take(torch.device("cpu"), None, lambda device: None)


def compared(
    held: Any, folder: Path, changed: Case, reference: Case | None = None, image: Path | None = None
) -> PictureComparison:
    reference = reference or a_case(operation=changed.operation, size=changed.axes["width"])
    comparison = PictureComparison(changed=changed, reference=reference, image="synthetic", image_digest="0" * 16)
    request = ComparePictures(comparison=comparison, image=None if image is None else str(image), folder=str(folder))
    return compare_pictures.compare(request, held).comparison


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_the_same_case_makes_an_identical_picture(operation: str, held: Any, tmp_path: Path) -> None:
    done = compared(held, tmp_path, a_case(operation=operation))
    assert done.outcome == "compared"
    assert done.figures is not None
    assert done.figures.is_identical
    assert (done.figures.ssim, done.figures.largest, done.figures.seams) == (1.0, 0.0, None)


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_tiles_change_the_picture_which_is_drawn_amplified(operation: str, held: Any, tmp_path: Path) -> None:
    done = compared(held, tmp_path, a_case(operation=operation, size=96, tiling=Tile(tile=64, overlap=16)))
    figures = done.figures
    assert figures is not None
    assert figures.psnr_db is not None
    assert figures.seams is not None
    assert figures.difference is not None
    # the figures agree with each other: the mean square is that of seams and of the rest
    squares = figures.seams.share * figures.seams.near**2 + (1 - figures.seams.share) * figures.seams.elsewhere**2
    assert figures.psnr_db == pytest.approx(-10 * math.log10(squares), abs=1e-3)
    drawn = np.asarray(Image.open(tmp_path / figures.difference))
    assert drawn.shape == (96, 96, 3)
    assert drawn.max() == pytest.approx(figures.largest * figures.amplification * 255, abs=1)


def test_a_lower_precision_is_close_but_not_the_same(held: Any, tmp_path: Path) -> None:
    figures = compared(held, tmp_path, a_case(operation="decode", dtype="bfloat16")).figures
    assert figures is not None
    assert figures.psnr_db is not None
    assert figures.psnr_db > 30
    assert figures.ssim is not None
    assert 0.9 < figures.ssim < 1


def test_the_picture_is_the_model_s_decode_of_what_it_encoded(held: Any) -> None:
    pixels = input_picture.make(64, 64)
    case = a_case(operation="decode")
    reference = compare_pictures._reference(case, pixels.tobytes(), held.torch_device)
    vae = VaeOnDevice(case, torch.device("cpu"))
    with torch.inference_mode():
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        want = (vae.decode(vae.encode(image)) / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0)
    assert np.allclose(reference.picture, want.numpy(), atol=1e-5)


@pytest.mark.parametrize(("operation", "factor"), [("decode", 0.5 / 2.0), ("encode", 2.0 / 0.5)])
def test_latents_of_another_vae_are_scaled_as_pipelines_do(
    operation: str, factor: float, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given another model with the same weights, whose latents pipelines multiply by 2, and the reference's by 0.5
    factors = {"tiny": 0.5, "other": 2.0}

    def vae_on_device(case: Case, device: Any) -> VaeOnDevice:
        vae = VaeOnDevice(case.model_copy(update={"model": "tiny"}), device)
        vae.module.register_to_config(scaling_factor=factors[case.model])
        return vae

    monkeypatch.setattr(compare_pictures, "VaeOnDevice", vae_on_device)
    compare_pictures._reference.cache_clear()
    case = a_case(operation=operation)
    with torch.inference_mode():
        reference = compare_pictures._reference(case, input_picture.make(64, 64).tobytes(), held.torch_device)
        compare_pictures._reference.cache_clear()
        # When it decodes the reference's latents, or the reference decodes its own
        picture = compare_pictures._changed(case.model_copy(update={"model": "other"}), reference, held.torch_device)
        # Then they were multiplied by one factor and divided by the other
        want = compare_pictures._picture(reference.vae.decode(reference.latents * factor))
    assert np.allclose(picture, want, atol=1e-5)
    assert not np.allclose(picture, reference.picture, atol=1e-3)


def test_values_that_are_not_finite_are_a_result(held: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = np.full((64, 64, 3), math.nan, dtype=np.float32)
    monkeypatch.setattr(compare_pictures, "_changed", lambda *_: broken)
    done = compared(held, tmp_path, a_case(operation="decode", dtype="float16"))
    assert (done.outcome, done.figures) == ("not_finite", None)
    assert "100%" in (done.reason or "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(torch.OutOfMemoryError("out of memory"), "out_of_memory"), (RuntimeError("no such kernel"), "failed")],
)
def test_what_a_model_raises_becomes_an_outcome(
    error: Exception, outcome: str, held: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(compare_pictures, "_changed", fail)
    done = compared(held, tmp_path, a_case(operation="decode"))
    assert (done.outcome, done.figures) == (outcome, None)
    assert (done.reason or "").startswith("the picture")


def test_without_its_packages_or_weights_lpips_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual.util, "find_spec", lambda name: None)
    assert "torchmetrics" in (perceptual.refusal() or "")
    monkeypatch.setattr(perceptual.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert "alexnet" in (perceptual.refusal() or "")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual._WEIGHTS).touch()
    assert perceptual.refusal() is None
