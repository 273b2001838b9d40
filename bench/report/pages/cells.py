"""Shared by pages: cells of a record, words for kinds of figures, the order of cases, the case shown first."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from bench.core.units import format_bytes, format_relative
from bench.record import Case, Device, Measured, OutOfMemory, Record, Tile, alike_but_for, grouped
from bench.report.document import Cell
from bench.workloads import models
from bench.workloads.labels import size_order, takes_tiles

OOM = "OOM"
#: The mark after a predicted verdict, by its confidence.
SURE = {"high": "", "medium": "?", "low": "??"}
TIGHT = "runs, but empties torch's cache or takes low-workspace kernels, either of which may be slower."
#: The memory that is assumed of cards for which nobody has published the figure.
MEMORY_ASSUMED = "the advertised memory. Nobody has published what torch reports, which is up to 9% less"
#: The edge of the docs' images, which pages show first.
_FEATURED_EDGE_PX = 1024
_Item = TypeVar("_Item")


def time(record: Record | None) -> Cell:
    """The median of a record's calls in seconds, or its outcome in a word; a cell without a value for no record."""
    if record is None:
        return Cell()
    if isinstance(record.outcome, Measured):
        return Cell(record.timing.median_s, kind=record.kind) if record.timing else Cell()
    return Cell(text=outcome(record), kind=record.kind)


def memory(record: Record | None) -> Cell:
    """The peak of a record in per cent, as the docs give it, or OOM; a cell without a value if it is not known."""
    if record is None:
        return Cell()
    if isinstance(record.outcome, OutOfMemory):
        return Cell(text=OOM, kind=record.kind)
    percent = record.memory.percent if record.memory else None
    return Cell(percent, kind=record.kind) if percent is not None else Cell()


def size_heading(cases: Iterable[Case]) -> str:
    """The heading of a column of sizes: `Resolution` if all are of images."""
    return "Resolution" if all("width" in case.axes for case in cases) else "Size"


def share(value: float | None) -> Cell:
    """A share in per cent with one decimal, however large it is; a cell without a value for None."""
    return Cell() if value is None else Cell(value, text=f"{value:.1%}")


def change(value: float) -> Cell:
    """A relative change in per cent, with its sign."""
    return Cell(value, text=format_relative(value))


def outcome(record: Record) -> str:
    """A record's outcome in a word or two: `OOM`, `timed out`."""
    return OOM if isinstance(record.outcome, OutOfMemory) else record.outcome.status.replace("_", " ")


def begun(record: Record) -> str:
    """`2026-01-31 12:00`: when the record's run began, in UTC."""
    return record.run.started_at[:16].replace("T", " ")


def device_name(device: Device, limit_bytes: int | None = None) -> str:
    """A device's name, with the VRAM limit if there is one."""
    return device.name if limit_bytes is None else f"{device.name}, limited to {format_bytes(limit_bytes)}"


def precision(case: Case, record: Record | None, *also: str) -> Cell:
    """`float16, weights hub`, marked if the dtype is assumed."""
    return Cell(precision_text(case, *also), kind="assumed" if record and "dtype" in record.assumed else None)


def precision_text(case: Case, *also: str) -> str:
    """`float16, weights hub`: what tells cases of one size apart; `also` comes after the dtype."""
    parts = [case.dtype, *also]
    parts += [f"weights {case.weights}"] if case.weights != "random" else []
    parts += [case.variant] if case.variant != "default" else []
    return ", ".join(parts)


def call(case: Case) -> str:
    """`SD v1.5 encode`: the call that the case is one of."""
    return f"{models.title(case.model)} {case.operation}"


def by_call(items: Iterable[_Item], case_of: Callable[[_Item], Case]) -> list[tuple[str, list[_Item]]]:
    """The items of each model and operation, with their name."""
    groups = grouped(items, lambda item: (case_of(item).model, case_of(item).operation))
    return [(call(case_of(group[0])), group) for group in groups]


def way(case: Case) -> str | None:
    """`untiled`, `tile 512/128`; None for a model that takes no tiles."""
    if case.tile is not None:
        return f"tile {case.tile.label}"
    return "untiled" if takes_tiles(case) else None


def tile_edge(tile: Tile) -> str:
    """`512`, the edge of a square tile; of another or one in time all that tells it: `360x240/72x40`."""
    return str(tile.tile) if tile.height is None and tile.frames is None else tile.label


def case_order(case: Case) -> tuple[object, ...]:
    """A sort key: by size, untiled before tiled, smaller tiles first."""
    return (size_order(case), case.tile.tile if case.tile else 0)


def in_size_order(
    items: Iterable[_Item], case_of: Callable[[_Item], Case], group_of: Callable[[_Item], Hashable] = lambda _: None
) -> list[_Item]:
    """The items with smaller cases first among cases that differ only in size and tiling; groups stay in their order.

    `group_of` tells items of one case apart that are not to be mixed, such as those of several cards.
    """
    sizes = ("width", "height", "frames", "tiling")
    groups = grouped(items, lambda item: (group_of(item), alike_but_for(case_of(item), *sizes)))
    return [item for group in groups for item in sorted(group, key=lambda item: case_order(case_of(item)))]


def featured(items: Iterable[_Item], case: Callable[[_Item], Case]) -> _Item:
    """The item whose case is nearest in size; the first of several. Raises ValueError if there are no items."""
    return nearest_to_docs(items, lambda item: case(item).axes.product("width", "height"))


def nearest_to_docs(items: Iterable[_Item], pixels: Callable[[_Item], int]) -> _Item:
    """The item whose number of pixels is nearest to that of the docs' images. Raises ValueError if there are none."""
    return min(items, key=lambda item: abs(pixels(item) ** 0.5 - _FEATURED_EDGE_PX))
