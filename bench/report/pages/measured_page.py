"""The report pages: every result of one operation by model, published rows marked, and the machines underneath.

Reads records only; never torch. The docs' own dialects are `docs_table`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.core.units import format_bytes, format_metric
from bench.record import Case, Ceilings, Measured, Memory, OutOfMemory, Record, Tile, alike_but_for, describe, grouped
from bench.report.pages import driver_peak, kinds, run_details
from bench.report.render import markdown
from bench.report.render.markdown import safe
from bench.workloads import models
from bench.workloads.base import Workload
from bench.workloads.labels import extras, label_of, size_of, takes_tiles

#: The page of records whose models are not among the workloads here.
_OTHERS = "other"
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


def pages(records: Sequence[Record], ceilings: Sequence[Ceilings] = ()) -> dict[str, str]:
    """The pages of all kinds of workload by file name: `vae_encode.md`."""
    local = run_details.local(records)
    made: dict[str, str] = {}
    for kind in models.workloads():
        for operation in kind.operations:
            placed = [one for one in local if _place(one.case) == (kind.page, operation)]
            if placed or kind.in_docs:
                made[f"{kind.page.lower()}_{operation}.md"] = render(kind, operation, placed, ceilings)
    others = [one for one in local if _place(one.case) is None]
    return made | ({f"{_OTHERS}.md": _others(others, ceilings)} if others else {})


def _place(case: Case) -> tuple[str, str] | None:
    """The page of a case; of a model that is not here that of its operation; None where there is no such operation."""
    if case.model in models.zoo():
        return models.workload(case.model).page, case.operation
    kind = next((kind for kind in models.workloads() if case.operation in kind.operations), None)
    return None if kind is None else (kind.page, case.operation)


def render(kind: Workload, operation: str, records: Sequence[Record], ceilings: Sequence[Ceilings] = ()) -> str:
    """A page of one operation of a kind of workload: tables by model, all figures, devices. Ends in a newline.

    Records of other operations and of endpoints are left out; endpoints have a page of their own (`remote_page`).
    `ceilings` are those of the records' devices that were measured, one a device.
    """
    shown = [record for record in run_details.local(records) if record.case.operation == operation]
    title = f"{kind.page} {operation}"
    docs = f" What the docs would print is `bench docs render RESULTS --operation {operation}`." if kind.in_docs else ""
    parts = [f"# {title}", f"Written by `bench report` from the results; edit nothing here.{docs}"]
    if not shown:
        parts.append(f"There are no results of {title} yet. `bench run` measures them on this machine.")
        return "\n\n".join(parts) + "\n"
    return "\n\n".join([*parts, *_body(shown, ceilings)]) + "\n"


def _others(records: Sequence[Record], ceilings: Sequence[Ceilings]) -> str:
    """The page of models that are not here: whoever measured them had a workload that this machine lacks."""
    parts = [
        "# Other models",
        "Written by `bench report` from the results; edit nothing here. These models are not known here: the variable "
        "BENCH_WORKLOADS names the files that describe them.",
    ]
    return "\n\n".join([*parts, *_body(records, ceilings)]) + "\n"


def _body(records: Sequence[Record], ceilings: Sequence[Ceilings]) -> list[str]:
    parts = [_legend(records)]
    several = len({record.case.operation for record in records}) > 1
    for alike in grouped(records, lambda record: (record.case.model, record.case.operation)):
        case = alike[0].case
        heading = f"{models.title(case.model)} {case.operation}" if several else models.title(case.model)
        parts += [f"## {safe(heading)}", _table(alike), *_stages(alike)]
    return [*parts, *_trouble(records), "## Devices", *run_details.sections(records, ceilings)]


def _stages(records: Sequence[Record]) -> list[str]:
    """What each stage of a call took, of the calls that have several; no table where there is none."""
    rows = [
        (
            safe(run_details.device_label(record)),
            safe(kinds.precision(record.case, record, *extras(record.case))),
            safe(size_of(record.case)),
            safe(stage.name),
            f"{stage.timing.median_s:.3f}" if stage.timing else "-",
            _peak(stage.memory),
        )
        for record in records
        if len(record.stages) > 1
        for stage in record.stages
    ]
    if not rows:
        return []
    headers = ["Device", "Precision", "Size", "Stage", "Time (s)", "Memory"]
    return [
        "Stage by stage; above, a call's time is the sum of its stages', and its memory the most of them.",
        markdown.table(headers, rows, "llllrr"),
    ]


def _legend(records: Sequence[Record]) -> str:
    said = [
        "**Time** is the median of one call in seconds. **Memory** is the peak over the device's total, as the docs "
        "give it: peak reserved on CUDA; weights and growth of the resident set on a CPU, over its RAM. "
        "OOM: out of memory, which is a result. -: not measured.",
    ]
    if _takes_tiles(records):
        said.append(
            "**Tile** is the tile's edge and how far neighbours overlap; **Tiles** how many of them one call computed "
            "(1: the tile covers the image)."
        )
    if any(record.kind == "published" for record in records):
        said.append(
            "Rows marked *published* are figures that the docs print, not measurements of this program; what the docs "
            "do not say of them (precision, batch, tile) is assumed from the model zoo."
        )
    driver = driver_peak.legend(records)
    return markdown.bullets([*said, *([driver] if driver else [])])


def _table(records: Sequence[Record]) -> str:
    """The rows of a model; the driver's peaks have columns where one of them is known, and tiles where it takes any."""
    driver, tiles = any(driver_peak.is_known(record) for record in records), _takes_tiles(records)
    beside, beside_tiled = (["By the driver"], ["Tiled, by the driver"]) if driver else ([], [])
    size = "Resolution" if all("width" in record.case.axes for record in records) else "Size"
    headers = ["Device", "Source", "Precision", size, "Time (s)", "Memory", *beside]
    headers += ["Tile (px)", "Tiles", "Tiled time (s)", "Tiled memory", *beside_tiled] if tiles else []
    rows = [
        (
            safe(row.device),
            row.kind if row.kind == "measured" else f"*{row.kind}*",
            safe(_precision(row)),
            size_of(row.case),
            _time(row.untiled),
            _memory(row.untiled),
            *([driver_peak.cell(row.untiled)] if driver else []),
            *(_tiled(row, driver=driver) if tiles else []),
        )
        for row in _rows(records)
    ]
    return markdown.table(headers, rows, "llll" + "r" * (len(headers) - 4))


