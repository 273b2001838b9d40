"""Lines of runs: read with their bytes, split by run, and joined."""

from __future__ import annotations

import json

from factories import a_case, a_device, a_run, measured, of_version_5

from bench.record import Record
from bench.sharing.hub.run_lines import RunLines, by_run, join, named, read_lines


def _run(*records: Record) -> RunLines:
    content = b"".join(record.to_json().encode() + b"\n" for record in records)
    return RunLines(read_lines(content, "x.jsonl").lines)


SMALL, LARGE, LARGER = (measured(case=a_case(size=size)) for size in (64, 128, 256))


def test_lines_keep_their_bytes_whatever_their_schema_version() -> None:
    old = json.dumps(of_version_5(SMALL), indent=None).encode()
    content = old + b"\n" + LARGE.to_json().encode() + b"\n"

    reading = read_lines(content, "x.jsonl")

    assert RunLines(reading.lines).content == content
    assert reading.lines[0].record == SMALL


def test_a_line_that_was_cut_off_is_torn_and_any_other_is_bad() -> None:
    line = SMALL.to_json().encode()

    torn, bad = read_lines(line + b"\n" + line[:50], "x.jsonl"), read_lines(line[:50] + b"\n" + line + b"\n", "x.jsonl")
    whole = read_lines(line + b"\n" + line[:50] + b"\n", "x.jsonl")

    assert (len(torn.lines), torn.bad, torn.torn is None) == (1, (), False)
    assert (len(bad.lines), len(bad.bad), bad.torn) == (1, 1, None)
    assert "line 1" in bad.bad[0]
    assert (len(whole.bad), whole.torn) == (1, None)


def test_lines_are_split_by_device_and_run() -> None:
    other_run = measured(run=a_run(id="run-2"))
    other_device = measured(device=a_device(name="NVIDIA Other"))

    runs = by_run(_run(SMALL, other_run, LARGE, other_device).lines)

    assert [run.path for run in runs] == [
        "results/nvidia-test/run-1.jsonl",
        "results/nvidia-test/run-2.jsonl",
        "results/nvidia-other/run-1.jsonl",
    ]
    assert [len(run.lines) for run in runs] == [2, 1, 1]


def test_the_longer_of_two_versions_of_a_run_stays_as_it_is() -> None:
    short, long = _run(SMALL), _run(SMALL, LARGE)

    assert join(short, long).run.content == long.content
    assert join(long, short).run.content == long.content
    assert join(long, long).run.content == long.content


def test_two_versions_that_went_on_differently_are_joined() -> None:
    joined = join(_run(SMALL, LARGE), _run(SMALL, LARGER))

    assert {line.record.case.id for line in joined.run.lines} == {r.case.id for r in (SMALL, LARGE, LARGER)}
    assert not joined.conflicts


def test_two_contents_of_one_record_are_a_conflict_and_the_first_stays() -> None:
    other = measured(median_s=9.0, case=SMALL.case)

    joined = join(_run(SMALL), _run(other))

    assert joined.run.content == _run(SMALL).content
    assert len(joined.conflicts) == 1
    assert "run-1" in joined.conflicts[0]


def test_only_the_first_messages_are_named() -> None:
    assert named(["a", "b"]) == ("a", "b")
    assert len(named(map(str, range(100)))) == 6
    assert "95" in named(map(str, range(100)))[-1]
