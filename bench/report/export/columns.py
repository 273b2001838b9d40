"""A column of a flat table, whose values have one type whatever the rows hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

#: text: str; count: a whole number; number: a float; flag: True or False; moment: a time in UTC, as text. All but flags
#: may be missing (None).
Type = Literal["text", "count", "number", "flag", "moment"]
Value = str | int | float | None
_Row = TypeVar("_Row")
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Column(Generic[_Row]):
    """One column of a table.

    Attributes:
        name: unique, in snake case, with the unit at its end if it has one.
        type: of its values.
        description: what a value is, and when it is missing if that is not plain.
        of: the value of a row.
    """

    name: str
    type: Type
    description: str
    of: Callable[[_Row], Value]


def of_part(part: Callable[[_Row], _Part | None], value: Callable[[_Part], Value]) -> Callable[[_Row], Value]:
    """The value of a part of a row, which not every row has: None without it."""

    def of(row: _Row) -> Value:
        present = part(row)
        return None if present is None else value(present)

    return of
