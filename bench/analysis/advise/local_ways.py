"""The ways in which a card can compute an image, ordered by how much they change the picture.

Untiled in the requested precision changes nothing, and neither does slicing a batch. Tiles change the picture where
they meet, small ones more than large ones: there are more seams, and each tile's statistics (group normalisation,
attention) cover less of the image. A lower precision changes the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.errors import ConfigError
from bench.record import Case, Tile, alike_but_for
from bench.workloads import models
from bench.workloads.labels import size_of

#: What float32 can be lowered to.
_LOWER = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Option:
    """One way to compute an image on a card.

    Attributes:
        case: the case to run.
        change: its place in the order of how much the picture changes.
        risk: what its precision risks in this model; empty for the model's own.
        is_lower: whether its precision is lower than the requested one.
        last_resort: whether to consider it only if nothing in the requested precision fits comfortably.
    """

    case: Case
    change: int
    risk: str = ""
    is_lower: bool = False
    last_resort: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether it leaves the picture unchanged, as slicing does."""
        return self.case.tile is None and not self.is_lower

    @property
    def label(self) -> str:
        """`untiled`, `tile 512/128`, `float16, tile 512/128`, `sliced, untiled`."""
        case = self.case
        parts = [case.dtype] if self.is_lower else []
        parts += [case.variant] if case.variant != "default" else []
        return ", ".join([*parts, "untiled" if case.tile is None else f"tile {case.tile.tile}/{case.tile.overlap}"])


def of(image: Case, *, lower: bool = True) -> tuple[Option, ...]:
    """The options for an image, given as its untiled case; those of a lower precision only if `lower`.

    Lower precisions are tried untiled, with the zoo's tile and with the smallest tile; a batch whole and sliced.
    Raises ConfigError for a size that the model can't take.
    """
    workload, usual = models.workload(image.model), models.workload(image.model).default_tile(image.model)
    refusal = next((why for axis in workload.axes(image.model) if (why := axis.check(image.axes[axis.name]))), "")
    if refusal:
        raise ConfigError(f"--resolution {size_of(image)}: {refusal}.")
    tiles = workload.tiles_to_try(image)
    few = list(dict.fromkeys([*(tile for tile in tiles if usual and tile.tile == usual.tile), *tiles[-1:]]))
    cases = list(_cases(image, tiles))
    for dtype in _LOWER if lower and image.dtype == "float32" else ():
        cases += _cases(image.model_copy(update={"dtype": dtype}), few)
    zoos = [None, *(tile for tile in few if usual and tile.tile == usual.tile)]
    return tuple(
        Option(
            case,
            change,
            risk=workload.risk(case.model, case.dtype),
            is_lower=case.dtype != image.dtype,
            last_resort=case.dtype != image.dtype and case.tile not in zoos,
        )
        for change, case in enumerate(cases)
    )


def call_of(case: Case) -> tuple[object, ...]:
    """A key of cases with the same time and memory: weights don't matter, nor does a tile that covers the image."""
    known = case.model in models.zoo()
    tile = models.workload(case.model).tile_used(case) if known else case.tile
    return (*alike_but_for(case, "weights", "tiling"), tile)


def _cases(image: Case, tiles: Sequence[Tile]) -> Iterator[Case]:
    """The image untiled and in each of the tiles; a batch sliced as well."""
    for case in [image, *(image.model_copy(update={"tiling": tile}) for tile in tiles)]:
        yield case
        if case.axes.get("batch", 1) > 1 and "sliced" in models.workload(case.model).variants:
            yield case.model_copy(update={"variant": "sliced"})
