"""The passes of a case's call by the tiling rule of diffusers' AutoencoderKL, known before the call runs.

`module` records the actual passes while a call runs.
"""

from __future__ import annotations

from itertools import product

from bench.record import Case, Tile
from bench.workloads.image_vae import zoo

#: Input shape of one pass through encoder or decoder: batch, channels, height, width.
Shape = tuple[int, int, int, int]


def passes(case: Case) -> tuple[Shape, ...]:
    """The input shape of each pass of a call, in order: one if untiled, otherwise one per tile.

    Heights and widths are image pixels for encode and latent pixels for decode. Each image of a sliced batch has its
    own passes.
    """
    spec = zoo.get(case.model)
    unit, channels = (
        (1, spec.image_channels) if case.operation == "encode" else (spec.spatial_factor, spec.latent_channels)
    )
    rows, columns = _lengths(case, unit)
    slices = _slices(case)
    batch = case.axes["batch"] // slices
    return tuple((batch, channels, height, width) for height, width in product(rows, columns)) * slices


def _slices(case: Case) -> int:
    """The number of calls that a batch is split into."""
    return case.axes["batch"] if case.variant == "sliced" else 1


def _lengths(case: Case, unit: int) -> tuple[list[int], list[int]]:
    """Heights and widths of the tiles, in units of `unit` image pixels. Both sides are cut if either is too long.

    The last tiles take the rest of the image, however small.
    """
    height, width = case.axes["height"] // unit, case.axes["width"] // unit
    if case.tile is None or max(height, width) <= case.tile.tile // unit:
        return [height], [width]
    edge = case.tile.tile // unit
    step = _share(edge, case.tile.tile - case.tile.overlap, case.tile)
    rows, columns = ([min(edge, size - begin) for begin in range(0, size, step)] for size in (height, width))
    return rows, columns


def _share(length: int, part: int, tile: Tile) -> int:
    """`part` pixels of a tile in a unit in which the tile is `length` long, truncated as diffusers does."""
    return length * part // tile.tile


def used(case: Case) -> Tile | None:
    """The case's tile; None if it is not tiled or one tile covers the image."""
    return None if case.tile is None or _side(case) <= case.tile.tile else case.tile


#: Tile edges to try in pixels, besides the zoo's own; neighbours overlap by a quarter, as in diffusers.
_EDGES = (1024, 768, 512, 384, 256)
#: More tiles than this are impractical, and each has to be traced.
_MOST_TILES = 500


def to_try(case: Case) -> tuple[Tile, ...]:
    """Tiles smaller than the image, the largest first, without those that would need hundreds of passes.

    The largest is always included: it may be the only one that fits.
    """
    side = _side(case)
    edges = [edge for edge in sorted({zoo.get(case.model).tile, *_EDGES}, reverse=True) if edge < side]
    kept = [edge for edge in edges if edge == edges[0] or _count(case, edge) <= _MOST_TILES]
    return tuple(Tile.of(edge) for edge in kept)


def _side(case: Case) -> int:
    return max(case.axes["width"], case.axes["height"])


def _count(case: Case, edge: int) -> int:
    """The number of tiles with this edge that an image needs, three quarters of an edge apart."""
    step = edge * 3 // 4
    return -(-case.axes["width"] // step) * -(-case.axes["height"] // step)
