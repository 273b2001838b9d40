"""Equal cards share the groups of one run: who measures what, what a lost card had begun, what is continued."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories import a_case, an_environment

from bench import store
from bench.core import identity
from bench.errors import BenchError, CancelledError, ExecutorLostError, ResultsError
from bench.plan import Plan
from bench.record import Case, Device, Measured, MeasureSettings, Phase, Record, Run, Stage, SweepOnCards, Timing
from bench.run import scheduler
from bench.run.messages import Broken, Done, Ready
from bench.run.run_options import RunOptions
from bench.run.shared_run import SharedRun

CASES = tuple(a_case(size=8 * n) for n in range(1, 9))
SWEEP = SweepOnCards(id="2026-01-01T12:00:00Z", runs=1, shared=True)
PLAN = Plan(config="test", cases=CASES, measure=MeasureSettings(), timeout_s=5.0)
STAGE = Stage(name="encode", timing=Timing(clock="perf_counter", median_s=1.0, samples_s=(1.0,)))


class Card:
    """An executor whose cases end when the test lets them; `lost_at` is the number of cases after which it is gone."""

    def __init__(
        self, uuid: str, *, lost_at: int | None = None, lost_over: Case | None = None, driver: str = "1"
    ) -> None:
        device = Device(kind="cuda", name="NVIDIA Equal", total_bytes=2**33, identity=identity.of(uuid))
        self.ready = Ready(device=device, environment=an_environment(driver=driver))
        self.asked: list[Case] = []
        self.may_start, self.may_end = threading.Event(), threading.Event()
        self.may_start.set()
        self.may_end.set()
        self.is_closed = False
        self.begins: Callable[[], None] = lambda: None
        self._lost_at, self._lost_over = lost_at, lost_over

    def start(self) -> Ready:
        self.may_start.wait(20)
        if self.is_closed:
            raise CancelledError("It was cancelled.")
        return self.ready

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: Callable[[Phase], None]) -> Done:
        self.begins()
        self.may_end.wait(20)
        if self.is_closed or len(self.asked) == self._lost_at or case == self._lost_over:
            raise ExecutorLostError("Its node was lost.")
        self.asked.append(case)
        on_phase("run")
        return Done(outcome=Measured(), stages=(STAGE,))

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: Callable[[Phase], None]
    ) -> tuple[Done, ...] | Broken:
        return tuple([self.run(case, measure, timeout_s, on_phase) for case in cases])

    def close(self) -> None:
        self.is_closed = True

    def cancel(self) -> None:
        self.close()
        self.may_start.set()
        self.may_end.set()


class Watcher:
    """An observer that remembers how much is on disk whenever a case is done."""

    def __init__(self, after: Callable[[int], None] = lambda _: None) -> None:
        self.begun_count, self.on_disk = 0, list[int]()
        self.path, self.resumed, self._after = Path(), 0, after

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None:
        self.begun_count += 1
        self.path, self.resumed = path, len(earlier)

    def case_begun(self, number: int, case: Case) -> None:
        assert CASES[number - 1] == case

    def phase_begun(self, phase: Phase) -> None:
        """Not of interest."""

    def case_done(self, number: int, record: Record) -> None:
        assert CASES[number - 1] == record.case
        self.on_disk.append(len(store.read_file(self.path).records))
        self._after(len(self.on_disk))


def go(results: Path, cards: Sequence[Card], watcher: Watcher | None = None, **options: object) -> scheduler.RunSummary:
    clock = datetime(2026, 1, 1, 12, tzinfo=UTC)
    chosen = RunOptions(results=results, now=lambda: clock, **{"sweep": SWEEP} | options)
    return scheduler.run(PLAN, cards, chosen, watcher or Watcher())


def cut_off(results: Path, cards: Sequence[Card], **options: object) -> None:
    with pytest.raises(ExecutorLostError):
        go(results, cards, **options)


def test_equal_cards_measure_each_case_once_and_a_record_names_its_card(tmp_path: Path) -> None:
    first, second = Card("1"), Card("2")
    # Given one card that stays busy with its first case until the other has measured all the rest
    second.may_start.clear()
    first.may_end.clear()
    first.begins = second.may_start.set
    watcher = Watcher(lambda done: first.may_end.set() if done == len(CASES) - 1 else None)
    summary = go(tmp_path, [first, second], watcher)
    assert sorted(record.case.id for record in summary.records) == sorted(case.id for case in CASES)
    assert (len(first.asked), len(second.asked)) == (1, len(CASES) - 1)
    cards = Counter(record.device.identity for record in summary.records)
    assert cards == {identity.of("1"): 1, identity.of("2"): len(CASES) - 1}
    assert watcher.on_disk == list(range(1, len(CASES) + 1))
    assert watcher.begun_count == 1
    assert len(list(tmp_path.rglob("*.jsonl"))) == 1
    assert all(record.run.is_shared for record in store.read_file(summary.path).records)


def test_what_a_lost_card_had_begun_is_measured_by_another_one(tmp_path: Path) -> None:
    warnings: list[str] = []
    lost, other = Card("1", lost_at=2), Card("2")
    other.may_end.clear()
    watcher = Watcher(lambda done: other.may_end.set() if done == 2 else None)
    summary = go(tmp_path, [lost, other], watcher, warn=warnings.append)
    assert Counter(record.case.id for record in summary.records) == dict.fromkeys((case.id for case in CASES), 1)
    assert len(lost.asked) == 2
    assert any("Its node was lost." in warning for warning in warnings)
    assert summary.exit_code == 0


def test_a_case_that_brings_cards_down_takes_three_of_them_and_has_crashed(tmp_path: Path) -> None:
    cards = [Card(str(number), lost_over=CASES[2]) for number in range(5)]
    summary = go(tmp_path, cards)
    assert summary.counts == {"measured": len(CASES) - 1, "crashed": 1}
    assert summary.exit_code == 1
    (crashed,) = [record for record in summary.records if record.outcome.status == "crashed"]
    assert crashed.case == CASES[2]


def test_when_every_card_is_lost_the_records_are_kept_and_any_equal_card_continues(tmp_path: Path) -> None:
    cut_off(tmp_path, [Card("1", lost_at=2), Card("2", lost_at=1)])
    watcher = Watcher()
    summary = go(tmp_path, [Card("3"), Card("1")], watcher)
    assert summary.resumed == watcher.resumed == 3
    assert Counter(record.case.id for record in summary.records) == dict.fromkeys((case.id for case in CASES), 1)
    assert len(list(tmp_path.rglob("*.jsonl"))) == 1


def test_a_finished_run_is_left_as_it_is_while_its_sweep_is_unfinished(tmp_path: Path) -> None:
    go(tmp_path, [Card("1")])
    again, busy = Card("2"), Card("3")
    busy.may_start.clear()
    assert go(tmp_path, [again, busy]).resumed == len(CASES)
    assert not again.asked
    # but another sweep begins anew
    anew = Card("2")
    go(tmp_path, [anew], sweep=SWEEP.model_copy(update={"id": "2026-01-02T12:00:00Z"}))
    assert len(anew.asked) == len(CASES)


def test_one_card_does_not_continue_a_shared_run_nor_the_other_way_round(tmp_path: Path) -> None:
    cut_off(tmp_path, [Card("1", lost_at=2)])
    alone = Card("1")
    with pytest.raises(ExecutorLostError):
        scheduler.run(PLAN, Card("1", lost_at=1), RunOptions(results=tmp_path), Watcher())
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2
    summary = go(tmp_path, [alone])
    assert summary.resumed == 2
    assert scheduler.run(PLAN, Card("1"), RunOptions(results=tmp_path), Watcher()).resumed == 1


def test_a_card_with_another_driver_is_left_out_and_named(tmp_path: Path) -> None:
    warnings: list[str] = []
    first, other = Card("1"), Card("2", driver="2")
    other.may_start.clear()
    watcher = Watcher(lambda done: other.may_start.set() if done == 1 else None)
    summary = go(tmp_path, [first, other], watcher, warn=warnings.append)
    assert len(summary.records) == len(CASES)
    assert not other.asked
    if warnings:  # it may have become ready only when nothing was left
        assert "driver 2, not 1" in warnings[0]


def test_a_card_that_is_never_free_does_not_hold_up_the_end(tmp_path: Path) -> None:
    busy = Card("2")
    busy.may_start.clear()
    assert len(go(tmp_path, [Card("1"), busy]).records) == len(CASES)
    assert busy.is_closed


def test_a_full_disk_ends_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [Card("1"), Card("2")]

    def full(self: store.RunFile, *records: Record) -> None:
        raise ResultsError("The disk is full.")

    monkeypatch.setattr(store.RunFile, "append", full)
    with pytest.raises(ResultsError, match="full"):
        go(tmp_path, cards)
    assert all(card.is_closed for card in cards)


def test_a_record_is_not_measured_again_because_it_could_not_be_shown(tmp_path: Path) -> None:
    # Given a case whose record is on disk when what shows it fails
    def fails(done: int) -> None:
        raise OSError("no space left for standard error")

    shared = SharedRun(PLAN, [Card("1")], RunOptions(results=tmp_path, sweep=SWEEP), Watcher(fails))
    with pytest.raises(OSError, match="standard error"):
        shared.run()
    # Then it is not queued for another card
    (path,) = tmp_path.rglob("*.jsonl")
    (kept,) = store.read_file(path).records
    assert kept.case not in [case for group in shared._waiting for case in group.cases]


def test_a_second_driver_on_the_folder_is_refused(tmp_path: Path) -> None:
    first = Card("1")
    refused: list[BenchError] = []

    def meanwhile(done: int) -> None:
        if done == 1:
            with pytest.raises(ResultsError) as error:
                go(tmp_path, [Card("2")])
            refused.append(error.value)

    go(tmp_path, [first], Watcher(meanwhile))
    assert len(refused) == 1


def test_an_interruption_releases_all_cards(tmp_path: Path) -> None:
    cards = [Card("1"), Card("2")]

    def interrupt(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, cards, Watcher(interrupt))
    assert all(card.is_closed for card in cards)
    assert go(tmp_path, [Card("1")]).resumed >= 3  # the other card may have finished one more
