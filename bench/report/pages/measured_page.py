"""The report pages: every result of one operation by model, and the devices and runs below the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.record import Case, Ceilings, Record, alike_but_for, describe, grouped
from bench.report.document import Block, Bullets, Cell, Column, Document, Section, Table, Terms, Text, table_of
from bench.report.pages import cells, driver_peak, measured_cells, run_details, stages_table
from bench.workloads import models
from bench.workloads.base import Workload
from bench.workloads.labels import label_of, takes_tiles

#: The page of records whose models are not among the workloads here.
_UNKNOWN_MODELS = "other.md"
#: Outcomes listed below the tables: they give no figure, and unlike OOM they are not results.
_NO_FIGURE = ("timed_out", "crashed", "failed", "skipped")
_WRITTEN = "Written by `bench report` from the results; do not edit."


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a table: a case on one device, untiled and tiled.

    `record` is either of them, for what both have in common.
    """

    record: Record
    untiled: Record | None
    tiled: Record | None


def pages(
    records: Sequence[Record], ceilings: Sequence[Ceilings] = (), *, has_runs: bool = True
) -> dict[str, Document]:
    """The pages of all kinds of workload by file name, such as `vae_encode.md`.

    `has_runs`: with each run's figures as details, which take long to make of many runs.
    """
    groups = grouped(run_details.local(records), lambda record: _place(record.case))
    placed = {_place(group[0].case): group for group in groups}
    documents = {
        _file(kind, operation): page(
            kind, operation, placed.get((kind.page, operation), []), ceilings, has_runs=has_runs
        )
        for kind in models.workloads()
        for operation in kind.operations
        if kind.in_docs or (kind.page, operation) in placed
    }
    if None in placed:
        documents[_UNKNOWN_MODELS] = _unknown_models(placed[None], ceilings, has_runs=has_runs)
    return documents


def _file(kind: Workload, operation: str) -> str:
    """`vae_encode.md`, `video_vae_decode.md`."""
    return f"{kind.page.lower().replace(' ', '_')}_{operation}.md"


def _place(case: Case) -> tuple[str, str] | None:
    """The page of a case. An unknown model goes to a page with its operation; None if no workload has that."""
    if case.model in models.zoo():
        return models.workload(case.model).page, case.operation
    kind = next((kind for kind in models.workloads() if case.operation in kind.operations), None)
    return None if kind is None else (kind.page, case.operation)


def page(
    kind: Workload,
    operation: str,
    records: Sequence[Record],
    ceilings: Sequence[Ceilings] = (),
    *,
    has_runs: bool = True,
) -> Document:
    """A page of one operation of a kind of workload: tables by model, all figures, devices.

    Records of other operations and of endpoints are left out; endpoints have a page of their own (`remote_page`).
    `ceilings` are the measured ones of the records' devices, one for each device. `has_runs` as in `pages`.
    """
    shown = [record for record in run_details.local(records) if record.case.operation == operation]
    title = f"{kind.page} {operation}"
    has_table = kind.in_docs or any(models.has_docs_row(record.case) for record in shown)
    docs = f" `bench docs render RESULTS --operation {operation}` prints the docs' table." if has_table else ""
    written = Text(f"{_WRITTEN}{docs}")
    if not shown:
        nothing = Text(f"There are no results of {title} yet. `bench run` measures them on this machine.")
        return Document(title, (nothing,), (written,))
    return Document(title, _body(shown, ceilings, has_runs=has_runs), (*_legend(shown, in_docs=kind.in_docs), written))


def _unknown_models(records: Sequence[Record], ceilings: Sequence[Ceilings], *, has_runs: bool) -> Document:
    """The page of unknown models: measured with a workload that is not installed on this machine."""
    text = "These models are unknown here. Set BENCH_WORKLOADS to the files that describe them."
    body = _body(records, ceilings, has_runs=has_runs)
    return Document("Other models", (Text(text), *body), (*_legend(records, in_docs=False), Text(_WRITTEN)))


def _body(records: Sequence[Record], ceilings: Sequence[Ceilings], *, has_runs: bool) -> tuple[Block, ...]:
    several = len({record.case.operation for record in records}) > 1
    sections: list[Block] = []
    order = {key: number for number, key in enumerate(models.zoo())}
    # not in the order of the results, in which another device would change the order of all sections
    groups = sorted(
        cells.by_call(records, lambda record: record.case),
        key=lambda call: order.get(call[1][0].case.model, len(order)),
    )
    for name, group in groups:
        title = name if several else models.title(group[0].case.model)
        sections.append(Section(title, (_results(group), *stages_table.blocks(group))))
    runs = run_details.runs(records, ceilings) if has_runs else []
    return (*sections, *_cases_without_figure(records), run_details.devices(records, runs))


