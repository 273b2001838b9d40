"""Counts the floating-point operations of a video VAE's call, on meta tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.record import Axes, Case
from bench.workloads.base import Shape
from bench.workloads.vae_classes import module as vae
from bench.workloads.vae_classes import zoo
from bench.workloads.vae_classes.video import VideoVae


def of_call(case: Case, passes: Sequence[Shape]) -> int | None:
    """The floating-point operations of one call that made these passes; a multiply-add is two.

    Tiles do not depend on each other, so each costs as much as an untiled video of its size. So does a chunk of frames,
    unless it gets what the chunk before left in caches: then a tile's chunks are counted together. None if the passes
    are not those that the class makes.
    """
    spec = zoo.get(case.model)
    vae_class = spec.vae_class
    if not isinstance(vae_class, VideoVae) or (chunks := vae_class.chunks_that_ran(spec, case, passes)) is None:
        return None
    unit = vae_class.input_of_pass(spec, case)[1] if case.operation == "encode" else 1
    pieces = Counter(shape if vae_class.time_first else (*shape[:2], sum(chunks), *shape[3:]) for shape in passes)
    total = 0
    for (batch, _, length, height, width), count in pieces.items():
        calls = count if vae_class.time_first else count // len(chunks)
        total += calls * batch * _counted(case.model, case.operation, length, height * unit, width * unit)
    return total


@cache
def _counted(model: str, operation: str, length: int, height: int, width: int) -> int:
    """The floating-point operations of an untiled call, by torch's own counter.

    `length` counts frames (encode) or latent frames, and height and width are image pixels; of latents, latent pixels.
    """
    spec, module = zoo.get(model), vae.on_meta(model)
    variant = "whole-clip" if "whole-clip" in spec.vae_class.variants else "default"
    axes = Axes({"width": width, "height": height, "frames": length, "batch": 1})
    spec.vae_class.set_up(
        module, spec, Case(model=model, operation=operation, axes=axes, dtype=spec.dtype, variant=variant)
    )
    channels = spec.image_channels if operation == "encode" else spec.latent_channels
    values = torch.empty(1, channels, length, height, width, dtype=module.dtype, device="meta")
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        (spec.vae_class.encode if operation == "encode" else spec.vae_class.decode)(module, values)
    return counter.get_total_flops()
