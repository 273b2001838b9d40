"""The figures of one case and metric on one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.core import significance
from bench.record import Record, metrics


@dataclass(frozen=True, slots=True)
class Figures:
    """One side of one case and metric, in the metric's unit.

    `values` are what is compared: the raw samples of a single run (none in a published row), else one figure a run.
    `median` is that of the values, or the recorded one if there are none.
    """

    median: float
    values: tuple[float, ...]
    runs: int

    @property
    def n(self) -> int:
        """How many values are compared."""
        return len(self.values)

    @property
    def spread(self) -> tuple[float, ...]:
        """The values, or the median if there are none: never empty."""
        return self.values or (self.median,)


def figures(metric: str, records: Sequence[Record]) -> Figures | None:
    """The figures of one case's records, one record a run; None if no record has the metric."""
    runs = [figures for figures in (_figures_of_run(metric, record) for record in records) if figures is not None]
    if len(runs) <= 1:
        return runs[0] if runs else None
    medians = tuple(run.median for run in runs)
    return Figures(significance.middle(medians), medians, len(runs))


def _figures_of_run(metric: str, record: Record) -> Figures | None:
    value = metrics.value(metric, record)
    if value is None:
        return None
    if metric != "time":
        return Figures(value, (value,), 1)
    samples = record.timing.samples_s if record.timing else ()
    return Figures(significance.middle(samples) if samples else value, samples, 1)
