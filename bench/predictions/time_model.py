"""The model of times for given records: the shipped figures if they were fitted on the same times, else fitted again.

`python -m bench.predictions.time_model` (`make time-model`) fits the shipped figures again.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.speed import clock, observation, shipped
from bench.analysis.speed.clock import Clock
from bench.analysis.speed.shipped import ShippedClock
from bench.config import load_gpus
from bench.core.work import Kernels
from bench.errors import BenchError, ResultsError
from bench.record import Case, Record
from bench.store import published, read_latest
from bench.traces import tracing
from bench.workloads import models


def of_records(records: Sequence[Record]) -> Clock | None:
    """The model for the times in these records; None if they are too few. Loads scipy only to fit it again."""
    gpus = load_gpus()
    calls = [call for call, _ in observation.timed_calls(records, gpus)]
    if calls and observation.digest(calls) == shipped.load().times:
        return shipped.load().clock
    return clock.fitted(observation.observations(records, gpus, kernels_of))


def kernels_of(case: Case) -> Kernels | None:
    """What the kernels of a case compute and move; None if they can't be counted.

    Those that unpack weights, moves from the host's memory, and calls of several stages can't.
    """
    if case.model in models.zoo() and models.workload(case.model).parts(case):
        return None
    try:
        return tracing.kernels_of(case)
    except BenchError:
        return None


def of_published() -> ShippedClock:
    """The model fitted to the published times that come with the program. Raises ResultsError without them."""
    folder = published()
    records = [] if folder is None else read_latest([folder], strict=True)[0]
    timed = observation.observations(records, load_gpus(), kernels_of)
    fitted = clock.fitted(timed)
    if fitted is None:
        raise ResultsError("The published times are too few to fit a model of times. Restore results/published/.")
    return ShippedClock(observation.digest(timed), fitted)


if __name__ == "__main__":
    shipped.PATH.write_bytes(shipped.to_json(of_published()))
