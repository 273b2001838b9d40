"""Several runs side by side, over executors in this process: what each leaves, and what an error or an end does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from factories import a_case, a_device, an_environment

from bench import store
from bench.errors import BenchError, CancelledError, DeviceError
from bench.plan import Plan
from bench.record import Case, Measured, MeasureSettings, Phase, Record, Run, Stage, Timing
from bench.run.many_runs import Task, beside_text, exit_code, run_side_by_side
from bench.run.messages import Broken, Done, Ready
from bench.run.scheduler import RunOptions, RunSummary

CASES = tuple(a_case(size=8 * n) for n in range(1, 4))
PLAN = Plan(config="test", cases=CASES, measure=MeasureSettings(), timeout_s=5)


class Card:
    """An executor of a card of its own. `step` is called with each case before it is measured."""

    def __init__(self, number: int, step: Callable[[Case], object] = lambda _: None) -> None:
        identity = f"sha256:{number:012x}"
        self.ready = Ready(device=a_device(identity=identity), environment=an_environment())
        self.closed, self.cancelled = threading.Event(), threading.Event()
        self._step = step

    def start(self) -> Ready:
        if self.cancelled.is_set():
            raise CancelledError("The run was cancelled.")
        return self.ready

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: object) -> Done:
        self._step(case)
        timing = Timing(clock="cuda_event", median_s=1.0, samples_s=(1.0,))
        return Done(outcome=Measured(), stages=(Stage(name="encode", timing=timing),))

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: object
    ) -> tuple[Done, ...] | Broken:
        raise NotImplementedError

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed.set()


class Seen:
    """A view, and an observer, that remembers which errors it was told."""

    def __init__(self) -> None:
        self.failures: dict[str, BenchError] = {}

    def observer(self, title: str) -> Seen:
        return self

    def warn(self, title: str, text: str) -> None:
        """Not of interest."""

    def failed(self, title: str, error: BenchError) -> None:
        self.failures[title] = error

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None:
        """Not of interest."""

    def case_begun(self, number: int, case: Case) -> None:
        """Not of interest."""

    def phase_begun(self, phase: Phase) -> None:
        """Not of interest."""

    def case_done(self, number: int, record: Record) -> None:
        """Not of interest."""


def tasks(results: Path, *cards: Card) -> list[Task]:
    return [Task(f"cuda:{number}", PLAN, card, RunOptions(results)) for number, card in enumerate(cards)]


def together(results: Path, *cards: Card, **options: bool) -> tuple[list[RunSummary | BenchError], Seen]:
    seen = Seen()
    return run_side_by_side(tasks(results, *cards), seen, **options), seen


def broken(_: Case) -> None:
    raise DeviceError("the card fell off the bus")


def test_each_card_measures_every_case_into_a_file_of_its_own_at_the_same_time(tmp_path: Path) -> None:
    # Given two cards of one name that wait for each other in every case
    meeting = threading.Barrier(2)
    cards = [Card(number, lambda _: meeting.wait(20)) for number in range(2)]
    # When both run
    results, _ = together(tmp_path, *cards)
    # Then each has a run file with all cases and its own identity
    for result, card in zip(results, cards, strict=True):
        assert isinstance(result, RunSummary)
        held = store.read_file(result.path).records
        assert [record.case for record in held] == list(CASES)
        assert {record.device.identity for record in held} == {card.ready.device.identity}
        assert card.closed.is_set()
    assert len({result.path for result in results if isinstance(result, RunSummary)}) == 2
    assert exit_code(results) == 0


def test_an_error_ends_its_own_run_alone_and_is_told_at_once(tmp_path: Path) -> None:
    results, seen = together(tmp_path, Card(0), Card(1, broken), Card(2))
    assert isinstance(results[1], DeviceError)
    assert seen.failures == {"cuda:1": results[1]}
    assert all(isinstance(results[number], RunSummary) for number in (0, 2))
    assert exit_code(results) == 2


def test_the_same_runs_again_continue_each_card(tmp_path: Path) -> None:
    def fails_at_last(case: Case) -> None:
        if case == CASES[-1]:
            broken(case)

    together(tmp_path, Card(0, fails_at_last), Card(1, broken))
    results, _ = together(tmp_path, Card(0), Card(1))
    assert [result.resumed for result in results if isinstance(result, RunSummary)] == [2, 0]
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2


def test_a_record_says_that_another_card_was_measured_at_the_same_time_and_none_otherwise(tmp_path: Path) -> None:
    # Given a card that measures its first case while the other one does, and the rest after the other has ended
    both_measure, other = threading.Barrier(2), Card(1, broken)

    def alone_after_the_first(case: Case) -> None:
        if case == CASES[0]:
            both_measure.wait(20)
            other.closed.wait(20)

    def fails_after_meeting(case: Case) -> None:
        both_measure.wait(20)
        broken(case)

    other._step = fails_after_meeting
    # When both run
    results, _ = together(tmp_path, Card(0, alone_after_the_first), other)
    # Then only the first record says so
    assert isinstance(results[0], RunSummary)
    warnings = [record.warnings for record in results[0].records]
    assert warnings == [(beside_text(1),), (), ()]


def test_runs_on_different_machines_say_nothing_of_each_other(tmp_path: Path) -> None:
    meeting = threading.Barrier(2)
    results, _ = together(tmp_path, *[Card(n, lambda _: meeting.wait(20)) for n in range(2)], in_one_machine=False)
    assert not [
        record.warnings for r in results if isinstance(r, RunSummary) for record in r.records if record.warnings
    ]


def test_ctrl_c_ends_every_run_keeps_what_is_measured_and_opens_the_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two cards that are in their second case when Ctrl-C reaches the main thread
    cards = [Card(0), Card(1)]

    def waits_for_the_end(card: Card) -> Callable[[Case], None]:
        def step(case: Case) -> None:
            if case == CASES[1]:
                assert card.cancelled.wait(20)
                raise CancelledError("The run was cancelled.")

        return step

    for card in cards:
        card._step = waits_for_the_end(card)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.run.many_runs.wait", interrupted)
    # When they run
    with pytest.raises(KeyboardInterrupt):
        together(tmp_path, *cards)
    monkeypatch.undo()
    # Then no thread of them is left, no more than the first case is kept, and both are continued at once
    assert all(card.closed.is_set() for card in cards)
    kept = sum(len(store.read_file(path).records) for path in tmp_path.rglob("*.jsonl"))
    results, _ = together(tmp_path, Card(0), Card(1))
    assert sum(result.resumed for result in results if isinstance(result, RunSummary)) == kept <= 2
    assert exit_code(results) == 0


def test_a_second_ctrl_c_while_cards_are_cancelled_leaves_out_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two cards that measure until they are cancelled
    cards = [Card(0), Card(1)]

    def until_cancelled(card: Card) -> Callable[[Case], None]:
        def step(_: Case) -> None:
            assert card.cancelled.wait(20)
            raise CancelledError("The run was cancelled.")

        return step

    for card in cards:
        card._step = until_cancelled(card)
    # When Ctrl-C is pressed twice: the second time while the last of them is cancelled
    presses = iter([KeyboardInterrupt])
    cancel = cards[1].cancel

    def pressed_again() -> None:
        for press in presses:
            raise press
        cancel()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cards[1], "cancel", pressed_again)
    monkeypatch.setattr("bench.run.many_runs.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        together(tmp_path, *cards)
    # Then every card was cancelled
    assert all(card.cancelled.is_set() and card.closed.is_set() for card in cards)


def test_a_mistake_of_the_program_is_raised_after_the_others_have_ended(tmp_path: Path) -> None:
    def mistake(_: Case) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        together(tmp_path, Card(0, mistake), Card(1))
    (path,) = tmp_path.rglob("*.jsonl")
    assert len(store.read_file(path).records) == len(CASES)
