"""Published and measured times, each with the kernels of the call and the rates of the card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from bench.config.gpus import Gpu, Gpus
from bench.core.units import ITEM_BYTES
from bench.core.work import Kernels
from bench.record import Case, Measured, Record
from bench.record.record import Kind
from bench.workloads import models

#: Shorter times (s) are left out: the docs print whole milliseconds, which would be 10% or more of them.
LEAST_S = 0.010
#: The variants that run the kernels of the default one: slicing calls them for one image after another.
_DEFAULT_KERNELS = ("default", "sliced")


@dataclass(frozen=True, slots=True)
class TimedCall:
    """The time of a call of `case` on a card, in seconds. `kind` is that of its record: published or measured."""

    kind: Kind
    card: str
    case: Case
    seconds: float


@dataclass(frozen=True, slots=True)
class Observation(TimedCall):
    """A timed call with what a model of times needs: the card's rates and the kernels that ran."""

    gpu: Gpu
    kernels: Kernels


def variant_of(case: Case) -> str:
    """The variant whose kernels a case runs: each has figures of its own in the model of times."""
    return "default" if case.variant in _DEFAULT_KERNELS else case.variant


def timed_calls(records: Iterable[Record], gpus: Gpus) -> tuple[tuple[TimedCall, Gpu], ...]:
    """The times that a model can use: local, above `LEAST_S`, without a memory limit, on cards of known rates.

    If some are published, only those of models of the published classes: others run other kernels, and would change the
    figures of these.
    """
    given = list(records)
    classes = {key: class_of(key) for key in dict.fromkeys(record.case.model for record in given)}
    published = {classes[record.case.model] for record in given if record.kind == "published"}
    card_of = cache(gpus.of_device)
    usable = []
    for record in given:
        seconds = None if published and classes[record.case.model] not in published else _seconds(record)
        entry = None if seconds is None else card_of(record.device.name, record.device.total_bytes)
        if seconds is not None and entry is not None and entry[1].has_rates:
            usable.append((TimedCall(record.kind, entry[0], record.case, seconds), entry[1]))
    return tuple(usable)


def observations(
    records: Iterable[Record], gpus: Gpus, kernels_of: Callable[[Case], Kernels | None]
) -> tuple[Observation, ...]:
    """The same times, with the kernels that `kernels_of` counts (None if it can't, and the time is left out).

    A variant computes what the default one does.
    """
    return tuple(
        Observation(call.kind, call.card, call.case, call.seconds, gpu, kernels)
        for call, gpu in timed_calls(records, gpus)
        if (kernels := kernels_of(_counted(call.case))) is not None
    )


def class_of(key: str) -> str:
    """The class of a model in the library that runs it; empty if it is not known."""
    return models.workload(key).facts(key).class_name if key in models.zoo() else ""


def digest(calls: Iterable[TimedCall]) -> str:
    """A digest of times, whatever their order: two sets of records with one digest lead to the same model."""
    lines = sorted(f"{call.kind} {call.card} {call.case.id} {call.seconds!r}" for call in calls)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _counted(case: Case) -> Case:
    return case.model_copy(update={"variant": "default"}) if variant_of(case) != "default" else case


def _seconds(record: Record) -> float | None:
    """The time of a record, if the model can use it. Under a memory limit low-workspace kernels may have run."""
    case = record.case
    if case.transport is not None or record.vram_limit_bytes is not None:
        return None
    if case.dtype not in ITEM_BYTES or not _can_count(case):
        return None
    if not isinstance(record.outcome, Measured) or record.timing is None or record.timing.median_s <= LEAST_S:
        return None
    return record.timing.median_s


def _can_count(case: Case) -> bool:
    """Whether the kernels of a case can be counted without running it."""
    if case.model not in models.zoo():
        return False
    workload = models.workload(case.model)
    return workload.has_fitted_times and workload.is_predicted and case.operation in workload.operations
