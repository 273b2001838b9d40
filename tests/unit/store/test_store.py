"""Results files: what is appended is read, torn ends are set aside, and what can't be read is an error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from endpoint_records import an_endpoint_record
from factories import OF_A_STAGE, a_case, measured, of_version_5, refusal, write_lines
from predictions import a_predicted_record

from bench import store
from bench.errors import ResultsError
from bench.record import SCHEMA_VERSION, Record
from bench.store import ResultsFile, RunFile

FIRST, SECOND = measured(case=a_case(size=64)), measured(case=a_case(size=128))
LINE = FIRST.to_json().encode()

#: What a power cut or a full disk may leave after the last newline.
TORN_TAILS = {
    "cut in the middle": LINE[: len(LINE) // 2],
    "cut before its last byte": LINE[:-1],
    "cut after its first byte": LINE[:1],
    "cut in a character": '{"mood": "é"}'.encode()[:11],
    "NUL bytes": b"\0" * 64,
    "NUL bytes after a part": LINE[:40] + b"\0" * 64,
    "NUL bytes and a newline": b"\0" * 64 + b"\n",
    "cut in the middle, with a newline": LINE[: len(LINE) // 2] + b"\n",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-1.jsonl"


@pytest.fixture(params=TORN_TAILS.values(), ids=TORN_TAILS.keys())
def torn_tail(request: pytest.FixtureRequest) -> bytes:
    tail: bytes = request.param
    return tail


def edited(record: Record, **fields: Any) -> bytes:
    """A record's line with other fields at its top level; None leaves one out."""
    return _line(json.loads(record.to_json()) | fields)


def earlier(record: Record, **fields: Any) -> bytes:
    """The same as version 5 wrote it, and those before with some fields less."""
    return _line(of_version_5(record) | fields)


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps({key: value for key, value in data.items() if value is not None}).encode()


def strictly(path: Path) -> ResultsFile[Record]:
    """Read a file as gates do, whose first bad line is an error."""
    return store.read_file(path, strict=True)


# Append and read


def test_what_is_appended_is_read_in_its_order(path: Path) -> None:
    # given a new file
    file = RunFile(path)

    # when two records are appended
    file.append(SECOND)
    file.append(FIRST)

    # then they're read as they were written
    assert store.read_file(path) == ResultsFile(path, (SECOND, FIRST), good_bytes=path.stat().st_size)


def test_a_record_is_one_line_of_the_file(path: Path) -> None:
    RunFile(path).append(FIRST)
    RunFile(path).append(SECOND)

    assert path.read_bytes() == LINE + b"\n" + SECOND.to_json().encode() + b"\n"


def test_a_line_is_on_disk_before_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an eye on what is flushed to the disk
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))

    # when the first line is appended
    RunFile(path).append(FIRST)

    # then the file is, and the folder that has its name
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]


def test_an_empty_file_holds_no_records(path: Path) -> None:
    path.touch()

    assert store.read_file(path) == ResultsFile(path, (), good_bytes=0)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_blank_lines_hold_no_records(path: Path, end: bytes) -> None:
    path.write_bytes(end + LINE + end + end + SECOND.to_json().encode() + end + end)

    assert store.read_file(path).records == (FIRST, SECOND)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    assert f"Can't read {path}:" in refusal(ResultsError, store.read_file, path)


# Torn ends


def test_a_torn_line_never_hides_the_good_ones(path: Path, torn_tail: bytes) -> None:
    write_lines(path, [FIRST, SECOND], torn_tail)

    assert store.read_file(path).records == (FIRST, SECOND)


def test_a_torn_line_is_warned_of(path: Path, torn_tail: bytes) -> None:
    write_lines(path, [FIRST], torn_tail)

    (warning,) = store.read_file(path).warnings

    assert str(path) in warning
    assert "torn" in warning


def test_the_good_bytes_end_where_the_torn_line_begins(path: Path, torn_tail: bytes) -> None:
    write_lines(path, [FIRST], torn_tail)

    assert store.read_file(path).good_bytes == len(LINE) + 1


def test_a_file_of_nothing_but_a_torn_line_holds_no_records(path: Path, torn_tail: bytes) -> None:
    path.write_bytes(torn_tail)

    assert store.read_file(path).records == ()


def test_a_line_that_lacks_only_its_newline_is_good(path: Path) -> None:
    write_lines(path, [FIRST], SECOND.to_json().encode())

    assert store.read_file(path) == ResultsFile(path, (FIRST, SECOND), good_bytes=path.stat().st_size)


