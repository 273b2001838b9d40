"""The report pages: every result of one operation by model, published rows marked, and the machines underneath.

Reads records only; never torch. The docs' own dialects are `docs_table`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench import models, stats
from bench.record import Case, Measured, OutOfMemory, Record, Tile, describe
from bench.report import markdown
from bench.units import METRICS, format_bytes, format_metric

#: Outcomes that leave a cell without a figure and are no result either.
_NO_FIGURE = ("timed_out", "crashed", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a table: the untiled and the tiled case of otherwise the same kind on one device."""

    device: str
    kind: str
    case: Case
    tile: Tile | None
    untiled: Record | None
    tiled: Record | None


def render(operation: str, records: Sequence[Record]) -> str:
    """The page `reports/vae_<operation>.md`: tables by model, all figures, devices. Ends in a newline."""
    mine = [record for record in records if record.case.operation == operation]
    parts = [
        f"# VAE {operation}",
        "Written by `bench report` from the results; edit nothing here. What the docs would print is "
        f"`bench docs render RESULTS --operation {operation}`.",
    ]
    if not mine:
        parts.append(f"There are no results of VAE {operation} yet. `bench run` measures them on this machine.")
        return "\n\n".join(parts) + "\n"
    parts.append(_legend(mine))
    for key in dict.fromkeys(record.case.model for record in mine):
        parts += [f"## {models.title(key)}", _table([record for record in mine if record.case.model == key])]
    parts += _trouble(mine)
    parts += ["## Devices", *_devices(mine)]
    return "\n\n".join(parts) + "\n"


def _legend(records: Sequence[Record]) -> str:
    said = [
        "**Time** is the median of one call in seconds. **Memory** is the peak over the device's total, as the docs "
        "give it: peak reserved on CUDA; weights and growth of the resident set on a CPU, over its RAM. "
        "OOM: out of memory, which is a result. -: not measured.",
        "**Tile** is the tile's edge and how far neighbours overlap; **Tiles** how many of them one call computed "
        "(1: the tile covers the image).",
    ]
    if any(record.kind == "published" for record in records):
        said.append(
            "Rows marked *published* are figures that the docs print, not measurements of this program; what the docs "
            "do not say of them (precision, batch, tile) is assumed from the model zoo."
        )
    return markdown.bullets(said)


_HEADERS = (
    "Device",
    "Source",
    "Precision",
    "Resolution",
    "Time (s)",
    "Memory",
    "Tile (px)",
    "Tiles",
    "Tiled time (s)",
    "Tiled memory",
)


def _table(records: Sequence[Record]) -> str:
    rows = [
        (
            row.device,
            row.kind if row.kind == "measured" else f"*{row.kind}*",
            _precision(row),
            row.case.resolution,
            _time(row.untiled),
            _memory(row.untiled),
            _tile(row),
            str(row.tiled.tiles) if row.tiled and row.tiled.tiles is not None else "-",
            _time(row.tiled),
            _memory(row.tiled),
        )
        for row in _rows(records)
    ]
    return markdown.table(_HEADERS, rows, "llllrrrrrr")


def _rows(records: Sequence[Record]) -> list[_Row]:
    """Untiled and tiled cases joined; measured rows first, each in the order in which they came."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in sorted(records, key=lambda record: record.kind != "measured"):
        case = record.case
        alike = (case.dtype, case.batch, case.frames, case.weights, case.variant, case.resolution)
        groups.setdefault((record.kind, device_label(record), *alike), []).append(record)
    rows: list[_Row] = []
    for group in groups.values():
        first, label = group[0], device_label(group[0])
        untiled = next((record for record in group if record.case.tile is None), None)
        tiled = [record for record in group if record.case.tile is not None]
        rows += [_Row(label, first.kind, first.case, record.case.tile, untiled, record) for record in tiled]
        if not tiled:
            rows.append(_Row(label, first.kind, first.case, None, untiled, None))
    return rows


def device_label(record: Record) -> str:
    """The device's name, with the limit under which it imitated a smaller one."""
    limit = record.vram_limit_bytes
    return record.device.name if limit is None else f"{record.device.name}, limited to {format_bytes(limit)}"


def _precision(row: _Row) -> str:
    case = row.case
    extra = [f"batch {case.batch}"] if case.batch != 1 else []
    extra += [f"weights {case.weights}"] if case.weights != "random" else []
    extra += [case.variant] if case.variant != "default" else []
    record = row.untiled or row.tiled
    assumed = " (assumed)" if record is not None and "dtype" in record.assumed else ""
    return ", ".join([f"{case.dtype}{assumed}", *extra])


def _tile(row: _Row) -> str:
    if row.tile is None:
        return "-"
    assumed = " (assumed)" if row.tiled is not None and "tiling" in row.tiled.assumed else ""
    return f"{row.tile.tile}/{row.tile.overlap}{assumed}"


