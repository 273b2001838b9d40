"""Into which passes a case's call falls, by the rule of diffusers' AutoencoderKL: what is known before a call is made.

Pure. What the passes of a call really were is noted while it runs (`module`).
"""

from __future__ import annotations

from itertools import pairwise, product

from bench.record import Case, Tile
from bench.workloads.image_vae import zoo

#: Shape of the input of one pass through encoder or decoder: batch, channels, height, width.
Shape = tuple[int, int, int, int]


def passes(case: Case) -> tuple[Shape, ...]:
    """The input of each pass of one call, in the order in which they are made: one untiled, else one a tile.

    Heights and widths are in image pixels for encode, in latent ones for decode. Of a sliced batch each image has its
    own.
    """
    spec = zoo.get(case.model)
    unit, channels = (1, 3) if case.operation == "encode" else (spec.spatial_factor, spec.latent_channels)
    rows, columns = _lengths(case, unit)
    slices = _slices(case)
    one = tuple((case.axes["batch"] // slices, channels, height, width) for height, width in product(rows, columns))
    return one * slices


def blended_lines(case: Case) -> int:
    """How many rows and columns of the result (latent pixels for encode) one call blends: diffusers takes each alone.

    Each tile is blended with the one above it and the one to its left, over the overlap, or over the whole of the
    smaller one where that is less. Of a sliced batch each image is blended on its own.
    """
    if case.tile is None:
        return 0
    factor = zoo.get(case.model).spatial_factor
    encodes = case.operation == "encode"
    unit, result = (1, factor) if encodes else (factor, 1)
    rows, columns = ([length * unit // result for length in lengths] for lengths in _lengths(case, unit))
    extent = _share(case.tile.tile // result, case.tile.overlap, case.tile)
    return _slices(case) * (_lines(rows, extent) * len(columns) + _lines(columns, extent) * len(rows))


def _slices(case: Case) -> int:
    """Into how many calls a batch falls."""
    return case.axes["batch"] if case.variant == "sliced" else 1


def _lengths(case: Case, unit: int) -> tuple[list[int], list[int]]:
    """Heights and widths of the tiles, in units of so many image pixels. Both sides are cut as soon as one is too long.

    The last tiles are what is left of the image, however little that is.
    """
    height, width = case.axes["height"] // unit, case.axes["width"] // unit
    if case.tile is None or max(height, width) <= case.tile.tile // unit:
        return [height], [width]
    edge = case.tile.tile // unit
    step = _share(edge, case.tile.tile - case.tile.overlap, case.tile)
    rows, columns = ([min(edge, size - begin) for begin in range(0, size, step)] for size in (height, width))
    return rows, columns


def _share(length: int, part: int, tile: Tile) -> int:
    """`part` pixels of a tile, where the tile is `length` long; cut to a whole number as diffusers does."""
    return length * part // tile.tile


def _lines(lengths: list[int], extent: int) -> int:
    """Lines blended along one side: between each two neighbours the extent, or the smaller of them."""
    return sum(min(one, next_, extent) for one, next_ in pairwise(lengths))


def used(case: Case) -> Tile | None:
    """The tile of a case; None where it is not tiled, and where one tile covers the image."""
    return None if case.tile is None or _side(case) <= case.tile.tile else case.tile


#: Edges in pixels beside the zoo's own; neighbours overlap by a quarter, as in diffusers.
_EDGES = (1024, 768, 512, 384, 256)
#: So many tiles are more than anyone wants, and each has to be traced.
_MOST_TILES = 500


def to_try(case: Case) -> tuple[Tile, ...]:
    """Tiles that are smaller than the image, the largest first; those of which it needs hundreds are left out.

    The largest never is: it may be the only way that fits.
    """
    side = _side(case)
    edges = [edge for edge in sorted({zoo.get(case.model).tile, *_EDGES}, reverse=True) if edge < side]
    kept = [edge for edge in edges if edge == edges[0] or _count(case, edge) <= _MOST_TILES]
    return tuple(Tile.of(edge) for edge in kept)


def _side(case: Case) -> int:
    return max(case.axes["width"], case.axes["height"])


def _count(case: Case, edge: int) -> int:
    """How many tiles of that edge an image takes, three quarters of an edge apart."""
    step = edge * 3 // 4
    return -(-case.axes["width"] // step) * -(-case.axes["height"] // step)
