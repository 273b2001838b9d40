"""Runs, machines and differences out of records."""

from __future__ import annotations

from typing import Any

import pytest
from factories import GIB, a_case, a_device, a_run, an_environment, measured, published, refusal

from bench.analysis.compare import sides
from bench.analysis.compare.machines import Machine, machine_differences, machine_of
from bench.core.units import MIB
from bench.errors import ResultsError
from bench.record import Record

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


def test_unfinished_runs_of_one_plan_in_one_file_are_finished_together() -> None:
    # given two runs of a plan of two cases, which have one each, in one file and in two
    parts = [measured(run=a_run(cases=2)), measured(case=a_case(size=128), run=a_run(id="run-2", cases=2))]
    # then they lack nothing in one file, as `bench merge` puts them
    assert _side("head", *parts).notes == ()
    assert len(sides.side("head", [("a.jsonl", parts[:1]), ("b.jsonl", parts[1:])]).notes) == 2
    # but two parts with the same case, or of two cards, do
    for other in (parts[0].case, None):
        again = measured(run=a_run(id="run-2", cases=2), **({"case": other} if other else {"device": OTHER}))
        assert len(_side("head", parts[0], again).notes) == 2


def test_a_copy_of_a_run_is_counted_once_with_a_note() -> None:
    side = sides.side("base", [("a.jsonl", [measured()]), ("b.jsonl", [measured()])])
    assert len(side.runs) == 1
    assert "b.jsonl is a copy of run run-1" in side.notes[0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_partial_copy_of_a_run_is_counted_once_by_the_fuller(order: tuple[int, int]) -> None:
    # given a run of three cases, and a copy that was taken after two of them
    full = [measured(case=a_case(size=size), run=a_run(cases=3)) for size in (64, 128, 256)]
    files = [("full.jsonl", full), ("part.jsonl", full[:2])]
    # when both are given, in whichever order
    side = sides.side("base", [files[place] for place in order])
    # then the fuller one counts, and is not called unfinished
    assert [(run.file, len(run.records)) for run in side.runs] == [("full.jsonl", 3)]
    assert side.notes == ("base: part.jsonl is a copy of part of run run-1 in full.jsonl; it is counted once.",)


def test_a_run_in_two_files_without_a_case_in_common_is_no_copy() -> None:
    parts = [("a.jsonl", [measured()]), ("b.jsonl", [measured(case=a_case(size=128))])]
    assert len(sides.side("base", parts).runs) == 2


def test_runs_of_one_id_that_hold_other_figures_are_two() -> None:
    assert len(sides.side("base", [("a.jsonl", [measured(1.0)]), ("b.jsonl", [measured(2.0)])]).runs) == 2


def test_a_side_without_a_record_is_an_error_that_says_how_to_give_one() -> None:
    message = refusal(ResultsError, sides.side, "head", [("empty.jsonl", [])])
    assert "head side" in message
    assert "`bench compare BASE HEAD`" in message


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"device": OTHER}, "device: base NVIDIA Test, head NVIDIA Other"),
        ({"device": a_device(total_bytes=80 * GIB)}, "device memory: base 24.0 GiB, head 80.0 GiB"),
        ({"vram_limit_bytes": 8 * GIB}, "VRAM limit: base none, head 8.00 GiB"),
        ({"environment": an_environment(host_cpu="Another CPU")}, "host CPU: base Test CPU, head Another CPU"),
        ({"environment": an_environment(host_cores=4)}, "host cores: base 2, head 4"),
        ({"environment": an_environment(host_ram_bytes=16 * GIB)}, "host RAM: base 8.00 GiB, head 16.0 GiB"),
        ({"environment": None}, "host CPU: base Test CPU, head not known"),
    ],
)
def test_unlike_machines_are_refused_with_what_differs(fields: dict[str, Any], word: str) -> None:
    base, head = _side("base", measured()), _side("head", measured(**fields))
    message = refusal(ResultsError, lambda: sides.paired_machines(base, head, across=False))
    assert word in message
    assert "--across-machines" in message


@pytest.mark.parametrize(
    ("limit", "other", "texts"),
    [(None, 300 * MIB, ("none", "300 MiB")), (300 * MIB, 300 * MIB + 1, ("314572800 bytes", "314572801 bytes"))],
)
def test_limits_are_told_as_they_are_typed_unless_that_does_not_tell_them_apart(
    limit: int | None, other: int, texts: tuple[str, str]
) -> None:
    (difference,) = machine_differences(
        *(machine_of(measured(vram_limit_bytes=limit_bytes)) for limit_bytes in (limit, other))
    )
    assert (difference.base, difference.head) == ((texts[0],), (texts[1],))


@pytest.mark.parametrize("total", [15.5 * GIB, 8 * GIB])
def test_a_few_kib_of_ram_make_no_other_machine(total: float) -> None:
    # given totals on both sides of what would be rounded to another number of GiB
    base, head = (
        _side(name, measured(environment=an_environment(host_ram_bytes=int(total) + more)))
        for name, more in (("base", -4096), ("head", 4096))
    )
    # then there is one machine, also where both are on one side, and no difference is told
    ((one, other),) = sides.paired_machines(base, head, across=False)
    assert not one.unlike(other)
    both = _side("base", *(record for side in (base, head) for run in side.runs for record in run.records.values()))
    assert len(both.machines) == 1


@pytest.mark.parametrize(("total", "unlike"), [(24 * GIB - 300 * 2**20, ()), (20 * GIB, ("total_bytes",))])
def test_the_device_s_total_may_differ_as_drivers_do(total: int, unlike: tuple[str, ...]) -> None:
    base, head = _side("base", measured()), _side("head", measured(device=a_device(total_bytes=total)))
    assert base.machines[0].unlike(head.machines[0]) == unlike


def test_each_machine_is_paired_once() -> None:
    # given two machines 3% apart, and on the other side one in between
    near = [measured(device=a_device(total_bytes=int(24 * GIB * share))) for share in (1, 1.03)]
    head = _side("head", measured(device=a_device(total_bytes=int(24 * GIB * 1.015))))
    assert len(sides.paired_machines(_side("base", *near), head, across=False)) == 1


def test_across_machines_compares_one_with_the_other() -> None:
    base, head = _side("base", measured()), _side("head", measured(device=OTHER))
    ((one, other),) = sides.paired_machines(base, head, across=True)
    assert (one.name, other.name) == ("NVIDIA Test", "NVIDIA Other")


def test_of_several_machines_those_of_both_sides_are_compared() -> None:
    base = _side("base", measured(), measured(device=OTHER))
    head = _side("head", measured(device=OTHER))
    assert [one.name for one, _ in sides.paired_machines(base, head, across=False)] == ["NVIDIA Other"]


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


def test_machines_that_differ_exactly_are_never_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # given 50 cards of different names on both sides
    calls: list[str] = []
    real = Machine.unlike

    def counted(machine: Machine, other: Machine) -> tuple[str, ...]:
        calls.append(other.name)
        return real(machine, other)

    monkeypatch.setattr(Machine, "unlike", counted)
    records = [measured(device=a_device(name=f"NVIDIA {number}")) for number in range(50)]
    # when they are paired
    pairs = sides.paired_machines(_side("base", *records), _side("head", *records), across=False)
    # then each is paired with its own, and compared with no other
    assert [base.name for base, _ in pairs] == [f"NVIDIA {number}" for number in range(50)]
    assert all(base == head for base, head in pairs)
    assert len(calls) == 50
