"""The rows of the page's tables."""

from __future__ import annotations

from typing import Any

import pytest
from endpoint_records import an_endpoint_record, exchanges, remote
from factories import a_case, a_device, a_run, failed, measured, out_of_memory, published
from predictions import a_predicted_record

from bench.record import Record
from bench.report.site import record_rows
from bench.report.site.record_rows import RecordTable


def row_of(table: RecordTable) -> dict[str, Any]:
    """The only row, by column."""
    ((_, (row,)),) = table.groups
    return dict(zip([field.name for field in table.fields], row, strict=True))


def test_a_measured_case_has_its_figures_in_seconds_bytes_and_per_cent() -> None:
    table = record_rows.measured([measured(0.05, 8.4, case=a_case(model="sdxl", size=512))])

    row = row_of(table)
    assert table.groups[0][0] == ("NVIDIA Test", "SDXL", "encode")
    assert (row["Size"], row["Precision"], row["Way"]) == ("512x512", "float32", "untiled")
    assert (row["Time"], row["Memory"], row["Peak"], row["Samples"]) == (0.05, 8.4, 2147000000, 3)


@pytest.mark.parametrize(("record", "text"), [(out_of_memory(), "OOM"), (failed(), "failed")])
def test_a_case_without_a_time_says_how_it_ended(record: Record, text: str) -> None:
    assert row_of(record_rows.measured([record]))["Time"] == text


def test_kinds_have_tables_of_their_own_and_predictions_none() -> None:
    records = [measured(), published(), an_endpoint_record(), a_predicted_record(2**30)]

    tables = [make(records) for make in (record_rows.measured, record_rows.published, record_rows.endpoints)]

    assert [table.rows for table in tables] == [1, 1, 1]


def test_published_figures_have_no_columns_that_nobody_printed() -> None:
    names = {field.name for field in record_rows.published([published()]).fields}
    assert names == {"Size", "Precision", "Way", "Time", "Memory", "Peak"}


def test_a_request_has_the_time_from_end_to_end_and_its_sizes() -> None:
    row = row_of(record_rows.endpoints([an_endpoint_record(0.05)]))
    assert row["End to end"] == pytest.approx(exchanges(0.05)[0].timing.median_s, rel=1e-3)
    assert row["Sent"] == remote(0.05).request_bytes
    assert row["Address"] == "http://127.0.0.1:8000"


def test_of_too_many_rows_those_of_the_devices_that_ran_last_are_kept() -> None:
    records = [
        measured(device=a_device(name=name), case=a_case(size=64 * size), run=a_run(id=name, started_at=started))
        for name, started in (("A", "2026-01-03"), ("B", "2026-01-01"), ("C", "2026-01-02"))
        for size in (1, 2)
    ]

    kept, left_out = record_rows.newest(records, 5)

    assert [record.device.name for record in kept] == ["A", "A", "C", "C"]
    assert left_out == 1


def test_one_device_with_too_many_rows_keeps_as_many_as_there_is_room_for() -> None:
    records = [measured(case=a_case(size=64 * size)) for size in range(1, 9)]
    kept, left_out = record_rows.newest(records, 5)
    assert (len(kept), left_out) == (5, 0)
