"""The table of a run that is not over: all sizes of one model and operation, as `bench run` prints them."""

from __future__ import annotations

from endpoint_records import an_endpoint_record
from factories import a_case, failed, measured, out_of_memory

from bench.record import Record
from bench.report.document import Document, Table
from bench.report.pages import run_table
from bench.report.render import console

TILE = {"tile": 64, "overlap": 16}


def texts(table: Table) -> list[list[str]]:
    """What each cell shows, without its note."""
    return [[column.text(cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]


def sizes(*edges: int) -> list[Record]:
    """Each edge untiled and in tiles."""
    return [measured(edge / 1000, case=a_case(size=edge, tiling=tiling)) for edge in edges for tiling in ("off", TILE)]


def test_a_size_is_a_line_with_a_time_and_memory_for_each_tiling() -> None:
    # given sizes in the docs' order
    table = run_table.table(sizes(128, 64))
    # then small ones come first
    assert [column.name for column in table.columns] == ["Size", "untiled", "memory", "tile 64/16", "memory"]
    assert texts(table) == [
        ["64x64", "64 ms", "8.40%", "64 ms", "8.40%"],
        ["128x128", "128 ms", "8.40%", "128 ms", "8.40%"],
    ]
    assert {cell.note for row in table.rows for cell in (row[2], row[4])} == {"2.00 GiB"}


def test_what_has_no_time_says_why() -> None:
    records = [out_of_memory(case=a_case()), measured(case=a_case(tiling=TILE)), failed(case=a_case(size=128))]
    assert texts(run_table.table(records)) == [["64x64", "OOM", "50 ms", "8.40%"], ["128x128", "failed", "-", "-"]]


def test_precisions_and_batches_have_lines_of_their_own() -> None:
    records = [measured(case=a_case(dtype=dtype, batch=batch)) for dtype in ("float32", "float16") for batch in (1, 2)]
    assert [row[:2] for row in texts(run_table.table(records))] == [
        ["64x64", "float32"],
        ["64x64, batch 2", "float32"],
        ["64x64", "float16"],
        ["64x64, batch 2", "float16"],
    ]


def test_an_endpoint_has_a_column_for_each_transport_and_no_memory() -> None:
    records = [
        an_endpoint_record(seconds, case={"size": size, "transport": transport})
        for size in (64, 128)
        for transport, seconds in (("png", 0.02), ("jpg", 0.01))
    ]
    table = run_table.table(records)
    assert [column.name for column in table.columns] == ["Size", "jpg", "png"]
    medians = [record.timing.median_s * 1000 for record in records[:2] if record.timing]
    assert texts(table)[1] == ["128x128", f"{medians[1]:.0f} ms", f"{medians[0]:.0f} ms"]


def test_it_names_model_operation_and_device_and_fits_a_terminal_of_80_columns() -> None:
    drawn = console.render(Document("", (run_table.table(sizes(64, 2048)),)))
    assert "Tiny encode on NVIDIA Test" in drawn
    assert max(map(len, drawn.splitlines())) <= 80
