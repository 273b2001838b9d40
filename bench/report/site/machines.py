"""The machines of the page: what each device ran with, and the warnings about its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.core.units import format_bytes, format_count
from bench.doctor.device_findings import float32_settings
from bench.record import Environment, Measured, OutOfMemory, Record, describe, grouped
from bench.report.pages import cells
from bench.report.pages.run_details import begun_last
from bench.report.site.record_rows import device
from bench.report.site.shown import shown
from bench.workloads.labels import label_of

#: More machines, and more warnings of one, can't be read; `bench report --format csv` writes all of them.
MOST_MACHINES, _MOST_WARNINGS = 100, 12
_MOST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Machine:
    """A device that ran something.

    Attributes:
        facts: what it ran with, in pairs of a name and a text.
        warnings: what casts doubt on its figures, and the cases without a figure: how many cases, and what.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def machines(records: Sequence[Record]) -> tuple[list[Machine], int]:
    """The devices that ran last, and how many others there are. Published figures name no machine."""
    groups = grouped([record for record in records if record.kind == "measured"], device)
    if len(groups) > MOST_MACHINES:
        groups = sorted(groups, key=lambda group: begun_last(group).run.started_at, reverse=True)
    return [_machine(group) for group in groups[:MOST_MACHINES]], max(0, len(groups) - MOST_MACHINES)


def _machine(records: Sequence[Record]) -> Machine:
    last = begun_last(records)
    facts = [("Last run", f"{cells.begun(last)} UTC, sweep {last.run.config}")]
    runs = len({record.run.id for record in records})
    facts.append(("Shown here", f"{format_count(len(records), 'case')} of {format_count(runs, 'run')}"))
    if last.device.total_bytes:
        facts.append(("Memory", format_bytes(last.device.total_bytes)))
    if last.remote is not None:
        facts.append(("Address", last.remote.endpoint.url))
    facts += _software(last.environment, last) if last.environment is not None else []
    return Machine(
        device(last), tuple((name, shown(text)) for name, text in facts), tuple(map(shown, _warnings(records)))
    )


def _software(environment: Environment, record: Record) -> Iterator[tuple[str, str]]:
    """What the last run used."""
    yield "Packages", ", ".join(f"{name} {package.version}" for name, package in environment.packages.items())
    yield "Python", f"{environment.python}, {environment.os}"
    threads = f", {format_count(environment.threads, 'thread')} of torch" if environment.threads else ""
    yield "Host", f"{environment.host_cpu}, {format_count(environment.host_cores, 'core')}{threads}"
    if record.device.kind == "cuda":
        versions = (("driver", environment.driver), ("CUDA", environment.cuda), ("cuDNN", environment.cudnn))
        yield "Driver", ", ".join(f"{name} {version}" for name, version in versions if version) or "unknown"
    if environment.gpu is not None and environment.gpu.power_limit_w:
        yield "Power limit", f"{environment.gpu.power_limit_w:.0f} W"
    if environment.torch_settings is not None:
        yield "float32", float32_settings(environment.torch_settings)
    if environment.project_commit:
        yield "Hybrid Bench", f"commit {environment.project_commit}"


def _warnings(records: Sequence[Record]) -> list[str]:
    """Each warning once, with how many cases have it; the most frequent first."""
    first: dict[str, str] = {}
    count: dict[str, int] = {}
    for record in records:
        for text in dict.fromkeys(_doubts(record)):
            first.setdefault(text, label_of(record.case))
            count[text] = count.get(text, 0) + 1
    ordered = sorted(count, key=lambda text: -count[text])
    lines = [
        f"{first[text] if count[text] == 1 else format_count(count[text], 'case')}: {text[:_MOST_TEXT]}"
        for text in ordered
    ]
    unlisted = len(lines) - _MOST_WARNINGS
    more = [f"{format_count(unlisted, 'more warning')}: see the records"] if unlisted > 0 else []
    return lines[:_MOST_WARNINGS] + more


def _doubts(record: Record) -> Iterator[str]:
    yield from record.warnings
    if not isinstance(record.outcome, Measured | OutOfMemory):
        yield describe(record.outcome)
    environment = record.environment
    if environment is not None and environment.may_spill:
        yield f"out of memory may go unnoticed: {environment.may_spill}"
    if environment is not None and environment.gpu is not None and environment.gpu.is_power_lowered:
        yield "the power limit is below the card's default"
