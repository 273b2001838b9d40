"""Counts the floating-point operations of a video VAE's call, on meta tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

from bench.record import Axes, Case
from bench.workloads.base import Shape
from bench.workloads.vae_classes import flops, zoo
from bench.workloads.vae_classes.video import VideoVae

#: From this chunk on all chunks of a video get as much from those before, in caches, so each costs as much as the next.
_ALIKE_FROM = 3


def of_call(case: Case, passes: Sequence[Shape]) -> int | None:
    """The floating-point operations of one call that made these passes; a multiply-add is two.

    Tiles do not depend on each other, so each costs as much as an untiled video of its size. So does a chunk of frames,
    unless it gets what the chunks before left in caches: then a tile's chunks are counted together. None if the passes
    are not those that the class makes.
    """
    spec = zoo.get(case.model)
    vae_class = spec.vae_class
    if not isinstance(vae_class, VideoVae) or (chunks := vae_class.chunks_that_ran(spec, case, passes)) is None:
        return None
    unit = vae_class.input_of_pass(spec, case)[1] if case.operation == "encode" else 1
    total = 0
    for (batch, _, length, *sides), count in Counter(passes).items():
        pixels = tuple(side * unit for side in sides)
        if vae_class.time_first:
            total += count * batch * _counted(case.model, case.operation, length, *pixels)
        elif length == chunks[0]:  # once for each tile
            tiles = count // chunks.count(length)
            total += tiles * batch * _of_tile(case, chunks, *pixels)
    return total


def _of_tile(case: Case, chunks: tuple[int, ...], height: int, width: int) -> int:
    """The operations of all chunks of a tile."""
    first = _counted(case.model, case.operation, sum(chunks[:_ALIKE_FROM]), height, width)
    if len(chunks) <= _ALIKE_FROM:
        return first
    one_more = _counted(case.model, case.operation, sum(chunks[: _ALIKE_FROM + 1]), height, width)
    return first + (one_more - first) * (len(chunks) - _ALIKE_FROM)


@cache
def _counted(model: str, operation: str, length: int, height: int, width: int) -> int:
    """The floating-point operations of an untiled call.

    `length` counts frames (encode) or latent frames, and height and width are image pixels; of latents, latent pixels.
    """
    spec = zoo.get(model)
    variant = "whole-clip" if "whole-clip" in spec.vae_class.variants else "default"
    axes = Axes({"width": width, "height": height, "frames": length, "batch": 1})
    case = Case(model=model, operation=operation, axes=axes, dtype=spec.dtype, variant=variant)
    channels = spec.image_channels if operation == "encode" else spec.latent_channels
    return flops.of_input(case, (1, channels, length, height, width))