def _legend(records: Sequence[Record], *, in_docs: bool) -> tuple[Block, ...]:
    return (Terms(tuple(_terms(records, in_docs=in_docs))),)


def _terms(records: Sequence[Record], *, in_docs: bool) -> list[tuple[str, str]]:
    terms = [
        ("Time", "the median of one call, in seconds"),
        (
            "Memory",
            "the peak as a share of the device's total, as in the docs. On CUDA it is the peak that torch reserved. "
            "On a CPU it is the weights and the growth of the resident set, as a share of the RAM",
        ),
        ("OOM", "out of memory, which is a result"),
        ("-", "not measured"),
    ]
    if _takes_tiles(records):
        terms += [
            ("Tile", "the edge of a tile, and the overlap of neighbouring tiles"),
            ("Tiles", "how many tiles one call computed; 1 means that one tile covers the image"),
        ]
    if any(record.kind == "published" for record in records):
        terms.append(("Published", _published(records, in_docs=in_docs)))
    return [*terms, *stages_table.legend(records), *driver_peak.legend(records)]


def _published(records: Sequence[Record], *, in_docs: bool) -> str:
    """Who printed the published figures, and what is assumed of them."""
    if in_docs:
        return (
            "the docs print these figures; this program did not measure them. The docs do not state precision, batch "
            "and tile: these are assumed from the model zoo"
        )
    assumed = dict.fromkeys(name for record in records for name in record.assumed)
    return (
        "the sources below Devices print these figures; this program did not measure them. They do not state "
        f"{', '.join(assumed)}: assumed from the model zoo"
    )


def _results(records: Sequence[Record]) -> Table:
    """The rows of a model. The driver's peaks have columns if any is known, tiles if the model can be tiled."""
    driver, tiles = any(driver_peak.is_known(record) for record in records), _takes_tiles(records)
    return table_of(
        _rows(records),
        (Column("Device"), lambda row: run_details.device_label(row.record)),
        (Column("Source", key="kind"), lambda row: row.record.kind),
        (Column("Precision"), lambda row: measured_cells.precision(row.record)),
        *measured_cells.size_columns(records, _case),
        (Column("Time (s)", "seconds", key="time"), lambda row: measured_cells.time(row.untiled)),
        (Column("Memory", "percent"), lambda row: measured_cells.memory(row.untiled)),
        *(_DRIVER if driver else ()),
        *(_TILED if tiles else ()),
        *(_TILED_DRIVER if driver and tiles else ()),
    )


def _case(row: _Row) -> Case:
    return row.record.case


def _takes_tiles(records: Iterable[Record]) -> bool:
    return any(takes_tiles(record.case) for record in records)


def _rows(records: Sequence[Record]) -> list[_Row]:
    """Untiled and tiled cases joined; measured rows first, and small images first within a device and precision."""
    rows: list[_Row] = []
    for group in grouped(
        measured_cells.measured_first(records),
        lambda record: (record.kind, run_details.device_label(record), *alike_but_for(record.case, "tiling")),
    ):
        untiled = next((record for record in group if record.case.tile is None), None)
        tiled = [record for record in group if record.case.tile is not None]
        rows += [_Row(untiled or record, untiled, record) for record in tiled] or [_Row(group[0], untiled, None)]
    return rows


def _tile(row: _Row) -> Cell:
    if row.tiled is None or row.tiled.case.tile is None:
        return Cell()
    return Cell(row.tiled.case.tile.label, kind="assumed" if "tiling" in row.tiled.assumed else None)


_Columns = tuple[tuple[Column, Callable[[_Row], Cell | str | float | None]], ...]
_DRIVER: _Columns = ((Column("By the driver", "bytes"), lambda row: driver_peak.cell(row.untiled)),)
_TILED: _Columns = (
    (Column("Tile (px)", right=True, key="tile"), _tile),
    (Column("Tiles", "count"), lambda row: row.tiled.tiles if row.tiled else None),
    (Column("Tiled time (s)", "seconds", key="tiled_time"), lambda row: measured_cells.time(row.tiled)),
    (Column("Tiled memory", "percent"), lambda row: measured_cells.memory(row.tiled)),
)
_TILED_DRIVER: _Columns = ((Column("Tiled, by the driver", "bytes"), lambda row: driver_peak.cell(row.tiled)),)


def _cases_without_figure(records: Iterable[Record]) -> list[Section]:
    """A section that names the cases without a figure, except those out of memory; none if every case has one."""
    lines = tuple(
        f"{run_details.device_label(record)}: {label_of(record.case)}: {describe(record.outcome)}"
        for record in records
        if record.outcome.status in _NO_FIGURE
    )
    return [Section("Cases without a figure", (Bullets(lines),))] if lines else []
