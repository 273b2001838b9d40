"""Merging the lines of two files of one run: which stay, in which order, and what is a conflict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from factories import a_case, a_device, a_run, measured, of_version_5
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.record import Record
from bench.sharing.merge.merging import merge_lines

MOMENTS = tuple(f"2026-01-01T12:00:{second:02}.000000Z" for second in range(60))


@cache
def record(number: int, median_s: float = 0.05, identity: str | None = None) -> Record:
    """The record of a run's n-th case, made at its n-th second."""
    return measured(
        median_s,
        case=a_case(size=8 * (number + 1)),
        device=a_device(identity=identity),
        run=a_run(cases=20),
        recorded_at=MOMENTS[number],
    )


def lines(*records: Record) -> bytes:
    return b"".join(record.to_json().encode() + b"\n" for record in records)


def numbered(*numbers: int) -> bytes:
    return lines(*map(record, numbers))


def merged(first: bytes, second: bytes) -> bytes:
    content, conflicts = merge_lines(first, second)
    assert not conflicts
    return content


#: Lines of one run, in any order, some twice.
CONTENTS = st.lists(st.integers(0, 7), max_size=12).map(lambda numbers: numbered(*numbers))


@settings(max_examples=60, deadline=None)
@given(CONTENTS, CONTENTS, CONTENTS)
def test_sets_of_records_merge_in_any_order_and_grouping(a: bytes, b: bytes, c: bytes) -> None:
    def records(content: bytes) -> set[bytes]:
        return set(content.splitlines())

    together = merged(a, b)
    assert records(together) == records(a) | records(b)
    assert together.count(b"\n") == len(records(together))
    assert records(together) == records(merged(b, a))
    assert records(merged(merged(a, b), c)) == records(merged(a, merged(b, c)))
    assert merged(together, a) == merged(together, b) == merged(together, together) == together


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 15), unique=True), st.lists(st.integers(0, 15), unique=True))
def test_a_run_that_was_split_is_the_run_again_byte_for_byte(some: Sequence[int], more: Sequence[int]) -> None:
    # Given two copies of parts of one run, whose lines are in the order in which they were recorded
    first, second = numbered(*sorted(some)), numbered(*sorted(more))
    # When they are merged in either order, then the lines are those of the run, in its order
    assert merged(first, second) == merged(second, first) == numbered(*sorted({*some, *more}))


def test_a_copy_that_was_continued_stays_as_it_is() -> None:
    begun, continued = numbered(3, 1), numbered(3, 1, 0)
    assert merged(begun, continued) == merged(continued, begun) == continued


def test_records_of_one_key_that_differ_are_a_conflict_that_names_them() -> None:
    ours, theirs = lines(record(0), record(1)), lines(record(1, 0.75))
    content, (conflict,) = merge_lines(ours, theirs, ("a.jsonl", "b.jsonl"))
    assert content == ours
    assert (conflict.first, conflict.second) == ("a.jsonl, line 2", "b.jsonl, line 1")
    assert "tiny encode 16x16" in conflict.what
    assert "NVIDIA Test" in conflict.what
    differing = {difference.field: (difference.first, difference.second) for difference in conflict.differences}
    assert differing["stages.0.timing.median_s"] == ("0.05", "0.75")
    assert len(conflict.differences) + conflict.more == 5  # and three samples, and the first call


def test_a_preferred_record_takes_the_place_of_the_other() -> None:
    older = record(1, 0.75)
    newer = older.model_copy(update={"recorded_at": MOMENTS[9], "wall_s": 2.0})
    contents = lines(record(0), newer), lines(older)
    assert merge_lines(*contents, prefer="newest") == (lines(record(0), newer), ())
    assert merge_lines(*reversed(contents), prefer="newest") == (lines(record(0), newer), ())
    assert merge_lines(*reversed(contents), prefer="first") == (lines(record(0), older), ())


def test_none_is_the_newest_of_two_of_one_moment() -> None:
    content, conflicts = merge_lines(lines(record(1)), lines(record(1, 0.75)), prefer="newest")
    assert content == lines(record(1))
    assert len(conflicts) == 1


def test_two_cards_have_records_of_their_own() -> None:
    contents = [lines(record(1, identity=f"sha256:{card * 12}")) for card in "ab"]
    assert len(merged(*contents).splitlines()) == 2


def test_the_same_record_written_in_two_ways_is_one() -> None:
    # Given a line as this version writes it, with other spaces, and as an older version wrote it
    ours = lines(record(1))
    spaced = json.dumps(json.loads(ours)).encode() + b"\n"
    old = json.dumps(of_version_5(record(1))).encode() + b"\n"
    # When they are merged, then the newest version's line stays, whichever comes first
    assert merged(ours, old) == merged(old, ours) == ours
    assert merged(ours, spaced) == merged(spaced, ours)


def test_lines_of_an_older_version_stay_as_they_are() -> None:
    old = json.dumps(of_version_5(record(0))).encode() + b"\n"
    assert merged(old, numbered(1)) == old + numbered(1)


def test_bad_lines_are_left_out() -> None:
    assert merged(numbered(0) + b"{torn", numbered(1) + b"[]\n") == numbered(0, 1)


def test_a_record_that_holds_a_field_s_name_keeps_its_moment() -> None:
    # Given a text that looks like the last field of a line
    hostile = measured(warnings=('"recorded_at":"9999', "x"), case=a_case(size=8), recorded_at=MOMENTS[0])
    assert merged(lines(record(3)), lines(hostile)) == lines(hostile, record(3))
