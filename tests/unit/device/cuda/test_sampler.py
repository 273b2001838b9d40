"""The sampling process: when it reads, what it answers, when it ends. Time is the script's, and NVML a fake."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvml_driver import UUID, FakeDriver

from bench.device.cuda.nvml import Conditions, Nvml
from bench.device.cuda.sampler import Answer, Sampler

TESTS = Path(__file__).parents[3]
PERIOD_S = 0.5


class Script:
    """Orders at their times. Waiting for one moves the clock to it at once, or to where the wait ends."""

    def __init__(self, *orders: tuple[float, str]) -> None:
        self._orders = list(orders)
        self.now_s = 0.0
        self.reads: list[float] = []
        self.read_takes_s = 0.0

    def now(self) -> float:
        return self.now_s

    def get(self, block: bool = True, timeout: float | None = None) -> str:
        until_s = None if timeout is None else self.now_s + timeout
        if self._orders and (until_s is None or self._orders[0][0] < until_s):
            at_s, order = self._orders.pop(0)
            self.now_s = max(self.now_s, at_s)
            return order + "\n"
        assert until_s is not None, "it waits for an order that never comes"
        self.now_s = until_s
        raise queue.Empty

    def read(self) -> Conditions:
        """A reading that tells which one it is by its temperature."""
        self.reads.append(self.now_s)
        self.now_s += self.read_takes_s
        return Conditions(temperature_c=len(self.reads))

    def sampler(self, most: int = 1000) -> Sampler:
        return Sampler(self.read, self, period_s=PERIOD_S, most=most, now=self.now)


def stamps(answer: Answer) -> list[float]:
    return [at_s for at_s, _ in answer.readings]


# When it reads


def test_readings_are_taken_at_whole_periods_from_begin_to_end() -> None:
    script = Script((100.0, "begin"), (102.2, "end"))

    answer = script.sampler().serve_one()

    assert stamps(answer) == [100.0, 100.5, 101.0, 101.5, 102.0]
    assert [conditions.temperature_c for _, conditions in answer.readings] == [1, 2, 3, 4, 5]
    assert answer.period_s == PERIOD_S


def test_the_time_that_a_reading_takes_does_not_shift_the_next_and_stamps_are_in_its_middle() -> None:
    script = Script((100.0, "begin"), (101.75, "end"))
    script.read_takes_s = 0.25

    answer = script.sampler().serve_one()

    assert script.reads == [100.0, 100.5, 101.0, 101.5]
    assert stamps(answer) == [100.125, 100.625, 101.125, 101.625]


def test_ticks_that_a_slow_reading_has_missed_are_left_out_and_the_rest_keep_their_times() -> None:
    script = Script((100.0, "begin"), (102.8, "end"))
    script.read_takes_s = 0.625

    script.sampler().serve_one()

    assert script.reads == [100.0, 101.0, 102.0]


def test_a_case_that_is_over_at_once_has_one_reading() -> None:
    script = Script((100.0, "begin"), (100.0, "end"))

    assert len(script.sampler().serve_one().readings) == 1


def test_between_two_cases_nothing_is_read_and_each_has_its_own_readings() -> None:
    script = Script((100.0, "begin"), (100.7, "end"), (900.0, "begin"), (900.2, "end"))
    sampler = script.sampler()

    assert stamps(sampler.serve_one()) == [100.0, 100.5]
    assert stamps(sampler.serve_one()) == [900.0]
    assert script.reads == [100.0, 100.5, 900.0]


# Orders out of the ordinary


def test_other_lines_are_ignored_and_do_not_disturb_the_times() -> None:
    script = Script((50.0, "hello"), (100.0, "begin"), (100.3, ""), (100.4, "\0"), (100.7, "begun"), (101.2, "end"))

    assert stamps(script.sampler().serve_one()) == [100.0, 100.5, 101.0]


def test_an_end_without_a_begin_is_answered_without_readings() -> None:
    script = Script((100.0, "end"))

    assert script.sampler().serve_one("no driver") == Answer((), PERIOD_S, "no driver")
    assert script.reads == []


def test_a_begin_in_the_middle_starts_anew() -> None:
    # given a case that failed before its end, and the next one
    script = Script((100.0, "begin"), (107.3, "begin"), (108.0, "end"))

    assert stamps(script.sampler().serve_one()) == [pytest.approx(107.3), pytest.approx(107.8)]


# Memory


def test_readings_beyond_the_bound_are_thinned_evenly_and_the_period_doubles() -> None:
    # given room for four readings and a case of ten seconds
    script = Script((100.0, "begin"), (110.25, "end"))
    sampler = script.sampler(most=4)

    answer = sampler.serve_one()

    # then those that are kept are even over all of it
    assert stamps(answer) == [100.0, 104.0, 108.0]
    assert answer.period_s == 4.0
    assert len(script.reads) < 12


def test_the_next_case_has_the_first_period_again() -> None:
    script = Script((100.0, "begin"), (110.25, "end"), (200.0, "begin"), (201.2, "end"))
    sampler = script.sampler(most=4)
    sampler.serve_one()

    answer = sampler.serve_one()

    assert stamps(answer) == [200.0, 200.5, 201.0]
    assert answer.period_s == PERIOD_S


# NVML that fails


def test_what_fails_midway_is_none_from_there_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a GPU whose thermometer is lost after two readings
    driver = FakeDriver(lasting={"nvmlDeviceGetTemperature": 2, "nvmlDeviceGetTemperatureV": 0})
    driver.install(monkeypatch)
    script = Script((100.0, "begin"), (101.6, "end"))

    answer = Sampler(Nvml(UUID).conditions, script, period_s=PERIOD_S, now=script.now).serve_one()

    assert [conditions.temperature_c for _, conditions in answer.readings] == [61, 61, None, None]
    assert all(conditions.sm_clock_hz == 1.755e9 for _, conditions in answer.readings)


# The line of JSON


def test_an_answer_survives_its_line() -> None:
    conditions = Conditions(sm_clock_hz=1.98e9, power_w=412.5, reasons=0x44)
    answer = Answer(((12.25, conditions), (12.75, Conditions())), 0.5, "why")

    assert "\n" not in answer.to_json()
    assert Answer.from_json(answer.to_json()) == answer


@pytest.mark.parametrize(
    "line",
    [
        *("", "Killed", "[]", "7", "null", "{}"),
        '{"readings": [[]], "period_s": 1, "reason": null}',
        '{"readings": [[1, 2, 3, 4, 5, 6, 7]], "period_s": 1, "reason": null}',
        '{"readings": [["now"]], "period_s": 1, "reason": null}',
    ],
)
def test_a_line_that_is_no_answer_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Answer.from_json(line)


# The process

START = "import sys; sys.path.insert(0, {tests!r}); import nvml_driver as nvml; from bench.device.cuda import sampler; "
SERVE = "nvml.FakeDriver({driver}).put_in_place(); sampler.main()"


class Process:
    """The sampler as a process of its own."""

    def __init__(self, driver: str = "", program: str = START + SERVE, uuid: str = UUID) -> None:
        code = program.format(tests=str(TESTS), driver=driver)
        self.popen = subprocess.Popen(
            [sys.executable, "-P", "-c", code, uuid, "0.5"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def order(self, *orders: str) -> Answer:
        """Write the orders, and read one answer."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write("".join(f"{order}\n" for order in orders))
        self.popen.stdin.flush()
        return Answer.from_json(self.popen.stdout.readline())

    def finish(self) -> tuple[int, str, str]:
        """Close its standard input, as a parent that dies does: exit status and what else it printed."""
        out, err = self.popen.communicate(timeout=60)
        return self.popen.returncode, out, err