def test_reading_changes_no_torn_file(path: Path, torn_tail: bytes) -> None:
    before = write_lines(path, [FIRST], torn_tail).read_bytes()

    store.read([path])

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# Repair


def test_repair_sets_the_torn_end_aside(path: Path, torn_tail: bytes) -> None:
    # given a file with a torn end
    write_lines(path, [FIRST], torn_tail)

    # when it is repaired
    RunFile(path).repair()

    # then the file holds the good lines alone, and the rest is kept beside it
    assert path.read_bytes() == LINE + b"\n"
    assert path.with_name("run-1.jsonl.torn").read_bytes() == torn_tail + b"\n"


def test_the_next_line_after_a_repair_starts_on_its_own(path: Path, torn_tail: bytes) -> None:
    write_lines(path, [FIRST], torn_tail)

    RunFile(path).repair()
    RunFile(path).append(SECOND)

    assert store.read_file(path) == ResultsFile(path, (FIRST, SECOND), good_bytes=path.stat().st_size)


def test_repair_keeps_a_good_line_and_gives_it_its_newline(path: Path) -> None:
    write_lines(path, [FIRST], SECOND.to_json().encode())

    RunFile(path).repair()

    assert path.read_bytes() == LINE + b"\n" + SECOND.to_json().encode() + b"\n"
    assert list(path.parent.iterdir()) == [path]


def test_repair_leaves_a_whole_file_alone(path: Path) -> None:
    before = write_lines(path, [FIRST, SECOND]).read_bytes()

    RunFile(path).repair()

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_second_torn_end_does_not_replace_the_first(path: Path) -> None:
    for tail in (b'{"first', b'{"second'):
        path.write_bytes(tail)
        RunFile(path).repair()

    assert path.with_name("run-1.jsonl.torn").read_bytes() == b'{"first\n{"second\n'


def test_there_is_nothing_to_repair_in_a_file_that_is_not_there(path: Path) -> None:
    RunFile(path).repair()

    assert not path.exists()


def test_torn_ends_that_were_set_aside_are_not_read_as_results(path: Path) -> None:
    write_lines(path, [FIRST], LINE[:20])
    RunFile(path).repair()

    files, warnings = store.read([path.parent])

    assert [file.path for file in files] == [path]
    assert warnings == []


# Broken files


@pytest.mark.parametrize("line", [LINE[:-1], b"\0" * 8, b"hello", b"{'a': 1}"])
def test_a_broken_line_in_the_middle_is_an_error_that_names_it(path: Path, line: bytes) -> None:
    path.write_bytes(LINE + b"\n" + line + b"\n" + LINE + b"\n")

    assert f"{path}, line 2 " in refusal(ResultsError, strictly, path)


def test_blank_lines_count_when_a_line_is_named(path: Path) -> None:
    path.write_bytes(b"\n\n{\n" + LINE + b"\n")

    assert f"{path}, line 3 " in refusal(ResultsError, strictly, path)


@pytest.mark.parametrize("line", [b"{}", b"[]", b"5", b'"text"', edited(FIRST, schema_version="1")])
def test_json_without_a_schema_version_is_no_record(path: Path, line: bytes) -> None:
    path.write_bytes(line + b"\n")

    said = refusal(ResultsError, store.read_file, path)

    assert f"{path}, line 1 " in said
    assert "schema_version" in said


def test_a_newer_schema_version_is_refused_and_nothing_is_changed(path: Path) -> None:
    # given a file whose second line is of a version to come
    path.write_bytes(LINE + b"\n" + edited(FIRST, schema_version=SCHEMA_VERSION + 1) + b"\n")
    before = path.read_bytes()

    # when it is read, or repaired to go on with it
    said = refusal(ResultsError, strictly, path)
    refusal(ResultsError, RunFile(path).repair)

    # then that's refused with what to do, and the file is as it was
    assert f"{path}, line 2 " in said
    assert f"schema version {SCHEMA_VERSION + 1}" in said
    assert "Update" in said
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_line_is_refused_and_not_taken_for_a_torn_one(path: Path) -> None:
    # given one with fields that this version does not know
    path.write_bytes(LINE + b"\n" + edited(FIRST, schema_version=SCHEMA_VERSION + 1, mood="good"))

    assert "schema version" in refusal(ResultsError, strictly, path)


