"""Counts the floating-point operations of a video VAE's call, on meta tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
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
            (of_pass,) = _of_videos(case.model, case.operation, (length,), *pixels)
            total += count * batch * of_pass
        elif length == chunks[0]:  # once for each tile
            tiles = count // chunks.count(length)
            total += tiles * batch * _of_tile(case, chunks, *pixels)
    return total


def _of_tile(case: Case, chunks: tuple[int, ...], height: int, width: int) -> int:
    """The operations of all chunks of a tile."""
    first = sum(chunks[:_ALIKE_FROM])
    if len(chunks) <= _ALIKE_FROM:
        return _of_videos(case.model, case.operation, (first,), height, width)[0]
    lengths = first, sum(chunks[: _ALIKE_FROM + 1])
    of_first, with_one_more = _of_videos(case.model, case.operation, lengths, height, width)
    return of_first + (with_one_more - of_first) * (len(chunks) - _ALIKE_FROM)


def _of_videos(model: str, operation: str, lengths: tuple[int, ...], height: int, width: int) -> tuple[int, ...]:
    """The operations of an untiled call for a video of each of these lengths.

    `lengths` count frames (encode) or latent frames, and height and width are image pixels; of latents, latent pixels.
    Operations depend on the area as those of an image do (`flops.of_call`).
    """
    factor = zoo.get(model).spatial_factor if operation == "encode" else 1
    if height % factor or width % factor:
        return _counted(model, operation, lengths, height, width)
    area = Fraction(height * width, factor**2)
    return tuple(round(polynomial.at(area)) for polynomial in _polynomials(model, operation, lengths))


@cache
def _polynomials(model: str, operation: str, lengths: tuple[int, ...]) -> tuple[flops.Polynomial, ...]:
    """The operations for each of these lengths, by the area."""
    factor = zoo.get(model).spatial_factor if operation == "encode" else 1
    small, large = flops.EDGES[0]
    of_small, of_large = (_counted(model, operation, lengths, edge * factor, edge * factor) for edge in (small, large))
    return tuple(
        flops.Polynomial.of_squares(small, low, large, high) for low, high in zip(of_small, of_large, strict=True)
    )


@cache
def _counted(model: str, operation: str, lengths: tuple[int, ...], height: int, width: int) -> tuple[int, ...]:
    """What `_of_videos` returns, counted on videos of this size."""
    spec = zoo.get(model)
    variant = "whole-clip" if "whole-clip" in spec.vae_class.variants else "default"
    channels = spec.image_channels if operation == "encode" else spec.latent_channels
    inputs = []
    for length in lengths:
        axes = Axes({"width": width, "height": height, "frames": length, "batch": 1})
        case = Case(model=model, operation=operation, axes=axes, dtype=spec.dtype, variant=variant)
        inputs.append((case, (1, channels, length, height, width)))
    return flops.of_inputs(inputs)
