"""The settings of an image or a video: precision, tile and overlap, and variants such as channels-last and compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.record import Case, Tile
from bench.workloads import models

#: Shares of a square tile's side that neighbours overlap by: diffusers' own, and half of it.
_OVERLAPS = (4, 8)
#: Tiles and overlaps of diffusers' classes are whole latent pixels; 8 px is the usual one.
_STEP = 8
#: fits: even the upper end of the predicted range does. uncertain: it has to be tried, with the limit set.
Forecast = Literal["fits", "uncertain", "out_of_memory"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to compute the image, with what is predicted for it.

    Attributes:
        case: the way, as a case.
        seconds: predicted time; only ratios between settings count, so that it may be relative.
        forecast: whether it fits, by its predicted memory.
        peak_bytes: predicted peak; None if it is not known.
        reason: why it does not fit, or is uncertain; empty if it fits.
    """

    case: Case
    seconds: float
    forecast: Forecast = "fits"
    peak_bytes: int | None = None
    reason: str = ""


def of(image: Case, dtypes: Sequence[str]) -> tuple[Case, ...]:
    """Every setting that the image's model can run, in these precisions: first those that change the picture least.

    `image` is its untiled case. Slices are left out unless there is a batch.
    """
    workload = models.workload(image.model)
    tilings: list[Literal["off"] | Tile] = ["off", *_tiles(image)]
    variants = [name for name in ("default", *workload.variants) if image.axes.get("batch", 1) > 1 or not _slices(name)]
    cases = [
        image.model_copy(update={"dtype": dtype, "tiling": tiling, "variant": variant})
        for dtype in dict.fromkeys(dtypes)
        for tiling in tilings
        for variant in variants
    ]
    return tuple(sorted((case for case in cases if not workload.check(case)), key=change))


def default(image: Case) -> tuple[Case, ...]:
    """The docs' defaults in the image's precision: untiled; if that does not fit, in the model's own tile."""
    workload = models.workload(image.model)
    own = image.model_copy(update={"tiling": "off", "variant": "default"})
    tile = workload.default_tile(image.model)
    tiled = [own.model_copy(update={"tiling": tile})] if tile is not None else []
    return tuple(case for case in (own, *tiled) if not workload.check(case))


def change(case: Case) -> tuple[object, ...]:
    """A sort key: how far a setting is from the default. Precision changes the picture most, then tiles."""
    tile = case.tile
    area = 0 if tile is None else -tile.tile * tile.rows[0]
    overlap = 0 if tile is None else -tile.overlap
    parts = 0 if case.variant == "default" else 1 + case.variant.count("+")
    precision = "" if case.dtype == models.get(case.model).dtype else case.dtype
    return (precision, tile is not None, area, overlap, parts, case.variant)


def label(case: Case) -> str:
    """`bfloat16, untiled`, `float16, tile 512/128, channels-last+compiled`."""
    tiling = "untiled" if case.tile is None else f"tile {case.tile.label}"
    return ", ".join([case.dtype, tiling, *([case.variant] if case.variant != "default" else [])])


def is_exact(case: Case) -> bool:
    """Whether it computes the same picture as the default, but for the rounding of other kernels."""
    return case.tile is None and case.dtype == models.get(case.model).dtype


def risk_of(case: Case) -> str:
    """What the precision of a setting risks in its model; empty if nothing is known."""
    return models.workload(case.model).risk(case.model, case.dtype)


def _slices(variant: str) -> bool:
    return "sliced" in variant.split("+")


def _tiles(image: Case) -> Iterator[Tile]:
    """The tiles to try, each with several overlaps if it is square and has no frames."""
    workload = models.workload(image.model)
    own = workload.default_tile(image.model)
    for tile in workload.tiles_to_try(image):
        yield tile
        if tile.rows != (tile.tile, tile.overlap) or tile.frames is not None or (tile == own and tile.overlap % _STEP):
            continue
        for share in _OVERLAPS:
            overlap = tile.tile // share // _STEP * _STEP
            if 0 < overlap != tile.overlap:
                yield Tile(tile=tile.tile, overlap=overlap)
