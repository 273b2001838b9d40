"""What is written to disk: identity of a case, the JSON of a record and back, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from endpoint_records import a_load, an_endpoint_record, an_overlap, remote
from factories import a_case, a_device, a_record, a_run, failed, measured, out_of_memory, published
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.record import (
    Axes,
    Case,
    Crashed,
    Device,
    EndpointFacts,
    Memory,
    Outcome,
    Package,
    Record,
    Skipped,
    Tile,
    TimedOut,
    digest,
    json_schema,
)
from bench.workloads.labels import label_of

#: A value other than the factory's, for each field that makes a case what it is.
OTHER_VALUES: dict[str, Any] = {
    "model": "sdxl",
    "operation": "decode",
    "width": 128,
    "height": 128,
    "frames": 2,
    "batch": 2,
    "dtype": "float16",
    "tiling": Tile(tile=64, overlap=16),
    "weights": "hub",
    "variant": "channels-last",
    "transport": "jpg",
}

# An endpoint


def test_an_endpoint_that_has_moved_is_the_same_server() -> None:
    device = Device(kind="cpu", name="Test CPU", total_bytes=1)
    here, there = (EndpointFacts(url=f"http://h:{port}", server_device=device) for port in (1, 2))
    assert here.server == there.server
    assert here.server != there.model_copy(update={"server_packages": {"torch": Package(version="9")}}).server
    assert here.server != there.model_copy(update={"stand_in": "a test"}).server


@pytest.mark.parametrize(
    ("name", "slug"), [("host:8000", "endpoint-host-8000"), ("Endpoint 1", "endpoint-1"), ("a.b", "endpoint-a-b")]
)
def test_an_endpoint_has_a_folder_of_its_own(name: str, slug: str) -> None:
    assert Device(kind="endpoint", name=name).slug == slug


def test_an_overlap_has_at_least_one_round_of_each_way() -> None:
    with pytest.raises(ValidationError, match="overlapped_s"):
        an_overlap(overlapped_s=())


# A case's identity


def test_equal_cases_have_equal_ids() -> None:
    assert a_case().id == a_case().id


def test_defaults_that_are_spelt_out_change_no_id() -> None:
    assert a_case(frames=1, batch=1, tiling="off", weights="random", variant="default").id == a_case().id


@pytest.mark.parametrize("field", sorted(OTHER_VALUES))
def test_every_field_is_part_of_the_id(field: str) -> None:
    assert a_case(**{field: OTHER_VALUES[field]}).id != a_case().id


def test_no_field_of_a_case_is_forgotten_here() -> None:
    assert set(OTHER_VALUES) == {*Case.model_fields, *a_case().axes} - {"axes"}


def test_the_id_of_a_local_case_is_what_it_was_before_there_were_transports() -> None:
    # given the id under which version 2 stored this case
    assert a_case().id == a_case(transport=None).id == "150f9d05748c997b"


def test_a_case_over_a_transport_says_so() -> None:
    case = a_case(transport="pt-partial")

    assert case.id != a_case().id
    assert label_of(case).endswith("over pt-partial")


@pytest.mark.parametrize("tile", [Tile(tile=64, overlap=8), Tile(tile=128, overlap=16)])
def test_cases_that_differ_in_their_tile_differ_in_id(tile: Tile) -> None:
    assert a_case(tiling=tile).id != a_case(tiling=Tile(tile=64, overlap=16)).id


def test_a_square_tile_with_its_height_is_the_same_case() -> None:
    square = Tile(tile=64, overlap=16)

    for again in (Tile(tile=64, overlap=16, height=64), Tile(tile=64, overlap=16, height=64, overlap_height=16)):
        assert again == square
        assert a_case(tiling=again).id == a_case(tiling=square).id
    assert Tile(tile=64, overlap=16, height=64, overlap_height=8).label == "64x64/16x8"


def test_a_wide_image_is_not_a_tall_one() -> None:
    assert a_case(width=64, height=128).id != a_case(width=128, height=64).id


@given(st.dictionaries(st.text(), st.integers(), max_size=5))
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_an_id_stands_in_the_json_of_its_case() -> None:
    case = a_case()

    assert json.loads(case.model_dump_json())["id"] == case.id


def test_a_case_whose_id_contradicts_its_fields_is_refused() -> None:
    # given a stored case whose width was edited by hand
    stored = a_case().model_dump()
    stored["axes"]["width"] = 128

    # when it's read, then it is refused
    with pytest.raises(ValidationError, match="does not match"):
        Case.model_validate(stored)


def test_a_case_is_not_to_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        a_case().axes = Axes({"width": 128})
    with pytest.raises(TypeError):
        a_case().axes["width"] = 128


@pytest.mark.parametrize("field", ["width", "height", "frames", "batch"])
@pytest.mark.parametrize("value", [0, -8])
def test_a_case_has_positive_sizes(field: str, value: int) -> None:
    with pytest.raises(ValidationError, match=field):
        a_case(**{field: value})


# A case in words


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "tiny encode 64x64 float32 untiled"),
        ({"width": 96, "tiling": Tile(tile=64, overlap=16)}, "tiny encode 96x64 float32 tiled 64/16"),
        ({"batch": 4}, "tiny encode 64x64 float32 untiled batch 4"),
        ({"weights": "hub", "variant": "channels-last"}, "tiny encode 64x64 float32 untiled hub channels-last"),
    ],
)
def test_a_label_names_what_is_not_the_default(fields: dict[str, Any], label: str) -> None:
    assert label_of(a_case(**fields)) == label


def test_a_case_without_tiling_has_no_tile() -> None:
    assert a_case(tiling="off").tile is None


# A device's folder


@pytest.mark.parametrize(
    ("kind", "name", "slug"),
    [
        ("cuda", "NVIDIA H100 80GB HBM3", "nvidia-h100-80gb-hbm3"),
        ("cuda", "NVIDIA GeForce RTX 4080 SUPER", "nvidia-geforce-rtx-4080-super"),
        ("cpu", "AMD EPYC 9B14", "cpu-amd-epyc-9b14"),
        ("cpu", "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu-intel-xeon-cpu-2-20ghz"),
        ("cpu", "CPU of a test", "cpu-of-a-test"),
        ("cuda", "../../etc", "etc"),
        ("cuda", "显卡", "cuda"),
    ],
)
def test_a_device_has_a_folder_name_that_any_system_takes(kind: str, name: str, slug: str) -> None:
    assert a_device(kind=kind, name=name).slug == slug


# A record's JSON and back

RECORDS = {
    "measured": measured(case=a_case(tiling=Tile(tile=64, overlap=16)), tiles=4, warnings=("noisy",)),
    "published": published(vram_limit_bytes=8 * 2**30),
    "out of memory": out_of_memory(),
    "failed": failed(),
    "crashed": a_record(outcome=Crashed(signal="SIGSEGV", phase="run", stderr_tail="Fatal\nerror\n")),
    "timed out": a_record(outcome=TimedOut(timeout_s=5, phase="load")),
    "of an endpoint": an_endpoint_record(remote=remote(overlaps=(an_overlap(),), loads=(a_load(),))),
    "skipped": a_record(outcome=Skipped(reason="no such dtype here")),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_record_comes_back_as_it_was_written(record: Record) -> None:
    assert Record.model_validate_json(record.to_json()) == record


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_record_is_one_line(record: Record) -> None:
    assert "\n" not in record.to_json()


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_record_meets_its_own_schema(record: Record) -> None:
    jsonschema.validate(json.loads(record.to_json()), json_schema())


def test_every_kind_of_outcome_is_tried_here() -> None:
    said = {record.outcome.status for record in RECORDS.values()}

    assert said == {kind.model_fields["status"].default for kind in Outcome.__args__[0].__args__}


@given(st.floats(min_value=1e-9, max_value=1e6))
def test_seconds_come_back_to_the_last_bit(seconds: float) -> None:
    timing = Record.model_validate_json(measured(seconds).to_json()).timing

    assert timing is not None
    assert timing.median_s == seconds


def test_a_field_that_nobody_knows_is_refused() -> None:
    data = json.loads(measured().to_json()) | {"mood": "good"}

    with pytest.raises(ValidationError, match="mood"):
        Record.model_validate(data)


def test_an_outcome_that_nobody_knows_is_refused() -> None:
    data = json.loads(measured().to_json()) | {"outcome": {"status": "tired"}}

    with pytest.raises(ValidationError, match="tired"):
        Record.model_validate(data)


# A record's key


def test_a_record_measured_again_in_its_run_has_the_same_key() -> None:
    assert measured(0.05).key == measured(0.06).key


@pytest.mark.parametrize(
    "fields",
    [
        {"case": a_case(size=128)},
        {"device": a_device(name="NVIDIA Other")},
        {"vram_limit_bytes": 2**33},
        {"kind": "predicted"},
        {"run": a_run(id="run-2")},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_case_device_limit_kind_and_run_keep_keys_apart(fields: dict[str, Any]) -> None:
    assert a_record(**fields).key != a_record().key


def test_loading_and_steps_are_left_out_of_lines_that_lack_them() -> None:
    plain = measured()
    stage = plain.stages[0].model_copy(update={"steps": 50})
    pipeline = plain.model_copy(update={"stages": (stage,), "loading": Memory(peak_bytes=1)})
    assert not any(f'"{name}"' in plain.to_json() for name in ("loading", "steps"))
    assert all(f'"{name}"' in pipeline.to_json() for name in ("loading", "steps"))
    assert Record.model_validate_json(pipeline.to_json()) == pipeline