def _time(record: Record | None) -> str:
    if record is None:
        return "-"
    if isinstance(record.outcome, Measured):
        return f"{record.timing.median_s:.3f}" if record.timing else "-"
    return "OOM" if isinstance(record.outcome, OutOfMemory) else _status(record)


def _status(record: Record) -> str:
    return record.outcome.status.replace("_", " ")


def _memory(record: Record | None) -> str:
    if record is None or isinstance(record.outcome, OutOfMemory):
        return "-" if record is None else "OOM"
    memory = record.memory
    if memory is None or memory.percent is None:
        return "-"
    percent = format_metric("memory_percent", memory.percent)
    return percent if memory.peak_bytes is None else f"{percent} ({format_bytes(memory.peak_bytes)})"


def _trouble(records: Iterable[Record]) -> list[str]:
    """A section that names the cases without a figure, other than out-of-memory; none if there is none."""
    lines = [
        f"{device_label(record)}: {record.case.label}: {describe(record.outcome)}"
        for record in records
        if record.outcome.status in _NO_FIGURE
    ]
    return ["## Cases without a figure", markdown.bullets(lines)] if lines else []


def _devices(records: Sequence[Record]) -> list[str]:
    """One section a device and run: what it was measured with, and all figures of each case."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((device_label(record), record.run.id), []).append(record)
    parts: list[str] = []
    published: dict[str, list[str]] = {}
    for (label, run_id), group in groups.items():
        if group[0].kind == "published":
            published.setdefault(group[0].run.config, []).append(label)
            continue
        parts += [
            f"### {label}: run {run_id}",
            markdown.bullets(_environment(group)),
            markdown.folded("All figures", _all(group)),
        ]
    for source, labels in published.items():
        parts += [f"### Published in {source}", markdown.bullets(list(dict.fromkeys(labels)))]
    return parts


def _environment(group: Sequence[Record]) -> list[str]:
    first = group[0]
    begun = first.run.started_at[:16].replace("T", " ")
    lines = [f"sweep `{first.run.config}`, begun {begun} UTC"]
    env = first.environment
    memory = f"{format_bytes(first.device.total_bytes)} of memory"
    if first.vram_limit_bytes is not None:
        memory += f", limited to {format_bytes(first.vram_limit_bytes)}: memory is a percentage of the limit"
    lines.append(memory)
    if env is None:
        return lines
    lines.append(", ".join(f"{name} {package.version}" for name, package in env.packages.items()))
    lines.append(
        f"Python {env.python}, {env.os}, {env.host_cpu} ({env.host_cores} cores, {env.threads or '?'} torch threads)"
    )
    if first.device.kind == "cuda":
        lines.append(f"driver {env.driver or 'unknown'}, CUDA {env.cuda}, cuDNN {env.cudnn}")
    commits = dict.fromkeys(r.environment.project_commit for r in group if r.environment)  # a run may be continued
    lines += [f"Hybrid Bench at commit {commit}" for commit in commits if commit]
    lines += [f"out-of-memory may not show: {env.may_spill}"] if env.may_spill else []
    lines += [f"{name}={value}" for name, value in env.variables.items()]
    return lines


def _all(group: Sequence[Record]) -> str:
    """Every metric of every case, by the table of metrics; columns that no case has are left out."""
    figures = [(record, _figures(record)) for record in group]
    keys = [key for key in METRICS if any(values.get(key) is not None for _, values in figures)]
    headers = ["Case", "Samples", "Noise", *(METRICS[key].title for key in keys)]
    rows = [
        [
            record.case.label,
            str(len(record.timing.samples_s)) if record.timing else _status(record),
            _noise(record),
            *(format_metric(key, values.get(key)) for key in keys),
        ]
        for record, values in figures
    ]
    meaning = markdown.bullets([f"{METRICS[key].title}: {METRICS[key].description}" for key in keys])
    return f"{markdown.table(headers, rows, 'lrr' + 'r' * len(keys))}\n\n{meaning}"


def _noise(record: Record) -> str:
    """Relative spread of the samples: their standard deviation over their mean."""
    spread = stats.noise(record.timing.samples_s) if record.timing else None
    return "-" if spread is None else f"{spread:.1%}"


def _figures(record: Record) -> dict[str, float | None]:
    """A record's value for each metric of `units.METRICS`."""
    timing, memory = record.timing, record.memory
    values: dict[str, float | None] = {}
    if timing is not None:
        values |= {"time": timing.median_s, "first_call": timing.first_call_s}
    if memory is not None:
        growth = None
        if memory.peak_rss_bytes is not None and memory.baseline_rss_bytes is not None:
            growth = memory.peak_rss_bytes - memory.baseline_rss_bytes
        values |= {
            "memory_percent": memory.percent,
            "peak_allocated": memory.peak_allocated_bytes,
            "peak_reserved": memory.peak_reserved_bytes,
            "peak_rss": growth,
            "weights": memory.weights_bytes,
            "nvml_process": memory.nvml_process_bytes,
        }
    return values