def _tiled(row: _Row, *, driver: bool) -> list[str]:
    """What a row says of its tiled case."""
    count = row.tiled.tiles if row.tiled else None
    cells = [_tile(row), "-" if count is None else str(count), _time(row.tiled), _memory(row.tiled)]
    return [*cells, driver_peak.cell(row.tiled)] if driver else cells


def _takes_tiles(records: Iterable[Record]) -> bool:
    """Whether one of the models can be run in tiles, as far as is known here."""
    return any(takes_tiles(record.case) for record in records)


def _rows(records: Sequence[Record]) -> list[_Row]:
    """Untiled and tiled cases joined; measured rows first, each in the order in which they came."""
    ordered = sorted(records, key=lambda record: record.kind != "measured")
    groups = grouped(ordered, lambda one: (one.kind, run_details.device_label(one), *alike_but_for(one.case, "tiling")))
    rows: list[_Row] = []
    for group in groups:
        first, label = group[0], run_details.device_label(group[0])
        untiled = next((record for record in group if record.case.tile is None), None)
        tiled = [record for record in group if record.case.tile is not None]
        rows += [_Row(label, first.kind, first.case, record.case.tile, untiled, record) for record in tiled]
        if not tiled:
            rows.append(_Row(label, first.kind, first.case, None, untiled, None))
    return rows


def _precision(row: _Row) -> str:
    return kinds.precision(row.case, row.untiled or row.tiled, *extras(row.case))


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
    return _peak(record.memory)


def _peak(memory: Memory | None) -> str:
    if memory is None or memory.percent is None:
        return "-"
    percent = format_metric("memory_percent", memory.percent)
    return percent if memory.peak_bytes is None else f"{percent} ({format_bytes(memory.peak_bytes)})"


def _trouble(records: Iterable[Record]) -> list[str]:
    """A section that names the cases without a figure, other than out-of-memory; none if there is none."""
    lines = [
        safe(f"{run_details.device_label(record)}: {label_of(record.case)}: {describe(record.outcome)}")
        for record in records
        if record.outcome.status in _NO_FIGURE
    ]
    return ["## Cases without a figure", markdown.bullets(lines)] if lines else []