@pytest.fixture
def process() -> Iterator[Process]:
    """A sampler with a fake driver, ended if the test did not."""
    started = Process()
    yield started
    started.popen.kill()
    started.finish()


def test_the_process_answers_case_after_case_and_ends_with_its_input(process: Process) -> None:
    first, second = process.order("begin", "end"), process.order("begin", "end")

    assert first.reason is None
    assert [conditions.power_w for _, conditions in (*first.readings, *second.readings)] == [412.345, 412.345]
    assert first.readings[0][0] < second.readings[0][0]
    assert process.finish() == (0, "", "")


def test_the_process_ends_with_its_input_in_the_middle_of_a_case(process: Process) -> None:
    process.order("begin", "end", "begin")

    assert process.finish() == (0, "", "")


def test_the_process_ignores_garbage_and_answers_nothing_to_it(process: Process) -> None:
    answer = process.order("?", "", "begin now", "begin", "stop", "end")

    assert len(answer.readings) == 1
    assert process.finish() == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send there")
def test_ctrl_c_is_left_to_the_worker(process: Process) -> None:
    process.order("end")

    process.popen.send_signal(signal.SIGINT)

    assert process.order("end").readings == ()


def test_the_process_outlives_a_gpu_that_is_lost_midway() -> None:
    # given an NVML that answers one reading and then nothing
    names = ("ClockInfo", "Temperature", "TemperatureV", "FieldValues", "PowerUsage", "CurrentClocksEventReasons")
    lasting = {f"nvmlDeviceGet{name}": 2 if name == "ClockInfo" else 1 for name in names}
    lasting |= {"nvmlDeviceGetTemperatureV": 0, "nvmlDeviceGetPowerUsage": 0}
    lasting["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0
    process = Process(f"lasting={lasting}")

    good, lost = process.order("begin", "end"), process.order("begin", "end")

    assert good.readings[0][1].sm_clock_hz == 1.755e9
    assert lost.readings[0][1] == Conditions()
    assert process.finish()[0] == 0


def test_a_process_without_a_driver_answers_with_the_reason() -> None:
    process = Process("failures={'nvmlInit': nvml.NO_DRIVER}")

    answer = process.order("begin", "end")

    assert answer.reason == "NVML: NVML Shared Library Not Found"
    assert process.finish()[0] == 0


def test_the_process_loads_neither_torch_nor_pydantic() -> None:
    program = "import bench.device.cuda.sampler, sys; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)

    loaded = done.stdout
    assert "'pynvml'" in loaded
    assert not [name for name in ("torch", "pydantic", "numpy", "diffusers") if f"'{name}'" in loaded]
