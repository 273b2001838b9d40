"""Cases that are alike but for some of their fields or axes: the one way in which records are put into groups. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from bench.record.case import Case

_Item = TypeVar("_Item")
#: What of a case is how it is executed: the same is computed whatever these are, or nearly.
EXECUTION = ("dtype", "tiling", "weights", "variant")


def alike_but_for(case: Case, *left_out: str) -> tuple[Hashable, ...]:
    """What is equal of cases that differ in nothing but these, each a field of a case or the name of an axis.

    `axes` leaves out all of them.
    """
    fields = {name: value for name, value in case if name not in left_out and name != "axes"}
    axes = {} if "axes" in left_out else {name: one for name, one in case.axes.items() if name not in left_out}
    return (*fields.items(), *sorted(axes.items()))


def by_size(case: Case) -> tuple[int, ...]:
    """What sorts the cases of a model by size: the smaller image first, then axis by axis."""
    return (case.axes.product("width", "height"), *case.axes.values())


def grouped(items: Iterable[_Item], key: Callable[[_Item], Hashable]) -> list[list[_Item]]:
    """The items of each key, groups and items in the order in which they first came."""
    groups: dict[Hashable, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
