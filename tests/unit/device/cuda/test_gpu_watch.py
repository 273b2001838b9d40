"""The worker's side of the telemetry, over stand-ins for the sampler: good ones, silent ones, ones that die."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from nvml_driver import NO_DRIVER, UUID, FakeDriver

from bench.device.base import Window, windowed
from bench.device.cuda.gpu_watch import GpuWatch
from bench.device.cuda.nvml import Conditions, Nvml
from bench.device.cuda.sampler import Answer
from bench.process.child import Child
from bench.record import Spread

TESTS = Path(__file__).parents[3]
FOREVER = [Window(0.0, 1e9)]  # a call that covers whatever a real sampler reads meanwhile
#: The real sampler over a fake driver.
REAL = (
    f"import sys; sys.path.insert(0, {str(TESTS)!r}); import nvml_driver; from bench.device.cuda import sampler; "
    "nvml_driver.FakeDriver().put_in_place(); sampler.main()"
)
#: Answers each `end` with a canned line.
CANNED = "import sys; [print({line!r}, flush=True) for order in sys.stdin if order == 'end\\n']"


class Moments:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def python(code: str) -> tuple[str, ...]:
    """The command of a stand-in; the UUID and the period follow as its arguments."""
    return (sys.executable, "-P", "-c", code)


def canned(*readings: tuple[float, Conditions]) -> tuple[str, ...]:
    return python(CANNED.format(line=Answer(readings, 0.05).to_json()))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """The worker's own NVML."""
    fake = FakeDriver()
    fake.install(monkeypatch)
    return fake


@pytest.fixture
def watching(driver: FakeDriver) -> Iterator[Callable[..., GpuWatch]]:
    """Make watches that are closed after the test."""
    made: list[GpuWatch] = []

    def make(command: tuple[str, ...], **given: object) -> GpuWatch:
        made.append(GpuWatch(Nvml(UUID), command=command, **{"timeout_s": 60.0} | given))
        return made[-1]

    yield make
    for watch in made:
        watch.close()


# A sampler that works


def test_a_case_has_the_readings_of_the_sampler_and_the_workers_energy(
    watching: Callable[..., GpuWatch], driver: FakeDriver
) -> None:
    # given 1600 J on the counter between begin and end, two seconds apart
    joules = iter((5_000_000, 6_600_000))
    driver.answers["nvmlDeviceGetTotalEnergyConsumption"] = lambda: next(joules)
    now = Moments()
    hot = Conditions(sm_clock_hz=1.2e9, temperature_c=91, reasons=0x40)
    watch = watching(canned((0.5, Conditions(temperature_c=60)), (1.5, hot)), now=now)

    watch.begin()
    now.now_s = 2.0
    telemetry = watch.end([Window(0.0, 1.0), Window(1.0, 2.0)])

    assert telemetry.readings == 2
    assert telemetry.temperature_c == Spread(low=60, median=75.5, high=91)
    assert telemetry.throttled_samples == (1,)
    assert telemetry.energy_per_call_j == 800
    assert telemetry.energy_window_s == 2.0
    (warning,) = watch.warnings(telemetry, 2)
    assert "SM clock down to 1.2 GHz of 1.98 GHz" in warning


def test_the_real_sampler_serves_case_after_case(watching: Callable[..., GpuWatch]) -> None:
    watch = watching(python(REAL))

    for _ in range(2):
        watch.begin()
        telemetry = watch.end(FOREVER)

        assert telemetry.reason is None
        assert telemetry.readings == 1
        assert telemetry.power_w == Spread(low=412.345, median=412.345, high=412.345)
        assert telemetry.throttle_reasons == ("software power cap",)


def test_the_real_sampler_is_what_is_started_unless_told_otherwise(driver: FakeDriver) -> None:
    # given a machine without a driver for the sampler's process, which no fake reaches
    watch = GpuWatch(Nvml(UUID), timeout_s=60.0)

    watch.begin()
    telemetry = watch.end(FOREVER)
    watch.close()

    # then it has found out, and said so; with a driver, it does not know the made-up UUID
    assert telemetry.reason is not None
    assert telemetry.reason.startswith("NVML: ")


def test_an_end_without_a_begin_has_no_energy_and_no_readings(watching: Callable[..., GpuWatch]) -> None:
    telemetry = watching(python(REAL)).end([Window(0.0, 2.0)])

    assert telemetry.readings == 0
    assert telemetry.reason
    assert telemetry.energy_per_call_j is None


