"""Lines read quickly: each way gives the record that the models make of the whole line, and no bad line has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from endpoint_records import an_endpoint_record
from factories import a_case, failed, measured, of_version_5, out_of_memory, published
from hypothesis import given, settings
from hypothesis import strategies as st
from predictions import a_predicted_record

from bench.errors import ResultsError
from bench.record import Record
from bench.store.line import record_of
from bench.store.migrations import migrate
from bench.store.unbuilt import UnbuiltRecord, built_record, unbuilt_record

RESULTS = Path(__file__).parents[3] / "results"
RECORDS = [
    measured(),
    measured(case=a_case(size=128), warnings=("é: warm",)),
    out_of_memory(),
    failed(),
    published(),
    a_predicted_record(2**30),
    an_endpoint_record(),
]
LINES = [record.to_json().encode() for record in RECORDS]
OLD_LINES = [json.dumps(of_version_5(record)).encode() for record in RECORDS]


def whole_record(line: bytes) -> Record:
    """The record that the models make of the whole line. Raises ValueError, RecursionError or ResultsError."""
    return Record.model_validate(migrate(json.loads(line), "line"))


def judged(line: bytes) -> Record | None:
    """The record of a good line, None of a bad one."""
    try:
        return record_of(line, "line")
    except ResultsError:
        return None


def committed_lines() -> list[bytes]:
    return [line for path in sorted(RESULTS.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]


def test_all_committed_lines_are_read_quickly_and_as_the_whole_line_says() -> None:
    # given the lines of all committed results, of several schema versions
    lines = committed_lines()
    assert len({json.loads(line)["schema_version"] for line in lines}) > 1

    # when each is read, then it is the record that the whole line has, to the last digit
    for line in lines:
        whole = whole_record(line)
        for record in (record_of(line, "line"), built_record(line, "line")):
            assert record == whole
            assert record.to_json() == whole.to_json()


@pytest.mark.parametrize("line", [*LINES, *OLD_LINES])
def test_lines_of_each_kind_are_read_as_the_whole_line_says(line: bytes) -> None:
    assert record_of(line, "line").to_json() == whole_record(line).to_json()


@pytest.mark.parametrize("line", LINES[:6])
def test_a_line_of_this_machine_need_not_be_built_to_be_chosen(line: bytes) -> None:
    unbuilt, whole = unbuilt_record(line, "line"), record_of(line, "line")

    assert isinstance(unbuilt, UnbuiltRecord)
    assert (unbuilt.key, unbuilt.case, unbuilt.run) == (whole.key, whole.case, whole.run)
    assert unbuilt.build() == built_record(line, "line") == whole
    assert unbuilt.build().to_json() == whole.to_json()


@pytest.mark.parametrize("line", [*LINES[6:], *OLD_LINES])
def test_other_lines_are_built_at_once(line: bytes) -> None:
    assert unbuilt_record(line, "line") == record_of(line, "line")


def test_numbers_and_limits_of_each_field_are_those_of_the_models() -> None:
    """A msgspec type that lacks a limit of its model would let a bad line pass."""
    for line in LINES[:6]:
        data = json.loads(line)
        for place in places(data)[1:]:
            for value in VALUES:
                damaged = json.dumps(put(data, place, value), separators=(",", ":")).encode()
                if judged(damaged) is None:
                    with pytest.raises(ResultsError):
                        unbuilt_record(damaged, "line")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_older_versions_are_migrated_alike(version: int) -> None:
    line = json.dumps(of_version_5(measured()) | {"schema_version": version}).encode()

    assert record_of(line, "line") == whole_record(line)


#: JSON values that a field may be given by mistake.
VALUES = [None, True, 0, -1, 1, 1.0, 1.5, 5.0, "", "1", "text", [], [1], {}, {"a": 1}, 2**63, 10**30, 1e308, 1e-320]
#: Values that nest deeper than JSON is parsed, and almost as deep.
DEEP = ["[" * 2000 + "]" * 2000, "[" * 900 + "]" * 900]
#: Texts of values that `json` takes or refuses, and others might not.
TEXTS = ["NaN", "Infinity", "-0", "1e400", "01", "1.", '"\\ud800"', '"\x01"', "1E2", "9" * 19, *DEEP]


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value inside."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inside for place in places(value, (*path, key)))]


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The data with another value at a path."""
    if not path:
        return value
    copy = data.copy()
    copy[path[0]] = put(data[path[0]], path[1:], value)
    return copy


def as_written(data: Any) -> bytes:
    """The data as this program writes it, without spaces."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def with_value(line: bytes, draw: st.DrawFn) -> bytes:
    """One value is another."""
    data = json.loads(line)
    path = draw(st.sampled_from(places(data)[1:]))
    return as_written(put(data, path, draw(st.sampled_from(VALUES))))


def with_text(line: bytes, draw: st.DrawFn) -> bytes:
    """The text of one value is another."""
    data = json.loads(line)
    path = draw(st.sampled_from(places(data)[1:]))
    return as_written(put(data, path, "@@")).replace(b'"@@"', draw(st.sampled_from(TEXTS)).encode())


def with_field_twice(line: bytes, draw: st.DrawFn) -> bytes:
    """A field stands twice, and the first counts for nothing."""
    name = draw(st.sampled_from(list(json.loads(line))))
    text = draw(st.sampled_from([*TEXTS, "1", '"\xff"', '{"a":"\xff"}']))
    return b'{"' + name.encode() + b'":' + text.encode("latin-1") + b"," + line[1:]


def with_other_fields(line: bytes, draw: st.DrawFn) -> bytes:
    """A field is lacking, and another is there."""
    data = json.loads(line)
    del data[draw(st.sampled_from(list(data)))]
    return json.dumps(data | {draw(st.sampled_from(["mood", "stages", "tiles", "timing", "kind"])): None}).encode()


def with_byte(line: bytes, draw: st.DrawFn) -> bytes:
    """One byte is another."""
    place = draw(st.integers(0, len(line) - 1))
    return line[:place] + bytes([draw(st.integers(0, 255))]) + line[place + 1 :]


def cut(line: bytes, draw: st.DrawFn) -> bytes:
    """The end is missing."""
    return line[: draw(st.integers(0, len(line)))]


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """A line of any version that is damaged in one way."""
    line = draw(st.sampled_from([*LINES, *OLD_LINES]))
    damage = draw(st.sampled_from([with_value, with_text, with_field_twice, with_other_fields, with_byte, cut]))
    return damage(line, draw)


@settings(max_examples=600, deadline=None)
@given(damaged_lines())
def test_a_damaged_line_is_judged_as_the_whole_line_is(line: bytes) -> None:
    record = judged(line)

    if record is None:
        for read in (built_record, unbuilt_record):
            with pytest.raises(ResultsError):
                read(line, "line")
        return
    assert record.model_dump() == whole_record(line).model_dump()
    unbuilt = unbuilt_record(line, "line")
    built = unbuilt.build() if isinstance(unbuilt, UnbuiltRecord) else unbuilt
    assert built == built_record(line, "line") == record
