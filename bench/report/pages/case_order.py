"""The order of cases on pages: smaller ones first within each group. Reads cases; never torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from bench.record import Case, alike_but_for, grouped
from bench.workloads.labels import size_order

_Item = TypeVar("_Item")


def case_order(case: Case) -> tuple[object, ...]:
    """A sort key: by size, untiled before tiled, smaller tiles first."""
    return (size_order(case), case.tile.tile if case.tile else 0)


def in_size_order(
    items: Iterable[_Item], case_of: Callable[[_Item], Case], group_of: Callable[[_Item], Hashable] = lambda _: None
) -> list[_Item]:
    """The items with smaller cases first among cases that differ only in size and tiling; groups stay in their order.

    `group_of` tells items of one case apart that are not to be mixed, such as those of several cards.
    """
    groups = grouped(items, lambda item: (group_of(item), alike_but_for(case_of(item), "width", "height", "tiling")))
    return [item for group in groups for item in sorted(group, key=lambda item: case_order(case_of(item)))]
