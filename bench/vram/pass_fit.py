"""Finds the template of an encoder's or decoder's passes in captured ones, and checks it against all of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np

from bench.errors import TraceError
from bench.vram.events import Birth, Convolution, Launch, Pass
from bench.vram.pass_template import Coefficients, LaunchTemplate, Layout, PassTemplate, Size


class _Outline:
    """A captured pass as the order of its events and the numbers in them."""

    def __init__(self, captured: Pass) -> None:
        self.output = captured.output
        self.order: list[tuple[Any, ...]] = []
        self.numbers: list[int] = []
        for event in captured.events:
            if isinstance(event, Launch):
                self._launch(event)
            elif isinstance(event, Birth):
                self.order.append(("B", event.key))
                self.numbers.append(event.elements)
            else:
                self.order.append(("D", event.key))

    def _launch(self, launch: Launch) -> None:
        fields = () if launch.kernel is None else astuple(launch.kernel)
        sides = [side for field in fields for side in (field if isinstance(field, tuple) else (field,))]
        channels_last = isinstance(launch.kernel, Convolution) and bool(sides.pop())
        kernel = "" if launch.kernel is None else type(launch.kernel).__name__
        self.order.append(("L", launch.operator, launch.module, kernel, len(sides), channels_last))
        self.numbers += sides


def fit(layout: Layout, captured: Mapping[Size, Pass]) -> PassTemplate:
    """The template of captured passes of one layout.

    Raises TraceError if their events are not in the same order, or if a number in one of them is not what the
    polynomials say.
    """
    outlines = {size: _Outline(each) for size, each in captured.items()}
    first, *others = outlines.values()
    if any((other.order, other.output) != (first.order, first.output) for other in others):
        raise TraceError(f"Passes of {layout} have events in different orders.")
    rows = _solve([size.powers for size in outlines], [outline.numbers for outline in outlines.values()])
    polynomials = list(dict.fromkeys(rows))
    index_of = {row: index for index, row in enumerate(polynomials)}
    numbers = iter(index_of[row] for row in rows)
    launches: dict[LaunchTemplate, int] = {}
    codes = []
    for kind, *what in first.order:
        if kind == "L":
            operator, module, kernel, sides, channels_last = what
            launch = LaunchTemplate(operator, module, kernel, tuple(next(numbers) for _ in range(sides)), channels_last)
            codes.append(f"L{launches.setdefault(launch, len(launches))}")
        elif kind == "B":
            codes.append(f"B{next(numbers)}")
        else:
            codes.append(f"D{what[0]}")
    return PassTemplate(layout, tuple(polynomials), tuple(launches), " ".join(codes), first.output)


def _solve(powers: Sequence[Sequence[int]], numbers: Sequence[Sequence[int]]) -> list[Coefficients]:
    """The coefficients of each column of `numbers`. Raises TraceError if any row is not met exactly."""
    terms, values = np.array(powers), np.array(numbers)
    independent = _independent(terms)
    solution, *_ = np.linalg.lstsq(terms[:, independent].astype(float), values.astype(float), rcond=None)
    whole = np.zeros((terms.shape[1], values.shape[1]), dtype=np.int64)
    whole[independent] = np.rint(solution)
    if not (terms @ whole == values).all():
        raise TraceError("A captured pass has sizes that are not polynomials in the size of its latent.")
    return [tuple(int(part) for part in column) for column in whole.T]


def _independent(terms: np.ndarray[Any, Any]) -> list[int]:
    """The columns that the others don't determine, the last ones first: with one batch, those without it."""
    chosen: list[int] = []
    for column in reversed(range(terms.shape[1])):
        if np.linalg.matrix_rank(terms[:, [column, *chosen]]) > len(chosen):
            chosen.insert(0, column)
    return chosen