def test_an_older_schema_version_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a line of two versions ago, when a record's time had other names
    path.write_bytes(earlier(FIRST, schema_version=-1, recorded_at=None, when=FIRST.recorded_at) + b"\n")
    monkeypatch.setitem(store.MIGRATIONS, -1, lambda data: {"moment" if k == "when" else k: v for k, v in data.items()})
    monkeypatch.setitem(
        store.MIGRATIONS,
        0,
        lambda data: {
            **{key: value for key, value in data.items() if key != "moment"},
            "recorded_at": data["moment"],
            "schema_version": 1,
        },
    )

    # when it is read, then it went through all steps
    assert store.read_file(path).records == (FIRST,)


def test_a_line_of_version_2_is_read_as_it_is(path: Path) -> None:
    # given a line from before there were endpoints
    line = of_version_5(FIRST)
    del line["remote"], line["assumed"], line["case"]["transport"]
    path.write_text(json.dumps(line | {"schema_version": 2}) + "\n")

    # when it is read, then nothing of it has changed, its case's id included
    assert store.read_file(path).records == (FIRST,)


def test_a_line_of_version_3_is_read_as_it_is(path: Path) -> None:
    # given a line from before requests overlapped with generation
    record = an_endpoint_record()
    line = of_version_5(record)
    del line["remote"]["overlaps"]
    path.write_text(json.dumps(line | {"schema_version": 3}) + "\n")

    # when it is read, then there is no overlap, and nothing else has changed
    assert store.read_file(path).records == (record,)


def test_a_line_of_version_4_is_read_as_it_is(path: Path) -> None:
    # given a line from before there were predictions
    line = of_version_5(FIRST)
    del line["prediction"]
    path.write_text(json.dumps(line | {"schema_version": 4}) + "\n")

    # when it is read, then none was made of it, and nothing else has changed
    assert store.read_file(path).records == (FIRST,)


def test_migrating_changes_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(earlier(FIRST, schema_version=0) + b"\n")
    monkeypatch.setitem(store.MIGRATIONS, 0, lambda data: data | {"schema_version": 1})
    before = path.read_bytes()

    store.read_file(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "axes",
    [
        {},
        {"width": 64},
        {"width": 64, "height": 64, "frames": 1},
        {"length": 16},
        {"width": 64, "height": 64, "frames": 1, "batch": 1, "steps": 4},
        {"width": 0, "height": 64, "frames": 1, "batch": 1},
    ],
)
def test_a_line_whose_axes_are_not_those_of_its_model_is_bad(path: Path, axes: dict[str, Any]) -> None:
    case = json.loads(LINE)["case"] | {"axes": axes}
    del case["id"]
    path.write_bytes(LINE + b"\n" + edited(SECOND, case=case) + b"\n")

    file = store.read_file(path)

    assert file.records == (FIRST,)
    assert len(file.warnings) == 1


def test_a_line_of_version_5_that_lacks_a_side_is_bad(path: Path) -> None:
    case = of_version_5(SECOND)["case"]
    del case["width"], case["id"]
    path.write_bytes(LINE + b"\n" + earlier(SECOND, case=case) + b"\n")

    assert store.read_file(path).records == (FIRST,)


def test_a_version_that_nothing_migrates_is_refused(path: Path) -> None:
    path.write_bytes(edited(FIRST, schema_version=0) + b"\n")

    said = refusal(ResultsError, store.read_file, path)

    assert f"{path}, line 1 " in said
    assert "schema version 0" in said


def test_a_case_that_was_edited_by_hand_is_refused(path: Path) -> None:
    case = json.loads(LINE)["case"]
    case["axes"]["width"] = 4096
    path.write_bytes(edited(FIRST, case=case) + b"\n")

    said = refusal(ResultsError, store.read_file, path)

    assert f"{path}, line 1 " in said
    assert "`case`" in said
    assert "does not match" in said


@pytest.mark.parametrize(
    ("fields", "named"), [({"kind": "guessed"}, "`kind`"), ({"run": None}, "`run`"), ({"mood": "good"}, "`mood`")]
)
def test_a_field_that_is_wrong_is_named(path: Path, fields: dict[str, Any], named: str) -> None:
    path.write_bytes(edited(FIRST, **fields) + b"\n")

    said = refusal(ResultsError, store.read_file, path)

    assert f"{path}, line 1 " in said
    assert named in said


# Bad lines among good ones


def changed(**fields: Any) -> bytes:
    """The first record's line with other fields in its parts: `timing__median_s=1` is the timing's median."""
    data = json.loads(FIRST.to_json())
    for name, value in fields.items():
        part, _, field = name.partition("__")
        whole = data["stages"][0] if part in OF_A_STAGE else data
        whole[part] = value if not field else {**whole[part], field: value}
    return json.dumps(data).encode()


