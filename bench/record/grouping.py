"""Groups of cases that differ only in some of their fields or axes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from typing import TypeVar

from bench.record.case import Case

_Item = TypeVar("_Item")
#: The fields of a case that say how it is executed. The computation is the same, or nearly so, with any values.
EXECUTION = ("dtype", "tiling", "weights", "variant")


@lru_cache(maxsize=1 << 16)
def alike_but_for(case: Case, *left_out: str) -> tuple[Hashable, ...]:
    """A key of the case without these fields and axes: cases that differ only in those have equal keys.

    `axes` leaves out all axes.
    """
    fields = [(name, value) for name, value in case if name not in left_out and name != "axes"]
    axes = () if "axes" in left_out else sorted(axis for axis in case.axes.items() if axis[0] not in left_out)
    return (*fields, *axes)


def grouped(items: Iterable[_Item], key: Callable[[_Item], Hashable]) -> list[list[_Item]]:
    """The items of each key, groups and items in the order in which they first came."""
    groups: dict[Hashable, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
