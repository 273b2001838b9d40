"""Where a shipped trace differs from a live one, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from importlib.metadata import version
from itertools import groupby, zip_longest

from bench.record import Case
from bench.traces.events import Death, Event, Pass, Trace
from bench.traces.shipped import ShippedTraces
from bench.workloads.labels import label_of


def message(case: Case, traces: ShippedTraces, ours: Trace, live: Trace) -> str:
    """What drifted, with the versions on both sides and what to do; empty if the traces are equal."""
    first = difference(ours, live)
    if first is None:
        return ""
    captured, installed = (
        " and ".join(f"{package} {number}" for package, number in versions.items())
        for versions in (
            {"torch": traces.torch, "diffusers": traces.diffusers},
            {package: version(package) for package in ("torch", "diffusers")},
        )
    )
    return (
        f"{label_of(case)}: {first}. The shipped trace is of {captured}, the live one of {installed}. If the live one "
        "is right, run `make traces`."
    )


def deaths_in_order(trace: Trace) -> Trace:
    """The trace with what dies at one moment in the order of its keys, so that two traces can be compared.

    Between such deaths nothing is allocated, so that memory is the same after any order of them. The order changes once
    torch.compile has run in the process: calls through its frame hook keep their arguments until they return.
    """
    return replace(trace, events=tuple(_deaths_in_order(trace.events)))


def _deaths_in_order(events: Iterable[Event]) -> Iterable[Event]:
    for are_deaths, together in groupby(events, lambda event: isinstance(event, Death)):
        if are_deaths:
            yield from sorted(together, key=lambda death: death.key)
        else:
            for event in together:
                is_pass = isinstance(event, Pass)
                yield replace(event, events=tuple(_deaths_in_order(event.events))) if is_pass else event


def difference(ours: Trace, live: Trace) -> str | None:
    """The first number or event in which the traces differ; None if they are equal."""
    for field in fields(Trace):
        ours_value, live_value = getattr(ours, field.name), getattr(live, field.name)
        if ours_value != live_value:
            if field.name == "events":
                return _first_event(ours.events, live.events)
            return f"{field.name}: shipped {ours_value}, live {live_value}"
    return None


def _first_event(ours: tuple[Event, ...], live: tuple[Event, ...], where: str = "") -> str:
    for index, (shipped, captured) in enumerate(zip_longest(ours, live)):
        if shipped == captured:
            continue
        if isinstance(shipped, Pass) and isinstance(captured, Pass) and shipped.events != captured.events:
            return _first_event(shipped.events, captured.events, f"pass of {shipped.shape}, ")
        return f"{where}event {index}: shipped {shipped}, live {captured}"
    raise AssertionError("the events are equal")
