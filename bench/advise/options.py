"""The ways in which a card can compute one image, in the order of what they change of the picture. Pure.

Untiled in the asked precision changes nothing. Slicing a batch neither. Tiles change the picture where they meet, small
ones more than large ones, for there are more seams and each tile's statistics (group normalisation, attention) are of
less of the image. A lower precision changes all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.errors import ConfigError
from bench.record import Case, Tile
from bench.workloads import models

#: Edges in pixels beside the zoo's own; neighbours overlap by a quarter, as in diffusers.
_EDGES = (1024, 768, 512, 384, 256)
#: So many tiles are more than anyone wants, and each has to be traced.
_MOST_TILES = 500
#: What float32 can be lowered to.
_LOWER = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Option:
    """One way of an image on a card.

    Attributes:
        case: what would be called.
        change: its place in the order of what changes the picture.
        risk: what its precision risks in this model; empty for the model's own.
        is_lower: whether its precision is lower than the asked one.
        last_resort: whether it need be looked at only where nothing in the asked precision fits comfortably.
    """

    case: Case
    change: int
    risk: str = ""
    is_lower: bool = False
    last_resort: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether it changes nothing of the picture: slicing does not."""
        return self.case.tile is None and not self.is_lower

    @property
    def label(self) -> str:
        """`untiled`, `tile 512/128`, `float16, tile 512/128`, `sliced, untiled`."""
        case = self.case
        parts = [case.dtype] if self.is_lower else []
        parts += [case.variant] if case.variant != "default" else []
        return ", ".join([*parts, "untiled" if case.tile is None else f"tile {case.tile.tile}/{case.tile.overlap}"])


def of(image: Case, *, lower: bool = True) -> tuple[Option, ...]:
    """The options of an image, given as its untiled case. Without `lower` none of a lower precision.

    Lower precisions are tried untiled, with the zoo's tile and with the smallest; a batch whole and sliced. Raises
    ConfigError for a size that the model can't take.
    """
    spec = models.get(image.model)
    refusal = spec.size_refusal(image.width, image.height)
    if refusal:
        raise ConfigError(f"--resolution {image.resolution}: {refusal}.")
    tiles = tiles_of(image)
    few = list(dict.fromkeys([*(one for one in tiles if one.tile == spec.tile), *tiles[-1:]]))
    cases = list(_cases(image, tiles))
    for dtype in _LOWER if lower and image.dtype == "float32" else ():
        cases += _cases(image.model_copy(update={"dtype": dtype}), few)
    zoos = [None, *(tile for tile in few if tile.tile == spec.tile)]
    return tuple(
        Option(
            case,
            change,
            risk=spec.risk(case.dtype),
            is_lower=case.dtype != image.dtype,
            last_resort=case.dtype != image.dtype and case.tile not in zoos,
        )
        for change, case in enumerate(cases)
    )


def tiles_of(image: Case) -> tuple[Tile, ...]:
    """Tiles that are smaller than the image, the largest first; those of which it needs hundreds are left out.

    The largest never is: it may be the only way that fits.
    """
    spec = models.get(image.model)
    side = max(image.width, image.height)
    edges = [edge for edge in sorted({spec.tile, *_EDGES}, reverse=True) if edge < side]
    kept = [edge for edge in edges if edge == edges[0] or _count(image, edge) <= _MOST_TILES]
    return tuple(Tile(tile=edge, overlap=edge // 4) for edge in kept)


def call_of(case: Case) -> tuple[object, ...]:
    """What makes two cases one call as far as time and memory go: weights are no part, nor is a tile that covers it."""
    covers = case.tile is None or max(case.width, case.height) <= case.tile.tile
    tile = None if case.tile is None or covers else (case.tile.tile, case.tile.overlap)
    return (
        *(case.model, case.operation, case.width, case.height, case.frames),
        *(case.batch, case.dtype, case.variant, case.transport, tile),
    )


def _count(image: Case, edge: int) -> int:
    """How many tiles of that edge an image takes, three quarters of an edge apart."""
    step = edge * 3 // 4
    return -(-image.width // step) * -(-image.height // step)


def _cases(image: Case, tiles: Sequence[Tile]) -> Iterator[Case]:
    """The image untiled and in each of the tiles; a batch sliced as well."""
    for case in [image, *(image.model_copy(update={"tiling": tile}) for tile in tiles)]:
        yield case
        if case.batch > 1:
            yield case.model_copy(update={"variant": "sliced"})
