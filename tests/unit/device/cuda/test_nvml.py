"""What the driver tells of a GPU, and the reason where it tells nothing. NVML itself is a fake."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pynvml
import pytest
from nvml_driver import NO_DRIVER, NO_PERMISSION, NOT_SUPPORTED, PID, UUID, FakeDriver

from bench.core.clock_reasons import reason_names
from bench.device.cuda import nvml
from bench.device.cuda.nvml import Conditions, Nvml, Reading
from bench.record import GpuSettings, Neighbours

MIB = 2**20


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
    assert str(len(others)) in reading.reason


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

    assert "no GPU" in (nvml.driver_state() or "")


@pytest.mark.parametrize(("number", "text"), [(13000, "13.0"), (12080, "12.8"), (11070, "11.7")])
def test_the_cuda_of_the_driver_is_told_as_people_write_it(driver: FakeDriver, number: int, text: str) -> None:
    driver.answers["nvmlSystemGetCudaDriverVersion_v2"] = number

    assert Nvml(UUID).cuda_version() == text


def test_a_cuda_that_is_not_told_is_none(driver: FakeDriver) -> None:
    driver.failures["nvmlSystemGetCudaDriverVersion_v2"] = NO_DRIVER

    assert Nvml(UUID).cuda_version() is None


# Clock event reasons


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0, ()),
        (pynvml.nvmlClocksEventReasonGpuIdle, ("gpu idle",)),
        (pynvml.nvmlClocksEventReasonApplicationsClocksSetting, ("applications clocks setting",)),
        (pynvml.nvmlClocksEventReasonSwPowerCap, ("software power cap",)),
        (pynvml.nvmlClocksEventReasonHwSlowdown, ("hardware slowdown",)),
        (pynvml.nvmlClocksEventReasonSyncBoost, ("sync boost",)),
        (pynvml.nvmlClocksEventReasonSwThermalSlowdown, ("software thermal slowdown",)),
        (pynvml.nvmlClocksEventReasonHwThermalSlowdown, ("hardware thermal slowdown",)),
        (pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown, ("hardware power brake",)),
        (pynvml.nvmlClocksEventReasonDisplayClockSetting, ("display clock setting",)),
        (0x44, ("software power cap", "hardware thermal slowdown")),
        (1 << 40 | 1 << 15 | 4, ("software power cap", "unknown (0x8000)", "unknown (0x10000000000)")),
    ],
)
def test_reasons_have_names_and_a_bit_without_one_is_shown(mask: int, names: tuple[str, ...]) -> None:
    assert reason_names(mask) == names


# Conditions and energy


def test_conditions_are_in_units_without_prefixes(driver: FakeDriver) -> None:
    # given a driver that answers in MHz, degrees and milliwatts
    conditions = Nvml(UUID).conditions()

    assert conditions == Conditions(
        sm_clock_hz=1.755e9, memory_clock_hz=2.619e9, temperature_c=61, power_w=412.345, reasons=0x4
    )


def test_power_without_the_instantaneous_field_is_the_drivers_mean(driver: FakeDriver) -> None:
    # given a card or a driver that has no such field, and says so in the field and not in the call
    driver.power_field = pynvml.NVML_ERROR_NOT_SUPPORTED
    device = Nvml(UUID)

    # when it is read twice
    powers = [device.conditions().power_w for _ in range(2)]

    # then the other call answers, and the field is not asked for again
    assert powers == [398.0, 398.0]
    assert driver.calls["nvmlDeviceGetFieldValues"] == 1


@pytest.mark.parametrize(
    ("names", "field"),
    [
        (["nvmlDeviceGetClockInfo"], "sm_clock_hz"),
        (["nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV"], "temperature_c"),
        (["nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage"], "power_w"),
        (["nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"], "reasons"),
    ],
)
def test_each_condition_fails_on_its_own(driver: FakeDriver, names: list[str], field: str) -> None:
    driver.failures |= dict.fromkeys(names, NOT_SUPPORTED)

    conditions = Nvml(UUID).conditions()

    assert getattr(conditions, field) is None
    told = [name for name in Conditions.__slots__ if getattr(conditions, name) is not None]
    assert len(told) == (3 if field == "sm_clock_hz" else 4)


@pytest.mark.parametrize(
    ("new", "old", "field", "value"),
    [
        ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons", "reasons", 0x4),
        ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV", "temperature_c", 61),
    ],
)
def test_what_was_renamed_is_found_by_either_name(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, new: str, old: str, field: str, value: float
) -> None:
    # given a wrapper that has one of the two alone
    monkeypatch.delattr(pynvml, new)

    assert getattr(Nvml(UUID).conditions(), field) == value
    assert driver.calls[old] == 1


def test_what_is_not_supported_is_tried_once_and_a_passing_fault_again(driver: FakeDriver) -> None:
    # given a call that is not supported, and one that is refused for now
    driver.failures["nvmlDeviceGetTemperature"] = NOT_SUPPORTED
    driver.failures["nvmlDeviceGetCurrentClocksEventReasons"] = pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
    device = Nvml(UUID)

    for _ in range(3):
        device.conditions()

    assert driver.calls["nvmlDeviceGetTemperature"] == 1
    assert driver.calls["nvmlDeviceGetCurrentClocksEventReasons"] == 3


def test_energy_is_in_joules_or_none(driver: FakeDriver) -> None:
    device = Nvml(UUID)

    assert device.energy_j() == 1234.567
    driver.failures["nvmlDeviceGetTotalEnergyConsumption"] = NOT_SUPPORTED
    assert device.energy_j() is None


def test_a_device_that_was_not_opened_has_no_conditions_settings_or_energy() -> None:
    device = Nvml(None)

    assert device.conditions() == Conditions()
    assert device.settings() == GpuSettings()
    assert device.energy_j() is None


# Settings


def test_settings_are_those_of_the_driver(driver: FakeDriver) -> None:
    assert Nvml(UUID, pid=PID).settings() == GpuSettings(
        compute_capability="9.0",
        power_limit_w=600,
        power_default_w=700,
        power_range_w=(200, 700),
        sm_clock_default_hz=1.98e9,
        sm_clock_default_source="default application clock",
        sm_clock_max_hz=2.1e9,
        memory_clock_max_hz=2.619e9,
        ecc=True,
        persistence=True,
        mig=False,
        neighbours=Neighbours(count=0, bytes=0, utilization=0.07, computing=0, drawing=0, display=False),
    )


def test_each_setting_fails_on_its_own(driver: FakeDriver) -> None:
    # given a card for home use, without ECC, MIG and default application clocks
    for name in ("nvmlDeviceGetEccMode", "nvmlDeviceGetMigMode", "nvmlDeviceGetDefaultApplicationsClock"):
        driver.failures[name] = NOT_SUPPORTED

    settings = Nvml(UUID).settings()

    assert (settings.ecc, settings.mig) == (None, None)
    assert settings.sm_clock_default_hz == settings.sm_clock_max_hz == 2.1e9
    assert settings.power_limit_w == 600


def test_the_compute_mode_is_told_or_none(driver: FakeDriver) -> None:
    assert Nvml(UUID).compute_mode() == 3
    driver.failures["nvmlDeviceGetComputeMode"] = NOT_SUPPORTED
    assert Nvml(UUID).compute_mode() is None
    assert Nvml(None).compute_mode() is None


# Neighbours


def test_neighbours_are_counted_once_and_without_this_process(driver: FakeDriver) -> None:
    # given a process that computes and draws, one that draws, and this one
    driver.processes = [(PID, 100), (1, 100)]
    driver.graphics = [(1, 100), (2, 100)]

    assert Nvml(UUID, pid=PID).neighbours().count == 2


def test_neighbours_that_can_not_be_listed_are_none_and_not_zero(driver: FakeDriver) -> None:
    driver.failures["nvmlDeviceGetComputeRunningProcesses"] = NO_PERMISSION

    assert Nvml(UUID).neighbours().count is None


def test_processes_that_draw_are_left_out_where_a_card_can_not_draw(driver: FakeDriver) -> None:
    driver.processes = [(1, 100)]
    driver.failures["nvmlDeviceGetGraphicsRunningProcesses"] = NOT_SUPPORTED

    assert Nvml(UUID).neighbours().count == 1


def test_an_empty_list_beside_memory_in_use_is_not_believed(driver: FakeDriver) -> None:
    # given a container, where NVML does not list the processes of others, and 5 GiB that someone uses
    driver.in_use = 5 * 1024 * MIB

    neighbours = Nvml(UUID).neighbours()

    assert neighbours.count is None
    assert neighbours.bytes == 5 * 1024 * MIB


@pytest.mark.parametrize("used_has_reserved", [True, False])
def test_reserved_memory_is_nobodys_whatever_the_version_calls_used(
    driver: FakeDriver, used_has_reserved: bool
) -> None:
    # given versions of NVML of which one has the driver's reserved bytes in `used`, and the other has not
    driver.in_use, driver.used_has_reserved = 700 * MIB, used_has_reserved

    assert Nvml(UUID).neighbours().bytes == 700 * MIB


def test_without_the_second_version_of_memory_the_first_is_read(driver: FakeDriver) -> None:
    # given a driver older than 510
    driver.old_memory = True

    assert Nvml(UUID).neighbours().bytes == 3_000


def test_neighbours_of_which_nothing_is_told_are_none(driver: FakeDriver) -> None:
    for name in (
        *("ComputeRunningProcesses", "GraphicsRunningProcesses"),
        *("MemoryInfo", "UtilizationRates", "DisplayActive"),
    ):
        driver.failures[f"nvmlDeviceGet{name}"] = NO_PERMISSION

    assert Nvml(UUID).neighbours() == Neighbours()


def test_utilization_is_a_share(driver: FakeDriver) -> None:
    driver.answers["nvmlDeviceGetUtilizationRates"] = SimpleNamespace(gpu=100, memory=3)

    assert Nvml(UUID).neighbours().utilization == 1.0