PREDICTED = json.loads(a_predicted_record(2**30).to_json())
BAD_LINES = {
    "measured without a timing": (changed(timing=None), "no timing"),
    "measured without samples": (changed(timing__samples_s=[]), "samples_s"),
    "a median beyond its samples": (changed(timing__median_s=5.0), "median_s"),
    "an outlier that is no sample": (changed(timing__outliers=[3]), "outliers"),
    "a negative time": (changed(timing__median_s=-1.0), "timing.median_s"),
    "a negative sample": (changed(timing__samples_s=[-1.0, 0.05, 0.1]), "timing.samples_s"),
    "a negative percentage": (changed(memory__percent=-8.4), "memory.percent"),
    "negative bytes": (changed(memory__peak_bytes=-1), "memory.peak_bytes"),
    "a peak of many cards": (changed(memory__peak_bytes=2**50), "peak_bytes"),
    "a percentage of many cards": (changed(memory__percent=1e9), "memory.percent"),
    "an interval the wrong way round": (changed(timing__interval_s=[9.0, 0.001]), "interval_s"),
    "an interval beside its median": (changed(timing__interval_s=[9.0, 10.0]), "interval_s"),
    "a limit of nothing": (changed(vram_limit_bytes=0), "vram_limit_bytes"),
    "not a number": (changed(timing__median_s=float("nan")), "timing.median_s"),
    "infinity": (changed(memory__percent=float("inf")), "memory.percent"),
    "predicted without a prediction": (changed(kind="predicted"), "prediction"),
    "a prediction of negative bytes": (
        edited(a_predicted_record(2**30), prediction={**PREDICTED["prediction"], "taken_low_bytes": -1}),
        "taken_low_bytes",
    ),
    "published without a figure": (changed(kind="published", timing=None, memory=None), "neither"),
    "an outcome that there is not": (changed(outcome={"status": "x" * 10**6}), "outcome"),
    "a newer version": (changed(schema_version=SCHEMA_VERSION + 1), "schema version"),
    "not JSON": (b"hello", "not valid JSON"),
}


@pytest.fixture(params=BAD_LINES.values(), ids=BAD_LINES.keys())
def bad(request: pytest.FixtureRequest) -> tuple[bytes, str]:
    found: tuple[bytes, str] = request.param
    return found


def test_a_bad_line_is_set_aside_with_a_warning_that_names_it(path: Path, bad: tuple[bytes, str]) -> None:
    # given a bad line between two good ones
    path.write_bytes(LINE + b"\n" + bad[0] + b"\n" + SECOND.to_json().encode() + b"\n")
    # when the file is read, then the good ones are there, and the warning says where and why, in bounded words
    file = store.read_file(path)
    assert file.records == (FIRST, SECOND)
    (warning,) = file.warnings
    assert f"{path}, line 2 " in warning
    assert bad[1] in warning
    assert len(warning) < len(str(path)) + 600


def test_a_bad_line_is_an_error_where_reading_is_strict(path: Path, bad: tuple[bytes, str]) -> None:
    path.write_bytes(LINE + b"\n" + bad[0] + b"\n" + LINE + b"\n")
    said = refusal(ResultsError, strictly, path)
    assert f"{path}, line 2 " in said
    assert bad[1] in said


def test_a_file_of_bad_lines_alone_is_an_error(path: Path, bad: tuple[bytes, str]) -> None:
    path.write_bytes((bad[0] + b"\n") * 2 + (b"{}\n" if bad[0] == b"hello" else b""))
    assert f"{path}, line 1 " in refusal(ResultsError, store.read_file, path)


def test_a_file_of_bad_lines_alone_does_not_hide_another_s_records(path: Path, bad: tuple[bytes, str]) -> None:
    # given a file with a bad line alone beside a good one
    spoilt = path.with_name("0-spoilt.jsonl")
    spoilt.write_bytes(bad[0] + b"\n{}\n")
    path.write_bytes(LINE + b"\n")
    # when their folder is read, then the good one's records are there, and the warning names the other
    files, warnings = store.read([path.parent])
    assert [file.records for file in files] == [(FIRST,)]
    assert [f"{spoilt}, line 1 " in warning for warning in warnings] == [True]
    # and where reading is strict, or nothing else is there, it is an error
    assert f"{spoilt}, line 1 " in refusal(ResultsError, lambda: store.read([path.parent], strict=True))
    assert f"{spoilt}, line 1 " in refusal(ResultsError, lambda: store.read([spoilt]))


