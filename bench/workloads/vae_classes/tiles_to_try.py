"""Tiles that may make an image or a video fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from bench.record import Case, Tile
from bench.workloads.vae_classes.vae_class import VaeSpec

#: More tiles than this are impractical, and each has to be traced.
_MOST_TILES = 500


def to_try(spec: VaeSpec, case: Case, edges: Iterable[int], chunk: Mapping[str, int] | None = None) -> tuple[Tile, ...]:
    """Tiles smaller than the image that the model can take, the largest first: its own, and square ones.

    Those that would need hundreds of passes are left out, except the largest, which may be the only one that fits.

    Args:
        spec: the model.
        case: the image or video.
        edges: sides of the square tiles in pixels; neighbours overlap by a quarter.
        chunk: `frames` and `overlap_frames` of tiles in time, which come after all others; None: there are none.
    """
    by_size = {(tile.tile, tile.rows[0]): tile for tile in (*map(Tile.of, edges), spec.tile)}
    tiles = sorted(by_size.values(), key=lambda tile: tile.tile * tile.rows[0], reverse=True)
    if chunk is not None:
        tiles += [tile.model_copy(update=chunk) for tile in tiles]
    possible = [
        tile
        for tile in tiles
        if _is_smaller(tile, case) and not spec.refusal(case.model_copy(update={"tiling": tile, "variant": "default"}))
    ]
    return tuple(tile for tile in possible if tile == possible[0] or _count(case, tile) <= _MOST_TILES)


def _is_smaller(tile: Tile, case: Case) -> bool:
    return case.axes["width"] > tile.tile or case.axes["height"] > tile.rows[0]


def _count(case: Case, tile: Tile) -> int:
    """The tiles of one chunk of frames."""
    steps = tile.tile - tile.overlap, tile.rows[0] - tile.rows[1]
    return prod(-(-case.axes[side] // step) for side, step in zip(("width", "height"), steps, strict=True))
