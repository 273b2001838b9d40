"""Rows that are made when somebody looks at them: a short page shows few of the many rows of its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar, overload

_Item = TypeVar("_Item")
_Made_co = TypeVar("_Made_co", covariant=True)


class LazyRows(Sequence[_Made_co], Generic[_Made_co]):
    """A row for each item, made by a function when it is first looked at, and kept. Equal to a tuple of the same."""

    __slots__ = ("_items", "_kept", "_make")

    def __init__(self, items: Iterable[_Item], make: Callable[[_Item], _Made_co]) -> None:
        self._items: Sequence[object] = tuple(items)
        self._make: Callable[..., _Made_co] = make
        self._kept: dict[int, _Made_co] = {}

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> _Made_co: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[_Made_co, ...]: ...

    def __getitem__(self, index: int | slice) -> _Made_co | tuple[_Made_co, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place = range(len(self))[index]  # IndexError beyond the end, which ends an iteration
        if place not in self._kept:
            self._kept[place] = self._make(self._items[place])
        return self._kept[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))
