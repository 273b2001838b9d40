"""The report pages: every result of one operation by model, published rows marked, and the machines underneath.

Reads records only; never torch. The docs' own dialects are `docs_table`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.record import Case, Ceilings, Measured, OutOfMemory, Record, Tile, describe
from bench.report import driver_peak, kinds, markdown, run_details
from bench.report.markdown import safe
from bench.units import format_bytes, format_metric
from bench.workloads import models

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


def render(operation: str, records: Sequence[Record], ceilings: Sequence[Ceilings] = ()) -> str:
    """The page `reports/vae_<operation>.md`: tables by model, all figures, devices. Ends in a newline.

    What an endpoint did is on a page of its own (`report.remote`). `ceilings` are those of the records' devices that
    were measured, one a device.
    """
    mine = [record for record in run_details.local(records) if record.case.operation == operation]
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
        parts += [f"## {safe(models.title(key))}", _table([record for record in mine if record.case.model == key])]
    parts += _trouble(mine)
    parts += ["## Devices", *run_details.sections(mine, ceilings)]
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
    driver = driver_peak.legend(records)
    return markdown.bullets([*said, *([driver] if driver else [])])


def _table(records: Sequence[Record]) -> str:
    """The rows of a model; the driver's peaks have columns where one of them is known."""
    driver = any(driver_peak.is_known(record) for record in records)
    beside, beside_tiled = (["By the driver"], ["Tiled, by the driver"]) if driver else ([], [])
    headers = ["Device", "Source", "Precision", "Resolution", "Time (s)", "Memory", *beside]
    headers += ["Tile (px)", "Tiles", "Tiled time (s)", "Tiled memory", *beside_tiled]
    rows = [
        (
            safe(row.device),
            row.kind if row.kind == "measured" else f"*{row.kind}*",
            safe(_precision(row)),
            row.case.resolution,
            _time(row.untiled),
            _memory(row.untiled),
            *([driver_peak.cell(row.untiled)] if driver else []),
            _tile(row),
            str(row.tiled.tiles) if row.tiled and row.tiled.tiles is not None else "-",
            _time(row.tiled),
            _memory(row.tiled),
            *([driver_peak.cell(row.tiled)] if driver else []),
        )
        for row in _rows(records)
    ]
    return markdown.table(headers, rows, "llll" + "r" * (len(headers) - 4))


def _rows(records: Sequence[Record]) -> list[_Row]:
    """Untiled and tiled cases joined; measured rows first, each in the order in which they came."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in sorted(records, key=lambda record: record.kind != "measured"):
        case = record.case
        alike = (case.dtype, case.batch, case.frames, case.weights, case.variant, case.resolution)
        groups.setdefault((record.kind, run_details.device_label(record), *alike), []).append(record)
    rows: list[_Row] = []
    for group in groups.values():
        first, label = group[0], run_details.device_label(group[0])
        untiled = next((record for record in group if record.case.tile is None), None)
        tiled = [record for record in group if record.case.tile is not None]
        rows += [_Row(label, first.kind, first.case, record.case.tile, untiled, record) for record in tiled]
        if not tiled:
            rows.append(_Row(label, first.kind, first.case, None, untiled, None))
    return rows


def _precision(row: _Row) -> str:
    batch = [f"batch {row.case.batch}"] if row.case.batch != 1 else []
    return kinds.precision(row.case, row.untiled or row.tiled, *batch)


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
    return "OOM" if isinstance(record.outcome, OutOfMemory) else run_details.status(record)


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
        safe(f"{run_details.device_label(record)}: {record.case.label}: {describe(record.outcome)}")
        for record in records
        if record.outcome.status in _NO_FIGURE
    ]
    return ["## Cases without a figure", markdown.bullets(lines)] if lines else []
