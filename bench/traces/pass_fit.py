"""Finds the template of an encoder's or decoder's passes in captured ones, and checks it against all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from bench.errors import TraceError
from bench.traces.events import Birth, Death, Launch, Pass
from bench.traces.pass_template import Coefficients, LaunchTemplate, Layout, PassTemplate, Size

_Array = np.ndarray[Any, Any]
#: Terms of `Size.powers` before the squares of the area.
_LINEAR = 8
#: Tensors of one byte a value take parts of the values of a call's precision: a half, or a quarter.
_DIVISORS = (1, 2, 4)


class _Outline:
    """A captured pass as the order of its events, and the numbers in them.

    Attributes:
        order: a launch's template, a birth's key, or a death.
        numbers: the numbers of the launches' kernels, and the elements of the births, in the order of events.
    """

    def __init__(self, captured: Pass) -> None:
        self.output = captured.output
        self.order: list[LaunchTemplate | int | Death] = []
        self.numbers: list[int] = []
        for event in captured.events:
            if isinstance(event, Launch):
                template, numbers = LaunchTemplate.of(event)
                self.order.append(template)
                self.numbers += numbers
            elif isinstance(event, Birth):
                self.order.append(event.key)
                self.numbers.append(event.elements)
            else:
                self.order.append(event)


def fit(layout: Layout, captured: Mapping[Size, Pass], kind: int = 0) -> PassTemplate:
    """The template of captured passes of one layout and kind.

    Raises TraceError if their sizes are too few to find the polynomials, if their events are not in the same order, or
    if a number in one of them is not what the polynomials say.
    """
    outlines = {size: _Outline(each) for size, each in captured.items()}
    first, *others = outlines.values()
    if any((other.order, other.output) != (first.order, first.output) for other in others):
        raise TraceError(f"Passes of {layout} have events in different orders.")
    powers = _powers(outlines)
    independent = _independent(powers)
    if len(independent) < layout.terms:
        raise TraceError(f"Passes of {layout} need {layout.terms} independent sizes, and have {len(independent)}.")
    rows = _solve(powers, independent, [outline.numbers for outline in outlines.values()])
    polynomials = list(dict.fromkeys(rows))
    index_of = {row: index for index, row in enumerate(polynomials)}
    launches: dict[LaunchTemplate, int] = {}
    codes = " ".join(_codes(first.order, iter([index_of[row] for row in rows]), launches))
    return PassTemplate(layout, tuple(polynomials), tuple(launches), codes, first.output, kind)


def are_enough(layout: Layout, sizes: Iterable[Size]) -> bool:
    """Whether passes of these sizes decide the polynomials of a layout."""
    return len(_independent(_powers(sizes))) >= layout.terms


def _powers(sizes: Iterable[Size]) -> _Array:
    return np.array([size.powers for size in sizes])


def _codes(
    order: Sequence[LaunchTemplate | int | Death], numbers: Iterator[int], launches: dict[LaunchTemplate, int]
) -> Iterator[str]:
    """The codes of a template's events, from the indices of their polynomials. New launches go into `launches`."""
    for event in order:
        if isinstance(event, LaunchTemplate):
            sides = tuple(next(numbers) for _ in event.sides)
            launch = msgspec.structs.replace(event, sides=sides)
            yield f"L{launches.setdefault(launch, len(launches))}"
        elif isinstance(event, Death):
            yield f"D{event.key}"
        else:
            yield f"B{next(numbers)}"


def _solve(terms: _Array, independent: Sequence[int], numbers: Sequence[Sequence[int]]) -> list[Coefficients]:
    """The coefficients of each column of `numbers`, all 0 but those of the `independent` terms.

    Raises TraceError if any row is not met exactly.
    """
    values = np.array(numbers)
    solved = _unrounded(terms, independent)
    left, right = (each[solved].astype(float) for each in (terms[:, independent], values))
    solution, *_ = np.linalg.lstsq(left, right, rcond=None)
    whole = np.zeros((terms.shape[1], values.shape[1]))
    whole[list(independent)] = solution
    return [_row(terms, whole[:, column], values[:, column]) for column in range(values.shape[1])]


def _unrounded(terms: _Array, independent: Sequence[int]) -> _Array:
    """Which rows to solve: those in which no part of a value is rounded up, if they suffice; the others check it."""
    whole: _Array = terms[:, 0] % max(_DIVISORS) == 0
    is_enough = np.linalg.matrix_rank(terms[whole][:, independent]) == len(independent) if whole.any() else False
    return whole if is_enough else np.ones(len(terms), dtype=bool)


def _row(terms: _Array, solution: _Array, values: _Array) -> Coefficients:
    """The whole coefficients next to a solution, of the values or of a multiple of them, which is rounded up."""
    for divisor in _DIVISORS:
        coefficients = np.rint(solution * divisor).astype(np.int64)
        if (-(-(terms @ coefficients) // divisor) == values).all():
            row = tuple(int(part) for part in coefficients)
            if divisor > 1:
                return (*row, divisor)
            return row if any(row[_LINEAR:]) else row[:_LINEAR]
    raise TraceError("A captured pass has sizes that are not polynomials in the size of its latent.")


def _independent(terms: _Array) -> list[int]:
    """The columns that the others don't determine, the last ones first: with one batch, those without it."""
    chosen: list[int] = []
    for column in reversed(range(terms.shape[1])):
        if np.linalg.matrix_rank(terms[:, [column, *chosen]]) > len(chosen):
            chosen.insert(0, column)
    return chosen
