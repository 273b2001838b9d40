"""The tiles of an image: the one that a case uses, and others that may make it fit into memory."""

from __future__ import annotations

from bench.record import Case, Tile
from bench.workloads.image_vae.zoo import ZOO

#: Tile edges to try in pixels, besides the zoo's own; neighbours overlap by a quarter, as in diffusers.
_EDGES = (1024, 768, 512, 384, 256)
#: More tiles than this are impractical, and each has to be traced.
_MOST_TILES = 500


def used(case: Case) -> Tile | None:
    """The case's tile; None if it is not tiled or one tile covers the image."""
    return case.tile if ZOO.get(case.model).vae_class.is_tiled(case) else None


def to_try(case: Case) -> tuple[Tile, ...]:
    """Tiles smaller than the image, the largest first, without those that would need hundreds of passes.

    The largest is always included: it may be the only one that fits. Tiles that the model refuses are left out.
    """
    side, spec = _side(case), ZOO.get(case.model)
    edges = [edge for edge in sorted({spec.tile.tile, *_EDGES}, reverse=True) if edge < side]
    kept = [edge for edge in edges if edge == edges[0] or _count(case, edge) <= _MOST_TILES]
    tiles = [spec.tile if edge == spec.tile.tile else Tile.of(edge) for edge in kept]
    return tuple(tile for tile in tiles if not spec.refusal(case.model_copy(update={"tiling": tile})))


def _side(case: Case) -> int:
    return max(case.axes["width"], case.axes["height"])


def _count(case: Case, edge: int) -> int:
    """The number of tiles with this edge that an image needs, three quarters of an edge apart."""
    step = edge * 3 // 4
    return -(-case.axes["width"] // step) * -(-case.axes["height"] // step)
