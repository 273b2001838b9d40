"""The scheduler over an executor that measures nothing: order, resume, what is written when."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from endpoint_records import endpoint_device, exchanges, facts, remote
from factories import a_case, a_device, an_environment, measured, of_version_5
from pipelines import a_pipeline_case

from bench import store
from bench.errors import ResultsError, WorkerError
from bench.plan import Plan
from bench.record import (
    Case,
    Crashed,
    Device,
    Failed,
    Measured,
    MeasureSettings,
    Outcome,
    OutOfMemory,
    Package,
    Phase,
    Record,
    Remote,
    Run,
    Stage,
    Tile,
    TimedOut,
    Timing,
)
from bench.run import scheduler
from bench.run.messages import Broken, Done, Ready

CASES = tuple(a_case(size=8 * n) for n in range(1, 5))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeExecutor:
    """Gives each case the outcome that the test wrote down, and remembers what it was asked."""

    def __init__(
        self, outcomes: dict[str, Outcome] | None = None, *, torch: str = "2.13.0", device: Device | None = None
    ) -> None:
        self.asked: list[Case] = []
        self.groups: list[tuple[Case, ...]] = []
        self._outcomes = outcomes or {}
        self.remote: Remote | None = None
        environment = an_environment(packages={"torch": Package(version=torch)})
        cpu = Device(kind="cpu", name="Test CPU", total_bytes=2**30)
        self.ready = Ready(device=device or cpu, environment=environment)

    def start(self) -> Ready:
        return self.ready

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: object) -> Done:
        self.asked.append(case)
        outcome = self._outcomes.get(case.id, Measured())
        if isinstance(outcome, BaseException):
            raise outcome
        timing = Timing(clock="perf_counter", median_s=1.0, samples_s=(1.0,))
        stages = (Stage(name="encode", timing=timing),)
        return Done(outcome=outcome, stages=stages if isinstance(outcome, Measured) else (), remote=self.remote)

    def run_interleaved(
        self, cases: tuple[Case, ...], measure: MeasureSettings, timeout_s: float, on_phase: object
    ) -> tuple[Done, ...] | Broken:
        """All of them, or, where the test wrote down another outcome than measured, none."""
        self.groups.append(cases)
        if any(case.id in self._outcomes for case in cases):
            return Broken(reason="one of them went wrong")
        timing = Timing(clock="perf_counter", median_s=1.0, samples_s=(1.0,))
        stages = (Stage(name="encode", timing=timing),)
        return tuple(Done(stages=stages) for _ in cases)

    def close(self) -> None:
        """Nothing is held."""


class Watcher:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.resumed = -1
        self.on_disk_when_told: list[int] = []
        self.path = Path()

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None:
        self.path, self.resumed = path, len(earlier)

    def case_begun(self, number: int, case: Case) -> None:
        """Not of interest."""

    def phase_begun(self, phase: Phase) -> None:
        """Not of interest."""

    def case_done(self, number: int, record: Record) -> None:
        self.on_disk_when_told.append(len(store.read_file(self.path).records))


def plan(cases: tuple[Case, ...] = CASES, **fields: object) -> Plan:
    return Plan(**{"config": "test", "cases": cases, "measure": MeasureSettings(), "timeout_s": 5.0} | fields)


def go(
    results: Path, executor: FakeExecutor, made: Plan | None = None, *, at: datetime = NOON, **options: object
) -> tuple[scheduler.RunSummary, Watcher]:
    watcher = Watcher()
    chosen = scheduler.RunOptions(results=results, now=lambda: at, **options)
    return scheduler.run(made or plan(), executor, chosen, watcher), watcher


def cut_off(results: Path, after: int, *, at: datetime = NOON, **options: object) -> None:
    """A run that stopped after so many cases."""
    with pytest.raises(KeyboardInterrupt):
        go(results, FakeExecutor({CASES[after].id: KeyboardInterrupt()}), at=at, **options)


def test_each_case_is_on_disk_before_the_next_begins(tmp_path: Path) -> None:
    _, watcher = go(tmp_path, FakeExecutor())
    assert watcher.on_disk_when_told == [1, 2, 3, 4]


def test_a_run_is_one_file_named_by_device_time_and_config(tmp_path: Path) -> None:
    summary, _ = go(tmp_path, FakeExecutor())
    assert summary.path == tmp_path / "cpu-test-cpu" / "20260101T120000Z-test.jsonl"
    assert [record.case for record in summary.records] == list(CASES)


def test_a_run_that_was_cut_off_goes_on_in_its_file_with_what_it_lacks(tmp_path: Path) -> None:
    # Given a run cut off in its third case
    cut_off(tmp_path, 2)
    # When the same plan is run again, later
    executor = FakeExecutor()
    summary, watcher = go(tmp_path, executor, at=NOON + timedelta(hours=1))
    # Then only the rest is measured, in the same file and as the same run
    assert executor.asked == list(CASES[2:])
    assert watcher.resumed == summary.resumed == 2
    assert [record.case for record in summary.records] == list(CASES)
    assert {record.run.id for record in summary.records} == {"20260101T120000Z-test"}
    assert len(list(tmp_path.rglob("*.jsonl"))) == 1


@pytest.mark.parametrize(
    ("change", "executor", "made"),
    [
        ({"fresh": True}, FakeExecutor(), plan()),
        ({"vram_limit_bytes": 2**28}, FakeExecutor(), plan()),
        ({}, FakeExecutor(torch="2.14.0"), plan()),
        ({}, FakeExecutor(), plan(CASES[:3])),
        ({}, FakeExecutor(), plan(measure=MeasureSettings(min_samples=99))),
    ],
    ids=["fresh", "another limit", "another torch", "another plan", "other settings"],
)
def test_only_the_same_plan_limit_and_libraries_are_continued(
    tmp_path: Path, change: dict[str, object], executor: FakeExecutor, made: Plan
) -> None:
    cut_off(tmp_path, 2)
    _, watcher = go(tmp_path, executor, made, at=NOON + timedelta(hours=1), **change)
    assert watcher.resumed == 0
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2


def test_a_torn_line_is_set_aside_and_its_case_measured_again(tmp_path: Path) -> None:
    # Given a run whose last line the power cut tore
    cut_off(tmp_path, 3)
    (file,) = tmp_path.rglob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-20])
    # When it goes on
    executor = FakeExecutor()
    summary, _ = go(tmp_path, executor)
    # Then every case is there once
    assert executor.asked == list(CASES[2:])
    assert [record.case for record in store.read_file(file).records] == list(CASES)
    assert summary.exit_code == 0


def test_two_runs_begun_within_one_second_have_files_of_their_own(tmp_path: Path) -> None:
    first, _ = go(tmp_path, FakeExecutor())
    second, _ = go(tmp_path, FakeExecutor(), at=NOON + timedelta(microseconds=1))
    assert first.path != second.path
    assert first.records[0].key != second.records[0].key


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (OutOfMemory(where="device"), 0),
        (TimedOut(timeout_s=1), 1),
        (Crashed(signal="SIGSEGV"), 1),
        (Failed(exception="ValueError"), 1),
    ],
)
def test_no_outcome_stops_the_sweep_and_the_exit_code_tells_bad_ones(
    tmp_path: Path, outcome: Outcome, code: int
) -> None:
    summary, _ = go(tmp_path, FakeExecutor({CASES[1].id: outcome}))
    assert [record.outcome.status for record in summary.records].count("measured") == 3
    assert summary.exit_code == code


def test_a_worker_that_can_t_be_started_stops_the_run_and_what_was_measured_stays(tmp_path: Path) -> None:
    with pytest.raises(WorkerError):
        go(tmp_path, FakeExecutor({CASES[2].id: WorkerError("gone")}))
    (file,) = tmp_path.rglob("*.jsonl")
    assert len(store.read_file(file).records) == 2


def test_a_second_run_on_the_same_device_at_the_same_time_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cpu-test-cpu"
    folder.mkdir()
    with store.device_lock(folder), pytest.raises(ResultsError, match="another `bench run`"):
        go(tmp_path, FakeExecutor())


def test_a_results_folder_that_is_a_file_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    executor = FakeExecutor()
    with pytest.raises(ResultsError, match="is a file"):
        go(tmp_path / "taken", executor)
    assert executor.asked == []


def test_a_summary_counts_every_outcome() -> None:
    records = (measured(), measured(case=CASES[1]), measured(case=CASES[2], outcome=TimedOut(timeout_s=1)))
    summary = scheduler.RunSummary(Path("x.jsonl"), records)
    assert summary.counts == {"measured": 2, "timed_out": 1}


# Taking turns

PAIRS = tuple(a_case(size=size, tiling=tiling) for size in (64, 128) for tiling in ("off", Tile(tile=64, overlap=16)))


def test_cases_that_take_turns_are_measured_together_and_say_with_whom(tmp_path: Path) -> None:
    executor = FakeExecutor()
    summary, watcher = go(tmp_path, executor, plan(PAIRS, interleave=True))

    # then each group was asked for as one, and each case has a record that names the other
    assert executor.groups == [PAIRS[:2], PAIRS[2:]]
    assert executor.asked == []
    related = {record.case.id: record.interleaved_with for record in summary.records}
    assert related == {a.id: (b.id,) for a, b in zip(PAIRS, (PAIRS[1], PAIRS[0], PAIRS[3], PAIRS[2]), strict=True)}
    assert watcher.on_disk_when_told == [2, 2, 4, 4]  # a group is written at once, so that no kill splits it


def test_a_group_in_which_something_goes_wrong_is_measured_one_by_one(tmp_path: Path) -> None:
    oom = OutOfMemory(where="device", phase="run")
    executor = FakeExecutor({PAIRS[0].id: oom})
    summary, _ = go(tmp_path, executor, plan(PAIRS, interleave=True))

    # then its cases have their own outcomes, and say that they did not take turns
    assert executor.asked == list(PAIRS[:2])
    assert [record.outcome.status for record in summary.records] == ["out_of_memory", *["measured"] * 3]
    assert all("one of them went wrong" in record.warnings[0] for record in summary.records[:2])
    assert not any(record.interleaved_with for record in summary.records[:2])
    assert all(record.interleaved_with and not record.warnings for record in summary.records[2:])


def test_a_group_that_was_cut_short_goes_on_with_what_it_lacks(tmp_path: Path) -> None:
    # given three cases that take turns, of which the first is on disk
    three = (*PAIRS[:2], a_case(size=64, dtype="float16"))
    made = plan(three, interleave=True)
    summary, _ = go(tmp_path, FakeExecutor(), made)
    first = summary.path.read_bytes().splitlines(keepends=True)[0]
    summary.path.write_bytes(first)

    # when the run goes on, then the other two take turns
    executor = FakeExecutor()
    summary, watcher = go(tmp_path, executor, made)
    assert watcher.resumed == 1
    assert executor.groups == [three[1:]]
    assert len(summary.records) == 3
    assert not summary.records[0].warnings
    assert all("1 " in record.warnings[0] for record in summary.records[1:])


def test_without_interleaving_each_case_is_measured_alone(tmp_path: Path) -> None:
    executor = FakeExecutor()
    go(tmp_path, executor, plan(PAIRS))

    assert executor.asked == list(PAIRS)
    assert executor.groups == []


def _endpoint(
    outcomes: dict[str, Outcome] | None = None, *, url: str, client: str = "diffusers", **known: object
) -> FakeExecutor:
    """An executor of an endpoint at an address; `known` is what it tells of itself, if it does."""
    executor = FakeExecutor(outcomes)
    reported = facts(url=url, **known)
    executor.remote = remote(endpoint=reported, exchanges=exchanges(1.0, diffusers=client == "diffusers"))
    executor.ready = executor.ready.model_copy(
        update={
            "device": endpoint_device(),
            "endpoint": reported if reported.server_device else None,
            "addresses": {"tiny/encode": url},
            "client": client,
        }
    )
    return executor


UNKNOWN = {"server_device": None, "server_packages": {}, "server_commit": None}


@pytest.mark.parametrize(
    ("again", "resumed"),
    [
        ({"url": "http://a", **UNKNOWN}, 2),
        ({"url": "http://b", **UNKNOWN}, 0),
        ({"url": "http://a", "client": "bench", **UNKNOWN}, 0),
    ],
    ids=["same", "another address", "another client"],
)
def test_a_run_of_an_unknown_endpoint_goes_on_at_its_address_through_its_client(
    tmp_path: Path, again: dict[str, Any], resumed: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, _endpoint({CASES[2].id: KeyboardInterrupt()}, url="http://a", **UNKNOWN))

    assert go(tmp_path, _endpoint(**again), at=NOON + timedelta(hours=1))[1].resumed == resumed


def test_an_endpoint_that_tells_of_itself_may_have_moved(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, _endpoint({CASES[2].id: KeyboardInterrupt()}, url="http://a"))

    assert go(tmp_path, _endpoint(url="http://b"), at=NOON + timedelta(hours=1))[1].resumed == 2


def test_a_bad_line_of_a_continued_run_is_reported_and_kept_and_its_case_measured_again(tmp_path: Path) -> None:
    # given a finished run whose second line was edited: measured, and no timing
    go(tmp_path, FakeExecutor())
    (file,) = tmp_path.rglob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    lines[1] = json.dumps({**json.loads(lines[1]), "timing": None}).encode() + b"\n"
    file.write_bytes(b"".join(lines))
    # when the same plan is run again
    reported: list[str] = []
    executor = FakeExecutor()
    summary, watcher = go(tmp_path, executor, warn=reported.append)
    # then that case alone is measured, in the same file, of which nothing is lost
    assert (summary.path, watcher.resumed) == (file, 3)
    assert [record.case for record in summary.records][3:] == [CASES[1]]
    assert file.read_bytes().splitlines(keepends=True)[:4] == lines
    assert len(store.read_file(file).records) == 4
    (warning,) = reported
    assert f"{file}, line 2 " in warning


# Two cards of one name


def card(number: int) -> FakeExecutor:
    return FakeExecutor(device=a_device(identity=f"sha256:{number:012x}"))


class Meanwhile(FakeExecutor):
    """A card on whose first case another run is begun and ends."""

    def __init__(self, device: Device, then: Callable[[], object]) -> None:
        super().__init__(device=device)
        self._then: Callable[[], object] | None = then

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: object) -> Done:
        then, self._then = self._then, None
        if then is not None:
            then()
        return super().run(case, measure, timeout_s, on_phase)


def test_a_card_does_not_go_on_with_the_run_of_its_twin(tmp_path: Path) -> None:
    # Given a run of one card, cut off
    cut = card(1)
    cut._outcomes[CASES[2].id] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, cut)
    # When its twin runs the same plan, then it measures all of it in a file of its own
    summary, watcher = go(tmp_path, card(2), at=NOON + timedelta(hours=1))
    assert watcher.resumed == 0
    # And the first card still goes on with its own, although the other's is later
    own, resumed = go(tmp_path, card(1), at=NOON + timedelta(hours=2))
    assert resumed.resumed == 2
    assert own.path != summary.path


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_twins_run_at_the_same_time_and_in_the_same_second_in_files_of_their_own(tmp_path: Path) -> None:
    related: list[scheduler.RunSummary] = []
    first = Meanwhile(card(1).ready.device, lambda: related.append(go(tmp_path, card(2))[0]))
    summary, _ = go(tmp_path, first)
    assert summary.path != related[0].path
    assert summary.path.parent == related[0].path.parent
    for run in (summary, *related):
        assert [record.case for record in store.read_file(run.path).records] == list(CASES)


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_one_card_is_held_by_one_run_at_a_time(tmp_path: Path) -> None:
    first = Meanwhile(card(1).ready.device, lambda: go(tmp_path, card(1)))
    with pytest.raises(ResultsError, match="another `bench run`"):
        go(tmp_path, first)


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_of_an_older_run_that_names_no_card_the_first_that_comes_goes_on(tmp_path: Path) -> None:
    # Given a run of a version that knew no identities, cut off
    older = FakeExecutor({CASES[2].id: KeyboardInterrupt()}, device=a_device())
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, older)
    # When both cards run its plan at once, then one goes on with it and the other begins anew
    watchers: list[Watcher] = []
    later = NOON + timedelta(hours=1)
    first = Meanwhile(card(1).ready.device, lambda: watchers.append(go(tmp_path, card(2), at=later)[1]))
    _, watcher = go(tmp_path, first, at=later)
    assert (watcher.resumed, watchers[0].resumed) == (2, 0)


def test_a_run_leaves_nothing_but_its_results_and_the_device_s_lock(tmp_path: Path) -> None:
    summary, _ = go(tmp_path, card(1))
    assert {path.name for path in summary.path.parent.iterdir()} - {".lock", ".lock-000000000001"} == {
        summary.path.name
    }


def test_two_cards_of_one_name_are_two_keys(tmp_path: Path) -> None:
    record = go(tmp_path, card(1))[0].records[0]
    assert record.key != record.model_copy(update={"device": card(2).ready.device}).key
    assert record.key == record.model_copy(update={"device": card(1).ready.device}).key


def test_a_run_of_schema_version_5_goes_on(tmp_path: Path) -> None:
    # Given a run that an older version of this program wrote, cut off after two cases
    cut_off(tmp_path, 2)
    (file,) = tmp_path.rglob("*.jsonl")
    file.write_text("".join(f"{json.dumps(of_version_5(record))}\n" for record in store.read_file(file).records))
    # When the same plan is run, then it goes on there
    summary, watcher = go(tmp_path, FakeExecutor(), at=NOON + timedelta(hours=1))
    assert watcher.resumed == 2
    assert summary.path == file
    assert [record.case for record in store.read_file(file).records] == list(CASES)


def test_a_case_that_its_model_can_t_run_is_skipped_with_the_reason_and_the_others_are_measured(tmp_path: Path) -> None:
    # given a sweep in which one case has a tile of no whole latent pixels
    odd = a_case(tiling=Tile(tile=33, overlap=0))
    executor = FakeExecutor()

    # when it runs, alone or in turns
    for name, interleave in (("alone", False), ("turns", True)):
        summary, _ = go(tmp_path / name, executor, plan((a_case(), odd), interleave=interleave))

        # then it has an outcome without having been asked for
        (record,) = [record for record in summary.records if record.case == odd]
        assert record.outcome.status == "skipped"
        assert "multiple of 2 px" in record.outcome.reason
        assert summary.counts == {"measured": 1, "skipped": 1}
        assert summary.exit_code == 0
    assert odd not in executor.asked
    assert not executor.groups


def test_a_case_that_the_device_can_t_run_is_skipped_with_the_reason_and_the_others_take_turns(tmp_path: Path) -> None:
    # Given a pipeline with and without offload, to be interleaved on a CPU
    variants = ("default", "model-offload", "denoise-only")
    cases = tuple(a_pipeline_case("tiny-flux-txt2img", variant=variant) for variant in variants)
    executor = FakeExecutor()
    # When they run
    summary, _ = go(tmp_path, executor, plan(cases, interleave=True))
    # Then the one that needs an accelerator is skipped, and the others are interleaved without it
    outcomes = {record.case.variant: record.outcome.status for record in summary.records}
    assert outcomes == {"default": "measured", "model-offload": "skipped", "denoise-only": "measured"}
    assert executor.groups == [(cases[0], cases[2])]
