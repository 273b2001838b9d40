"""How diffusers' VAE classes cut images into tiles, without torch."""

from __future__ import annotations

from itertools import product

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.vae_classes.vae_class import VaeSpec


def passes(spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
    """The input shape of each pass of an image's call, row by row: one pass, or one for each tile.

    The last tiles take the rest of the image, however small, and both sides are cut if either is too long. Each image
    of a sliced batch has its own passes. A tile has whole latent pixels (`VaeClass.tile_refusal`).
    """
    unit, channels = (
        (1, spec.image_channels) if case.operation == "encode" else (spec.spatial_factor, spec.latent_channels)
    )
    height, width = case.axes["height"], case.axes["width"]
    rows, columns = [height], [width]
    if case.tile is not None and spec.vae_class.is_tiled(case):
        rows = lengths(height, *case.tile.rows)
        columns = lengths(width, case.tile.tile, case.tile.overlap)
    slices = case.axes["batch"] if case.is_variant("sliced") else 1
    batch = case.axes["batch"] // slices
    return tuple((batch, channels, row // unit, column // unit) for row, column in product(rows, columns)) * slices


def lengths(size: int, edge: int, overlap: int) -> list[int]:
    """The lengths of the tiles along a side of this size."""
    return [min(edge, size - begin) for begin in range(0, size, edge - overlap)]