def test_of_many_bad_lines_the_first_are_named_and_the_others_counted(path: Path) -> None:
    path.write_bytes(LINE + b"\n" + b"{}\n" * 100)
    warnings = store.read_file(path).warnings
    assert [warning.startswith(f"{path}, line ") for warning in warnings] == [True, True, True, False]
    assert "97 more" in warnings[-1]


def test_a_file_with_a_bad_line_goes_on_and_keeps_it(path: Path, bad: tuple[bytes, str]) -> None:
    # given a run's file with a bad line of this version, and a torn end
    if bad[1] == "schema version":
        return
    path.write_bytes(LINE + b"\n" + bad[0] + b"\n" + LINE[:30])
    # when it is repaired and appended to
    RunFile(path).repair()
    RunFile(path).append(SECOND)
    # then nothing but the torn end is gone from it
    assert path.read_bytes() == LINE + b"\n" + bad[0] + b"\n" + SECOND.to_json().encode() + b"\n"
    assert store.read_file(path).records == (FIRST, SECOND)


def test_a_torn_end_is_told_beside_a_bad_line(path: Path) -> None:
    path.write_bytes(LINE + b"\n{}\n" + LINE[:30])
    assert ["last line" in warning for warning in store.read_file(path).warnings] == [False, True]


# Whole numbers at the edges


def write(path: Path, *lines: bytes) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def crashed_with(exit_code: int | str) -> bytes:
    """The line of a case that crashed with this exit code, a field that takes any whole number."""
    data = json.loads(FIRST.to_json())
    data |= {"outcome": {"status": "crashed", "exit_code": 0, "phase": "run"}, "stages": []}
    return json.dumps(data).replace('"exit_code": 0', f'"exit_code": {exit_code}').encode()


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63)])
def test_a_whole_number_of_64_bits_is_read_as_it_is(path: Path, number: int) -> None:
    write(path, crashed_with(number))

    (record,) = store.read_file(path).records

    assert record.outcome.model_dump()["exit_code"] == number


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**20, 10**21, "9" * 100_000])
def test_a_whole_number_beyond_64_bits_makes_a_line_bad(path: Path, number: int | str) -> None:
    # given a line with such a number between two good ones
    write(path, LINE, crashed_with(number), SECOND.to_json().encode())

    # when the file is read
    file = store.read_file(path)

    # then the line is set aside with a short warning that names it, and the others are read
    assert file.records == (FIRST, SECOND)
    (warning,) = file.warnings
    assert f"{path}, line 2 " in warning
    assert len(warning) < len(str(path)) + 300


@pytest.mark.parametrize("count", range(1, 6))
def test_three_bad_lines_are_named_and_more_are_counted(path: Path, count: int) -> None:
    write(path, LINE, *[b"hello"] * count, SECOND.to_json().encode())

    warnings = store.read_file(path).warnings

    assert len(warnings) == min(count, 3) + (count > 3)
    named = [n for n in range(2, 2 + count) if any(f"line {n} " in warning for warning in warnings)]
    assert named == list(range(2, 2 + min(count, 3)))
    assert count <= 3 or f"{count - 3} more" in warnings[-1]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_file_of_bad_lines_alone_says_how_many_more_there_are(path: Path, count: int) -> None:
    write(path, *[b'{"schema_version": 99}'] * count)

    message = refusal(ResultsError, lambda: store.read_file(path))

    assert f"{path}, line 1 " in message
    assert (f" {count - 1} " in message) == (count > 1)


@pytest.mark.parametrize("version", [-1, 0, 1.0, "6", None, SCHEMA_VERSION + 1, 2**62])
def test_a_version_that_this_program_does_not_know_is_no_record(path: Path, version: Any) -> None:
    data = json.loads(FIRST.to_json()) | {"schema_version": version}
    write(path, LINE, json.dumps(data).encode(), SECOND.to_json().encode())

    file = store.read_file(path)

    assert file.records == (FIRST, SECOND)
    assert file.has_newer_lines is (isinstance(version, int) and version > SCHEMA_VERSION)


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\n  \n"])
def test_good_bytes_end_with_the_last_good_line(path: Path, end: bytes) -> None:
    # given a file with an empty line inside, whose last line ends in this way
    text = LINE + b"\n\n" + SECOND.to_json().encode()
    path.write_bytes(text + end)

    # when it is read, then what is appended behind the good bytes is on a line of its own
    good = store.read_file(path).good_bytes
    assert good == len(text) + (end != b"")


def test_good_bytes_end_before_a_torn_line(path: Path) -> None:
    path.write_bytes(LINE + b"\n" + LINE[:-1])

    assert store.read_file(path).good_bytes == len(LINE) + 1
