"""Records as a DataFrame, CSV and Parquet: which columns there are, of which types, with which values."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from endpoint_records import an_endpoint_record
from factories import GIB, NOON, a_case, a_device, measured, out_of_memory, published

from bench import store
from bench.core.units import METRICS
from bench.record import Axes, Memory, Record, Spread, Telemetry, Tile, metrics
from bench.report.export import files, frame
from bench.report.export.record_columns import record_columns

PREDICTED = Path(__file__).parents[4] / "results" / "predicted" / "docs.jsonl"
NUMBERS = {"text": "string", "count": "Int64", "number": "float64", "moment": "datetime64[us, UTC]"}
METRIC_COLUMNS = {
    "time": "time_s",
    "first_call": "first_call_s",
    "memory_percent": "memory_percent",
    "peak_allocated": "peak_allocated_bytes",
    "peak_reserved": "peak_reserved_bytes",
    "peak_rss": "peak_rss_bytes",
    "weights": "weights_bytes",
    "nvml_process": "nvml_process_bytes",
    "flops": "flops",
    "achieved": "achieved_flops_per_s",
    "ceiling_fraction": "ceiling_fraction",
    "pixel_rate": "pixel_rate_px_per_s",
    "energy": "energy_j",
}


@pytest.fixture(scope="module")
def predicted() -> Record:
    return next(iter(store.read_file(PREDICTED).records))


def test_a_record_is_a_row_with_its_figures_in_seconds_and_bytes() -> None:
    # Given a tiled case that was measured, one out of memory and a row of the docs
    case = a_case(width=512, height=768, batch=2, tiling=Tile(tile=256, overlap=64))
    records = [measured(0.25, 8.4, case=case), out_of_memory(), published(0.05, 8.4)]
    # When they become a frame
    rows = frame.of_records(records)
    # Then each has its figures, and what is not known is missing
    tiled = rows.iloc[0]
    assert [tiled[name] for name in ("model", "width", "height", "batch", "tiling")] == ["tiny", 512, 768, 2, "256/64"]
    assert (tiled.tile_px, tiled.overlap_px) == (256, 64)
    assert (tiled.time_s, tiled.first_call_s, tiled.memory_percent, tiled.peak_bytes) == (0.25, 0.5, 8.4, 2 * GIB)
    assert tiled.recorded_at == pd.Timestamp(NOON)
    assert list(rows.kind) == ["measured", "measured", "published"]
    assert list(rows.outcome) == ["measured", "out_of_memory", "measured"]
    assert list(rows.time_s.isna()) == [False, True, False]
    assert list(rows.peak_bytes.isna()) == [False, True, True]
    assert list(rows.tiling) == ["256/64", "off", "off"]
    assert rows.assumed[2] == "dtype; batch; weights"


def test_every_metric_has_a_column_with_its_unit() -> None:
    memory = Memory(percent=50, peak_bytes=3, peak_allocated_bytes=2, weights_bytes=1)
    record = measured(0.25, memory=memory, flops=100)
    row = frame.of_records([record]).iloc[0]
    values = metrics.values(record)
    assert METRIC_COLUMNS.keys() == METRICS.keys()
    for key, name in METRIC_COLUMNS.items():
        assert pd.isna(row[name]) if values.get(key) is None else row[name] == values[key]


def test_the_types_of_the_columns_do_not_depend_on_the_records() -> None:
    full, empty = frame.of_records([measured(), an_endpoint_record()]), frame.of_records([])
    assert full.dtypes.equals(empty.dtypes)
    assert {column.name: full[column.name].dtype for column in record_columns()} == {
        column.name: NUMBERS[column.type] for column in record_columns()
    }


def test_a_prediction_has_its_range_and_its_verdict(predicted: Record) -> None:
    row = frame.of_records([predicted]).iloc[0]
    assert predicted.prediction is not None
    assert (row.kind, row.verdict) == ("predicted", predicted.prediction.verdict)
    assert row.peak_low_bytes <= row.peak_bytes <= row.peak_high_bytes
    assert pd.isna(row.time_s)


def test_an_endpoint_s_row_names_it_without_its_password() -> None:
    record = an_endpoint_record()
    assert record.remote is not None
    line = record.to_json().replace(record.remote.endpoint.url, "https://me:secret@host:8443/vae?token=secret#secret")
    row = frame.of_records([Record.model_validate_json(line)]).iloc[0]
    assert row.endpoint_url == "https://host:8443/vae"
    assert row.device_kind == "endpoint"
    assert row.server_compute_s == record.remote.compute_s


def test_an_axis_of_another_workload_has_a_column() -> None:
    # Given a model of which this program knows nothing, with axes that are named like other columns
    case = a_case(model="text-encoder").model_copy(update={"axes": Axes({"length": 16, "case": 3})})
    rows = frame.of_records([measured(case=case), measured()])
    # Then its axes are columns, and the known ones are missing in its row
    assert list(rows.length.fillna(0)) == [16, 0]
    assert list(rows.axis_case.fillna(0)) == [3, 0]
    assert rows.case[0] == case.id
    assert list(rows.width.isna()) == [True, False]


def test_throttled_samples_are_known_only_if_the_gpu_was_watched() -> None:
    clock = Spread(low=1, median=2, high=3)
    watched = Telemetry(readings=5, sm_clock_hz=clock, throttled_samples=(0, 2))
    unwatched = Telemetry(readings=0, reason="no NVML")
    records = [measured(telemetry=telemetry) for telemetry in (watched, unwatched, None)]
    assert list(frame.of_records(records).throttled_samples.fillna(-1)) == [2, -1, -1]


def test_a_time_that_is_none_is_missing() -> None:
    assert frame.of_records([measured(recorded_at="yesterday")]).recorded_at.isna().all()


def test_half_a_character_is_a_question_mark() -> None:
    rows = frame.of_records([measured(device=a_device(name="\ud800 \u00e9"))])
    assert list(rows.device) == ["? \u00e9"]
    assert files.to_csv(rows).decode().count("? \u00e9") == 1


def test_csv_has_every_digit_and_nothing_that_a_spreadsheet_runs() -> None:
    device = a_device(name='=HYPERLINK("http://x","card"),\n<b>')
    rows = frame.of_records([measured(1 / 3, device=device), out_of_memory(device=device)])
    text = files.to_csv(rows).decode()
    # Then it is one line a record, which another program reads back
    assert len(text.splitlines()) == 3
    again = pd.read_csv(io.StringIO(text))
    assert again.time_s[0] == 1 / 3
    assert list(again.columns) == list(rows.columns)
    assert list(again.device.str[:2]) == ["'=", "'="]
    assert again.recorded_at[0] == NOON


def test_parquet_is_read_back_as_it_was_with_a_description_of_each_column(predicted: Record) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra parquet")
    rows = frame.of_records([measured(), predicted, an_endpoint_record()])
    content = files.to_parquet(rows)
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(content)), rows)
    schema = parquet.read_schema(io.BytesIO(content))
    assert all(schema.field(name).metadata[b"description"] for name in rows.columns)
    assert files.to_parquet(rows) == content
