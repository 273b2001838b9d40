"""What became of a run and of its cases: in words, as lines of a terminal, and as data."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bench.core import stats
from bench.core.units import format_bytes, format_count, format_metric, format_seconds, one_line
from bench.record import Load, Measured, Overlap, Record, Remote, Stage, Timing, describe
from bench.report.render.terminal import say
from bench.run.run_options import RunSummary
from bench.workloads.labels import label_of

_STYLES = {"measured": "green", "out_of_memory": "yellow", "skipped": "dim"}


def describe_case(record: Record) -> str:
    """Return a case's figures, or its outcome in a few words."""
    return _figures(record) if isinstance(record.outcome, Measured) else one_line(describe(record.outcome))


def case_line(record: Record, before: str = "") -> Text:
    """Return a case's name, after the text `before`, and its figures or outcome in the outcome's colour."""
    line = Text(f"{before}{label_of(record.case)}: ")
    return line.append(describe_case(record), style=_STYLES.get(record.outcome.status, "red"))


def describe_load(load: Load) -> str:
    """Return one load in a line: successful answers, answers per second, and latencies."""
    parts = [f"{load.succeeded:,} of {load.sent:,} good", f"{load.throughput_per_s:.3g} /s"]
    parts += [
        f"p{percentile.q * 100:g} {format_seconds(percentile.seconds)}"
        for percentile in load.percentiles
        if percentile.q in {0.5, 0.99} and load.is_enough_for(percentile.q)
    ]
    return f"load, {load.title}: {', '.join(parts)}"


def describe_overlap(overlap: Overlap) -> str:
    """Return one overlap in a line: the time of its images in turn with generation, and overlapped with it."""
    in_turn_s, overlapped_s = stats.median(overlap.in_turn_s), stats.median(overlap.overlapped_s)
    return f"overlap, {overlap.title}: {format_seconds(in_turn_s)} in turn, {format_seconds(overlapped_s)} overlapped"


def _figures(record: Record) -> str:
    parts: list[str] = []
    if record.timing is not None:
        parts.append(f"{format_seconds(record.timing.median_s)} ({_quality(record.timing)})")
    memory = record.memory
    if memory is not None and memory.percent is not None:
        parts.append(f"peak {format_bytes(memory.peak_bytes)} ({format_metric('memory_percent', memory.percent)})")
    if record.tiles is not None:
        parts.append(format_count(record.tiles, "tile"))
    if len(record.stages) > 1:
        timed = [(stage.name, stage.timing.median_s) for stage in record.stages if stage.timing]
        parts += [f"{name} {format_seconds(median_s)}" for name, median_s in timed]
    return ", ".join(parts)


def _quality(timing: Timing) -> str:
    """Return the number of samples and their uncertainty: half the median's 95% interval, else the noise."""
    count = f"median of {len(timing.samples_s)}"
    uncertainty = stats.uncertainty(timing.samples_s)
    if uncertainty is not None:
        return f"{count} ±{uncertainty:.1%}"
    return count if timing.noise is None else f"{count}, noise {timing.noise:.1%}"


def print_summary(summary: RunSummary, console: Console, *, indent: int = 0) -> None:
    """Print the run's counts and file, and each case that was not measured."""
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in summary.counts.items())
    say(console, f"{format_count(len(summary.records), 'case')}: {counts}", indent=indent)
    for record in summary.records:
        if record.outcome.status != "measured":
            say(console, case_line(record), indent=indent + 2)
    say(console, f"Results: {summary.path}", indent=indent)


def summary_json(summary: RunSummary) -> dict[str, object]:
    """Return the summary as data: file, counts, and each case's id, label and outcome."""
    return {
        "file": str(summary.path),
        "resumed": summary.resumed,
        "counts": summary.counts,
        "cases": [_case_json(record) for record in summary.records],
    }


def _case_json(record: Record) -> dict[str, object]:
    stages = [{"name": stage.name, **_figures_json(stage)} for stage in record.stages]
    return {
        "id": record.case.id,
        "label": label_of(record.case),
        "status": record.outcome.status,
        **_figures_json(record),
        **({"stages": stages} if len(stages) > 1 else {}),
        **(_remote_json(record.remote) if record.remote else {}),
    }


def _figures_json(part: Record | Stage) -> dict[str, object]:
    return {
        "median_s": part.timing.median_s if part.timing else None,
        "memory_percent": part.memory.percent if part.memory else None,
    }


def _remote_json(remote: Remote) -> dict[str, object]:
    """Return the further fields of an endpoint's case."""
    return {
        **remote.model_dump(include={"request_bytes", "response_bytes"}),
        "exchanges": [
            {"client": exchange.client, "connection": exchange.connection, "median_s": exchange.timing.median_s}
            for exchange in remote.exchanges
        ],
        "overlaps": [
            {
                "overlap": overlap.title,
                "generation_s": overlap.generation_s,
                "in_turn_s": stats.median(overlap.in_turn_s),
                "overlapped_s": stats.median(overlap.overlapped_s),
            }
            for overlap in remote.overlaps
        ],
        "loads": [
            {
                "load": load.title,
                **load.model_dump(include={"sent", "succeeded", "throughput_per_s", "errors"}),
                "percentiles_s": {f"p{percentile.q * 100:g}": percentile.seconds for percentile in load.percentiles},
            }
            for load in remote.loads
        ],
    }