def test_cases_that_took_turns_have_marks_of_their_own_and_no_energy(
    watching: Callable[..., GpuWatch], driver: FakeDriver
) -> None:
    # given heat during the second case's call
    joules = iter((5_000_000, 6_600_000))
    driver.answers["nvmlDeviceGetTotalEnergyConsumption"] = lambda: next(joules)
    now = Moments()
    cool, hot = Conditions(temperature_c=60, reasons=0), Conditions(temperature_c=90, reasons=0x40)
    watch = watching(canned((0.5, cool), (1.5, cool), (2.5, hot), (3.5, cool)), now=now)

    watch.begin()
    now.now_s = 4.0
    first, second = watch.end_each([[Window(0, 1), Window(3, 4)], [Window(1, 2), Window(2, 3)]])

    assert (first.throttled_samples, second.throttled_samples) == ((), (1,))
    assert first.energy_per_call_j is second.energy_per_call_j is None
    assert first.energy_reason is not None
    assert "took turns" in first.energy_reason


def test_a_child_finds_the_program_from_a_checkout_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    # given an interpreter that sees no site-packages, in which a checkout could be installed, and no PYTHONPATH
    monkeypatch.delenv("PYTHONPATH", raising=False)
    child = Child(
        (sys.executable, "-S", "-P", "-c", "import bench.process.lifeline; print(bench.__file__, flush=True)")
    )

    line = child.line(60)

    child.kill(10)
    assert line is not None
    assert Path(line.decode().strip()) == TESTS.parent / "bench" / "__init__.py"


# A sampler that fails


@pytest.mark.parametrize(
    ("command", "given", "words"),
    [
        (("/nowhere/to/be/found",), {}, ["can't be started", "/nowhere"]),
        (python("raise SystemExit('no such GPU')"), {}, ["died", "exit code 1: no such GPU"]),
        (python("import sys; sys.stdin.readline(); sys.exit(7)"), {}, ["died (exit code 7)"]),
        (python("import sys; sys.stdin.read()"), {"timeout_s": 0.05}, ["did not answer within 0.05 s"]),
        (python(CANNED.format(line="Segmentation fault")), {}, ["sampler"]),
    ],
    ids=["not there", "dies at once", "dies at begin", "silent", "nonsense"],
)
def test_a_sampler_that_fails_is_a_reason_and_the_cases_go_on(
    watching: Callable[..., GpuWatch], command: tuple[str, ...], given: dict[str, float], words: list[str]
) -> None:
    watch = watching(command, **given)

    # when a case is watched, and another after it
    watch.begin()
    first = watch.end([Window(0.0, 1.0)])
    watch.begin()
    second = watch.end([Window(0.0, 1.0)])

    # then nothing is raised, and both say what became of the sampler
    assert first.readings == second.readings == 0
    assert first.reason is not None
    assert all(word in first.reason for word in words), first.reason
    assert second.reason == first.reason
    assert watch.warnings(first, 1) == ()


def test_begin_does_not_wait_for_a_sampler_that_does_not_listen(watching: Callable[..., GpuWatch]) -> None:
    # given a sampler that never reads its input and takes a minute over nothing
    watch = watching(python("import threading; threading.Event().wait(60)"))

    for _ in range(1000):
        watch.begin()  # a call that waited would wait for that minute


def test_what_a_sampler_prints_is_not_mixed_with_the_workers_own_output(
    watching: Callable[..., GpuWatch], capfd: pytest.CaptureFixture[str]
) -> None:
    watch = watching(python("import sys; print('noise', file=sys.stderr); print('noise'); sys.stdin.read()"))

    watch.begin()
    telemetry = watch.end([Window(0.0, 1.0)])

    assert "sampler" in (telemetry.reason or "")
    assert capfd.readouterr() == ("", "")


# A GPU that NVML does not find, and a CPU


def test_without_nvml_no_sampler_is_started(driver: FakeDriver) -> None:
    driver.failures["nvmlInit"] = NO_DRIVER
    watch = GpuWatch(Nvml(UUID), command=("/nowhere",))

    watch.begin()

    assert watch.end([Window(0.0, 1.0)]).reason == f"NVML: {NO_DRIVER}"
    watch.close()


def test_without_a_uuid_no_sampler_is_started(driver: FakeDriver) -> None:
    watch = GpuWatch(Nvml(None), command=("/nowhere",))

    watch.begin()

    assert watch.end([Window(0.0, 1.0)]).reason


# The end


def test_closing_ends_the_sampler_and_can_be_done_twice(watching: Callable[..., GpuWatch], tmp_path: Path) -> None:
    # given a sampler that has said which process it is
    note = tmp_path / "pid"
    watch = watching(python(f"import os, pathlib; pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\n" + REAL))
    watch.begin()
    watch.end(FOREVER)

    watch.close()
    watch.close()

    assert not psutil.pid_exists(int(note.read_text()))
    assert watch.end(FOREVER).reason


# Windows


def test_windows_are_noted_around_each_call() -> None:
    now, windows = Moments(), []

    def time_once() -> float:
        now.now_s += 2.0
        return 1.9

    noted = windowed(time_once, windows, now)

    assert [noted(), noted()] == [1.9, 1.9]
    assert windows == [Window(0.0, 2.0), Window(2.0, 4.0)]
