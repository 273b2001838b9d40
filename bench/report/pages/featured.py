"""Which of several sizes a page shows first: the docs' 1024 px, or the nearest to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from bench.record import Case

_EDGE_PX = 1024
_Item = TypeVar("_Item")


def featured(items: Iterable[_Item], case: Callable[[_Item], Case]) -> _Item:
    """The item whose case is nearest in size; the first of several. Raises ValueError if there are no items."""
    return min(items, key=lambda item: abs(case(item).axes.product("width", "height") ** 0.5 - _EDGE_PX))
