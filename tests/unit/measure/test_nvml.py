"""What the driver tells of a GPU, and the reason where it tells nothing. NVML itself is a fake."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import SimpleNamespace

import pynvml
import pytest

from bench.measure import nvml
from bench.measure.nvml import Nvml, Reading

UUID = "GPU-00000000-0000-0000-0000-000000000000"
PID = 4242
NO_DRIVER = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
NO_PERMISSION = pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)


@dataclass
class FakeDriver:
    """Answers as NVML does, or raises what a test puts in `failures` under the function's name."""

    failures: dict[str, Exception] = field(default_factory=dict)
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    devices: int = 1
    version: str | bytes = "570.1"

    def _answer(self, name: str, value: object) -> object:
        if name in self.failures:
            raise self.failures[name]
        return value

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def process(pid: int, used: int | None) -> SimpleNamespace:
            return SimpleNamespace(pid=pid, usedGpuMemory=used)

        answers = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: self.devices,
            "nvmlSystemGetDriverVersion": lambda: self.version,
            "nvmlDeviceGetHandleByUUID": lambda uuid: {UUID: "the handle"}[uuid],
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=24_000, used=3_000, free=21_000),
            "nvmlDeviceGetComputeRunningProcesses": lambda handle: [process(*each) for each in self.processes],
        }
        for name, answer in answers.items():
            monkeypatch.setattr(
                nvml.pynvml, name, lambda *given, name=name, answer=answer: self._answer(name, answer(*given))
            )


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A driver with one GPU and no process on it."""
    fake = FakeDriver()
    fake.install(monkeypatch)
    return fake


# The memory of this process


def test_this_process_is_found_among_others(driver: FakeDriver) -> None:
    driver.processes = [(1, 100), (PID, 200), (2, 300)]

    assert Nvml(UUID, pid=PID).process() == Reading(200)


def test_this_process_is_the_one_that_runs_unless_told_otherwise(driver: FakeDriver) -> None:
    driver.processes = [(os.getpid(), 200)]

    assert Nvml(UUID).process() == Reading(200)


@pytest.mark.parametrize("others", [[], [(1, 100), (2, 300)]])
def test_a_process_that_is_not_listed_has_no_figure_but_a_reason(
    driver: FakeDriver, others: list[tuple[int, int | None]]
) -> None:
    # given a container, in which the driver lists other process ids
    driver.processes = others

    # when this process is looked up
    reading = Nvml(UUID, pid=PID).process()

    # then there is no figure, and above all not a zero
    assert reading.bytes is None
    assert reading.reason is not None
    assert f"{len(others)} processes, not this one" in reading.reason


def test_a_process_whose_memory_is_not_told_has_a_reason(driver: FakeDriver) -> None:
    # given Windows' driver model or a vGPU, where NVML lists the process without a figure
    driver.processes = [(PID, None)]

    reading = Nvml(UUID, pid=PID).process()

    assert reading.bytes is None
    assert reading.reason


def test_a_process_that_holds_nothing_has_a_figure_of_zero(driver: FakeDriver) -> None:
    driver.processes = [(PID, 0)]

    assert Nvml(UUID, pid=PID).process() == Reading(0)


def test_processes_that_may_not_be_listed_are_a_reason(driver: FakeDriver) -> None:
    driver.failures["nvmlDeviceGetComputeRunningProcesses"] = NO_PERMISSION

    assert Nvml(UUID, pid=PID).process() == Reading(None, f"NVML: {NO_PERMISSION}")


# The memory of the device


def test_the_devices_memory_is_read(driver: FakeDriver) -> None:
    device = Nvml(UUID)

    assert (device.total(), device.used()) == (Reading(24_000), Reading(3_000))


def test_memory_that_can_not_be_read_is_a_reason(driver: FakeDriver) -> None:
    driver.failures["nvmlDeviceGetMemoryInfo"] = NO_PERMISSION

    assert Nvml(UUID).used() == Reading(None, f"NVML: {NO_PERMISSION}")


# A device that can't be opened


@pytest.mark.parametrize("failing", ["nvmlInit", "nvmlDeviceGetHandleByUUID"])
def test_without_nvml_each_reading_has_the_reason(driver: FakeDriver, failing: str) -> None:
    # given a machine without the driver, or a GPU that it does not know
    driver.failures[failing] = NO_DRIVER

    # when all is read
    device = Nvml(UUID)
    readings = [device.total(), device.used(), device.process()]

    # then nothing is raised, and each says why
    assert device.reason == f"NVML: {NO_DRIVER}"
    assert readings == [Reading(None, f"NVML: {NO_DRIVER}")] * 3


def test_a_gpu_that_is_not_known_by_uuid_is_a_reason(driver: FakeDriver) -> None:
    device = Nvml(None)

    assert device.reason
    assert device.total() == device.used() == device.process() == Reading(None, device.reason)


def test_a_device_that_was_opened_has_no_reason(driver: FakeDriver) -> None:
    assert Nvml(UUID).reason is None


# The driver


@pytest.mark.parametrize("version", ["570.1", b"570.1"])
def test_the_drivers_version_is_text(driver: FakeDriver, version: str | bytes) -> None:
    driver.version = version

    assert Nvml(UUID).driver == "570.1"


def test_a_version_that_is_not_told_is_none(driver: FakeDriver) -> None:
    driver.failures["nvmlSystemGetDriverVersion"] = NO_DRIVER

    assert Nvml(UUID).driver is None


def test_a_driver_that_works_has_no_complaint(driver: FakeDriver) -> None:
    assert nvml.driver_state() is None


def test_a_driver_that_is_not_there_is_told_in_nvmls_words(driver: FakeDriver) -> None:
    driver.failures["nvmlInit"] = NO_DRIVER

    assert nvml.driver_state() == str(NO_DRIVER)


def test_a_driver_without_a_gpu_says_so(driver: FakeDriver) -> None:
    driver.devices = 0

    assert nvml.driver_state() == "the driver sees no GPU"
