"""Cases of several stages: each is compared, gated and shown besides the whole call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from factories import GIB, a_case, a_record, out_of_memory

from bench.analysis import compare as comparing
from bench.analysis.compare import sides
from bench.analysis.compare.outcomes import Pair
from bench.analysis.compare.stages import apart
from bench.record import Memory, Record, Stage, Timing, metrics
from bench.report.pages.compare_figures import ComparisonFigures

TEXT, DENOISE = "text", "denoise"


def _stage(name: str, seconds: float, peak_bytes: int = GIB) -> Stage:
    samples = tuple(seconds * (1 + step / 1000) for step in range(20))
    timing = Timing(clock="perf_counter", median_s=seconds, samples_s=samples)
    memory = Memory(percent=1.0, peak_bytes=peak_bytes, peak_allocated_bytes=peak_bytes, weights_bytes=GIB)
    return Stage(name=name, timing=timing, memory=memory, flops=10**9)


def _record(seconds: Mapping[str, float], **fields: Any) -> Record:
    return a_record(stages=tuple(_stage(name, value) for name, value in seconds.items()), **fields)


def _compared(base: Record, head: Record, *gates: str) -> comparing.Comparison:
    both = (sides.side(name, [("file", [record])]) for name, record in (("base", base), ("head", head)))
    return comparing.compare(*both, comparing.request(fail_on=gates))


BASE = _record({TEXT: 0.1, DENOISE: 1.0})


def test_a_record_falls_into_one_of_each_stage() -> None:
    assert {name: one.stages for name, one in metrics.of_stages(BASE).items()} == {
        TEXT: BASE.stages[:1],
        DENOISE: BASE.stages[1:],
    }


def test_a_call_of_one_stage_falls_into_nothing() -> None:
    assert metrics.of_stages(_record({"encode": 1.0})) == {}


def test_figures_of_the_whole_call_are_no_stage_s() -> None:
    figures = metrics.of_stage(metrics.of_stages(BASE)[TEXT])
    assert figures["time"] == 0.1
    assert figures["flops"] == 10**9
    assert not figures.keys() & {"weights", "energy", "pixel_rate"}


def test_each_stage_has_a_row_under_its_case() -> None:
    table = next(one for one in _compared(BASE, BASE).machines[0].metrics if one.metric == "time")
    assert [row.stage for row in table.rows] == [None, TEXT, DENOISE]
    assert [row.base.median for row in table.rows] == pytest.approx([1.1, 0.1, 1.0], rel=0.02)


def test_what_stages_do_not_have_for_themselves_has_one_row_a_case() -> None:
    table = next(one for one in _compared(BASE, BASE).machines[0].metrics if one.metric == "weights")
    assert [row.stage for row in table.rows] == [None]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ({TEXT: 0.1, "decode": 1.0}, [DENOISE, "decode"]),
        ({TEXT: 0.1}, [DENOISE]),
        ({TEXT: 0.1, DENOISE: 1, "decode": 1}, ["decode"]),
    ],
)
def test_a_call_with_other_stages_is_not_compared_as_a_whole_and_a_note_and_gates_say_so(
    head: dict[str, float], names: list[str]
) -> None:
    # Given a side whose calls have a stage more, less, or of another name
    found = _compared(BASE, _record(head), "time>5%", "weights>0%")
    # When they are compared, then what both have is, and the whole is not
    table = next(one for one in found.machines[0].metrics if one.metric == "time")
    assert [row.stage for row in table.rows] == [name for name in (TEXT, DENOISE) if name in head]
    # And it is told, and no gate has judged the whole
    (note,) = [one for one in found.machines[0].notes if "stages" in one]
    assert all(name in note for name in names)
    assert [sum(count.cases for count in gate.unjudged) for gate in found.gates] == [1, 0]


def test_a_side_that_was_not_measured_has_no_other_stages() -> None:
    found = _compared(BASE, out_of_memory())
    assert not [one for one in found.machines[0].notes if "stages" in one]


def test_a_gate_fails_by_a_stage_whose_change_drowns_in_the_whole() -> None:
    # Given a stage that takes twice as long, which is a tenth of the whole
    head = _record({TEXT: 0.2, DENOISE: 1.0}, case=a_case())
    # When the gate is at a fifth, then the stage alone fails it
    (gate,) = _compared(BASE, head, "time>20%").gates
    assert [failure.stage for failure in gate.failures] == [TEXT]
    assert gate.failed_cases == 1
    assert f": {TEXT}: " in gate.lines[0]


def test_the_ratio_of_a_table_is_that_of_whole_calls() -> None:
    head = _record({TEXT: 0.1, DENOISE: 2.0})
    table = next(one for one in _compared(BASE, head).machines[0].metrics if one.metric == "time")
    assert table.ratio == pytest.approx(2.1 / 1.1, rel=0.02)


def test_json_names_the_stage_of_a_row_and_only_there() -> None:
    (machine,) = ComparisonFigures.model_validate(_compared(BASE, BASE)).model_dump(mode="json")["machines"]
    (rows,) = (table["rows"] for table in machine["metrics"] if table["metric"] == "time")
    assert [row.get("stage") for row in rows] == [None, TEXT, DENOISE]
    assert "stage" not in rows[0]


def test_a_metric_of_the_whole_call_takes_no_pair_apart() -> None:
    pair = Pair(BASE.case, (BASE,), (BASE,))
    assert list(apart([pair], "energy")) == [pair]
