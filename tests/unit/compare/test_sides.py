"""Runs, machines and differences out of records."""

from __future__ import annotations

from typing import Any

import pytest
from factories import GIB, a_case, a_device, a_run, an_environment, measured, published, refusal

from bench.compare import sides
from bench.errors import ResultsError
from bench.record import MeasureSettings, Package, Record

OTHER = a_device(name="NVIDIA Other")


def _side(name: sides.SideName, *records: Record) -> sides.Side:
    return sides.side(name, [(f"{name}.jsonl", records)])


def test_every_run_of_every_file_is_one_run_and_the_last_record_of_a_case_counts() -> None:
    # given a file of two runs, one of which has a case twice
    again = measured(2.0)
    records = (measured(1.0), again, measured(3.0, run=a_run(id="run-2")))
    # when they become a side
    side = _side("base", *records)
    # then there are two runs, and the later record stands
    assert [run.id for run in side.runs] == ["run-1", "run-2"]
    assert list(side.runs[0].records.values()) == [again]


def test_an_unfinished_run_counts_with_a_note() -> None:
    side = _side("head", measured(run=a_run(cases=3)))
    assert side.notes == ("head: run run-1 is unfinished: 1 of 3 cases.",)
    assert len(side.runs) == 1


def test_a_copy_of_a_run_is_counted_once_with_a_note() -> None:
    side = sides.side("base", [("a.jsonl", [measured()]), ("b.jsonl", [measured()])])
    assert len(side.runs) == 1
    assert "b.jsonl is a copy of run run-1" in side.notes[0]


def test_runs_of_one_id_that_hold_other_figures_are_two() -> None:
    assert len(sides.side("base", [("a.jsonl", [measured(1.0)]), ("b.jsonl", [measured(2.0)])]).runs) == 2


def test_a_side_without_a_record_is_an_error_that_says_how_to_give_one() -> None:
    message = refusal(ResultsError, sides.side, "head", [("empty.jsonl", [])])
    assert "no record on the head side" in message
    assert "`bench compare BASE HEAD`" in message


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"device": OTHER}, "device: base NVIDIA Test, head NVIDIA Other"),
        ({"device": a_device(total_bytes=80 * GIB)}, "device memory: base 24.00 GiB"),
        ({"vram_limit_bytes": 8 * GIB}, "VRAM limit: base none, head 8.00 GiB"),
        ({"environment": an_environment(host_cpu="Another CPU")}, "host CPU: base Test CPU, head Another CPU"),
        ({"environment": an_environment(host_cores=4)}, "host cores: base 2, head 4"),
        ({"environment": an_environment(host_ram_bytes=16 * GIB)}, "host RAM: base 8 GiB, head 16 GiB"),
        ({"environment": None}, "host CPU: base Test CPU, head not known"),
    ],
)
def test_unlike_machines_are_refused_with_what_differs(fields: dict[str, Any], word: str) -> None:
    base, head = _side("base", measured()), _side("head", measured(**fields))
    message = refusal(ResultsError, lambda: sides.paired_machines(base, head, across=False))
    assert word in message
    assert "--across-machines" in message


def test_a_few_bytes_of_ram_make_no_other_machine() -> None:
    head = _side("head", measured(environment=an_environment(host_ram_bytes=8 * GIB + 4096)))
    assert len(sides.paired_machines(_side("base", measured()), head, across=False)) == 1


def test_across_machines_compares_one_with_the_other() -> None:
    base, head = _side("base", measured()), _side("head", measured(device=OTHER))
    ((mine, theirs),) = sides.paired_machines(base, head, across=True)
    assert (mine.name, theirs.name) == ("NVIDIA Test", "NVIDIA Other")


def test_of_several_machines_those_of_both_sides_are_compared() -> None:
    base = _side("base", measured(), measured(device=OTHER))
    head = _side("head", measured(device=OTHER))
    assert [mine.name for mine, _ in sides.paired_machines(base, head, across=False)] == ["NVIDIA Other"]


@pytest.mark.parametrize("across", [False, True])
def test_several_machines_and_none_in_common_say_to_name_the_files(across: bool) -> None:
    base = _side("base", measured(), measured(device=a_device(name="NVIDIA Third")))
    message = refusal(
        ResultsError, lambda: sides.paired_machines(base, _side("head", measured(device=OTHER)), across=across)
    )
    assert "base: NVIDIA Test, NVIDIA Third; head: NVIDIA Other" in message
    assert "Name the files" in message


def test_a_published_page_is_a_run_a_machine() -> None:
    records = [published(device=a_device(name=name, total_bytes=None)) for name in ("RTX 3080", "RTX 3090")]
    assert [run.machine.label for run in _side("base", *records).runs] == ["RTX 3080", "RTX 3090"]


def _told(mine: Record, *theirs: Record) -> list[str]:
    base, head = _side("base", mine), _side("head", *theirs)
    return [sides.told(one) for one in sides.software_differences(base.runs, head.runs)]


def test_software_and_settings_that_differ_are_told() -> None:
    # given a newer torch without diffusers, an environment variable and other settings
    software = an_environment(packages={"torch": Package(version="2.14.0")}, variables={"OMP_NUM_THREADS": "1"})
    settings = MeasureSettings(max_noise=None)
    # then each is a line; what is alike is none
    assert _told(measured(measure=MeasureSettings()), measured(environment=software, measure=settings)) == [
        "torch: base 2.13.0, head 2.14.0",
        "diffusers: base 0.40.0 (abc123), head none",
        "$OMP_NUM_THREADS: base none, head 1",
        "measure.max_noise: base 0.005, head none",
    ]


def test_what_differs_inside_a_side_is_told_too() -> None:
    second = measured(run=a_run(id="run-2"), environment=an_environment(python="3.12.1"))
    assert _told(measured(), measured(), second) == ["python: base 3.11.7, head 3.11.7 and 3.12.1"]


def test_a_side_that_says_nothing_of_its_software_is_one_line() -> None:
    assert _told(published(), measured()) == [
        "kind of record: base published, head measured",
        "software: base not known, head known",
    ]


def test_sides_of_the_same_software_differ_in_nothing() -> None:
    assert _told(measured(case=a_case(size=64)), measured(case=a_case(size=128))) == []
