"""The tiles of a video: the one that a case uses, and others that may make it fit into memory."""

from __future__ import annotations

from math import prod

from bench.record import Case, Tile
from bench.workloads.vae_classes.vae_class import VaeSpec
from bench.workloads.vae_classes.video import FramewiseVae, VideoVae
from bench.workloads.video_vae.zoo import ZOO

#: Tile edges to try in pixels, besides the zoo's own; neighbours overlap by a quarter.
_EDGES = (768, 512, 384, 256)
#: More tiles than this are impractical, and each has to be traced.
_MOST_TILES = 500


def used(case: Case) -> Tile | None:
    """The case's tile; None if it is not tiled or one tile covers the video."""
    if case.tile is None or case.tile.frames is not None or vae_class(case).is_tiled(case):
        return case.tile
    return None


def to_try(case: Case) -> tuple[Tile, ...]:
    """Tiles smaller than the video that its class can take, the largest first; in time too only after all others.

    Without those that would need hundreds of passes, except the largest, which may be the only one that fits.
    """
    spec = ZOO.get(case.model)
    by_size = {(tile.tile, tile.rows[0]): tile for tile in (*map(Tile.of, _EDGES), spec.tile)}
    tiles = sorted(by_size.values(), key=_area, reverse=True)
    chunk = _chunk_to_try(spec)
    if chunk is not None:
        tiles += [tile.model_copy(update=chunk) for tile in tiles]
    possible = [
        tile for tile in tiles if _is_possible(spec, case.model_copy(update={"tiling": tile, "variant": "default"}))
    ]
    return tuple(tile for tile in possible if tile == possible[0] or _count(case, tile) <= _MOST_TILES)


def vae_class(case: Case) -> VideoVae:
    """The class of the case's model, which is one of videos."""
    found = ZOO.get(case.model).vae_class
    assert isinstance(found, VideoVae)  # noqa: S101 - for the type checker: the zoo of videos has no others
    return found


def _chunk_to_try(spec: VaeSpec) -> dict[str, int] | None:
    """The frames of tiles in time, for a class that has them but computes all frames at once by itself."""
    found = spec.vae_class
    if not isinstance(found, FramewiseVae) or found.is_framewise:
        return None
    return {"frames": found.own_frames[0], "overlap_frames": found.own_frames[1]}


def _is_possible(spec: VaeSpec, case: Case) -> bool:
    return not spec.refusal(case) and vae_class(case).is_tiled(case)


def _area(tile: Tile) -> int:
    return tile.tile * tile.rows[0]


def _count(case: Case, tile: Tile) -> int:
    """The tiles of one chunk of frames."""
    steps = tile.tile - tile.overlap, tile.rows[0] - tile.rows[1]
    return prod(-(-case.axes[side] // step) for side, step in zip(("width", "height"), steps, strict=True))
