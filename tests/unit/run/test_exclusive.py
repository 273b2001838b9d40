"""Waiting for a device that others use: what counts as use, what is told, and how a wait ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest
from factories import a_case, a_device, an_environment

from bench.core.units import GIB
from bench.errors import CancelledError, DeviceError
from bench.record import MeasureSettings, Neighbours
from bench.run.exclusive import ExclusiveExecutor, others_use
from bench.run.messages import Done, Ready, Survey

FREE = Survey(neighbours=Neighbours(count=0, computing=0, drawing=0, bytes=0, utilization=0.0), total_bytes=80 * GIB)
TAKEN = Survey(neighbours=Neighbours(count=1, computing=1, bytes=30 * GIB, utilization=0.97), total_bytes=80 * GIB)
BUSY = Survey(neighbours=Neighbours(utilization=0.5), total_bytes=80 * GIB)


class Surveyed:
    """An executor whose device is used as the surveys say, one after the other; the last one lasts."""

    def __init__(self, surveys: Iterable[Survey]) -> None:
        self._surveys = list(surveys)
        self.events: list[str] = []

    def survey(self) -> Survey:
        self.events.append("survey")
        return self._surveys.pop(0) if len(self._surveys) > 1 else self._surveys[0]

    def start(self) -> Ready:
        self.events.append("start")
        return Ready(device=a_device(), environment=an_environment())

    def run(self, *_: object) -> Done:
        self.events.append("run")
        return Done()

    def run_interleaved(self, *_: object) -> tuple[Done, ...]:
        self.events.append("run_interleaved")
        return (Done(), Done())

    def close(self) -> None:
        self.events.append("close")

    def release(self) -> None:
        self.events.append("release")

    def cancel(self) -> None:
        self.events.append("cancel")


def exclusive(*surveys: Survey) -> tuple[ExclusiveExecutor, Surveyed, list[str]]:
    inner, texts = Surveyed(surveys), list[str]()
    return ExclusiveExecutor(inner, texts.append, period_s=0), inner, texts


def test_a_free_device_is_taken_at_once_and_nothing_is_told() -> None:
    executor, inner, texts = exclusive(FREE)
    assert executor.start().device == a_device()
    assert inner.events == ["survey", "start"]
    assert texts == []


def test_a_wait_is_told_once_gives_the_device_back_and_its_end_is_told() -> None:
    executor, inner, texts = exclusive(TAKEN, TAKEN, TAKEN, FREE)
    executor.start()
    assert inner.events == ["survey", "release", "survey", "survey", "survey", "start"]
    assert len(texts) == 2
    assert "another process computes" in texts[0]


def test_each_start_looks_again() -> None:
    executor, inner, _ = exclusive(FREE)
    executor.start()
    executor.start()
    assert inner.events.count("survey") == 2


def test_cases_go_to_the_executor_as_they_are() -> None:
    executor, inner, _ = exclusive(FREE)
    executor.run(a_case(), MeasureSettings(), 5, lambda _: None)
    executor.run_interleaved([a_case(), a_case(size=72)], MeasureSettings(), 5, lambda _: None)
    assert inner.events == ["run", "run_interleaved"]


def test_utilization_that_may_be_this_program_s_own_is_not_told_at_once() -> None:
    executor, inner, texts = exclusive(BUSY, BUSY, FREE)
    executor.start()
    assert texts == []
    assert "release" not in inner.events


def test_utilization_that_lasts_is_told() -> None:
    executor, _, texts = exclusive(BUSY, BUSY, BUSY, FREE)
    executor.start()
    assert "busy 50%" in texts[0]


def test_a_wait_ends_when_another_thread_cancels_it() -> None:
    inner, told = Surveyed([TAKEN]), threading.Event()
    executor = ExclusiveExecutor(inner, lambda _: told.set(), period_s=600)
    ends: list[BaseException] = []

    def start() -> None:
        with pytest.raises(CancelledError) as caught:
            executor.start()
        ends.append(caught.value)

    thread = threading.Thread(target=start)
    thread.start()
    assert told.wait(20)
    executor.cancel()
    thread.join(20)
    assert ends
    assert "cancel" in inner.events


@pytest.mark.parametrize(
    ("neighbours", "words"),
    [
        (Neighbours(count=0, computing=0, drawing=0, utilization=0.0), None),
        (Neighbours(count=2, computing=2, drawing=0), "2 other processes compute"),
        # a desktop is always there
        (Neighbours(count=2, computing=0, drawing=2, utilization=0.05, bytes=GIB), None),
        (Neighbours(count=2, computing=0, drawing=2, utilization=0.6), "busy 60%"),
        # listed and idle: what the driver calls busy was this program
        (Neighbours(count=0, computing=0, drawing=0, utilization=0.9), None),
        # not listed
        (Neighbours(bytes=30 * GIB, utilization=0.0), "30.0 GiB"),
        (Neighbours(bytes=GIB, utilization=0.05), None),
        (Neighbours(bytes=GIB), None),
        (Neighbours(utilization=0.3), "busy 30%"),
    ],
)
def test_what_counts_as_use(neighbours: Neighbours, words: str | None) -> None:
    use = others_use(Survey(neighbours=neighbours, total_bytes=80 * GIB))
    assert (use is None) == (words is None)
    assert words is None or (use is not None and words in use.what)


def test_a_driver_that_tells_nothing_is_refused_with_the_reason() -> None:
    with pytest.raises(DeviceError, match="NVML: Driver Not Loaded"):
        others_use(Survey(reason="NVML: Driver Not Loaded"))
