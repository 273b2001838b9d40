"""NVML without a driver: `FakeDriver` puts its own answers in the place of pynvml's functions.

Also for other processes: `python -c "import nvml_driver; nvml_driver.FakeDriver().put_in_place()"`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

UUID = "GPU-00000000-0000-0000-0000-000000000000"
PID = 4242
NO_DRIVER = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
NO_PERMISSION = pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
NOT_SUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
GPU_IS_LOST = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
_RESERVED = 600 * 2**20
_TOTAL = 80 * 2**30
#: What functions of the device answer that no field of FakeDriver is for. Default application clock, in MHz: 1980.
_ANSWERS = {
    "nvmlSystemGetCudaDriverVersion_v2": 13000,
    "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetTemperatureV": 61,
    "nvmlDeviceGetPowerUsage": 398_000,
    "nvmlDeviceGetTotalEnergyConsumption": 1_234_567,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
    "nvmlDeviceGetCurrentClocksThrottleReasons": 0x4,
    "nvmlDeviceGetCudaComputeCapability": (9, 0),
    "nvmlDeviceGetEnforcedPowerLimit": 600_000,
    "nvmlDeviceGetPowerManagementDefaultLimit": 700_000,
    "nvmlDeviceGetPowerManagementLimit": 600_000,
    "nvmlDeviceGetPowerManagementLimitConstraints": [200_000, 700_000],
    "nvmlDeviceGetDisplayActive": 0,
    "nvmlDeviceGetDefaultApplicationsClock": 1980,
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetPersistenceMode": 1,
    "nvmlDeviceGetMigMode": [0, 1],
    "nvmlDeviceGetComputeMode": 3,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=7, memory=3),
}
_CLOCKS = {pynvml.NVML_CLOCK_SM: 1755, pynvml.NVML_CLOCK_MEM: 2619}
_MAX_CLOCKS = {pynvml.NVML_CLOCK_SM: 2100, pynvml.NVML_CLOCK_MEM: 2619}


@dataclass
class FakeDriver:
    """Answers as NVML does, or raises what a test puts in `failures` under the function's name.

    `answers` are values, or functions without parameters. `lasting` are functions that work so many times, after which
    the GPU is lost.
    """

    failures: dict[str, Exception] = field(default_factory=dict)
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    graphics: list[tuple[int, int | None]] = field(default_factory=list)
    devices: int = 1
    version: str | bytes = "570.1"
    in_use: int = 0
    used_has_reserved: bool = False
    old_memory: bool = False
    used_is_in_use: bool = False
    power_field: int = pynvml.NVML_SUCCESS
    answers: dict[str, Any] = field(default_factory=lambda: dict(_ANSWERS))
    lasting: dict[str, int] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the driver until the test's end."""
        monkeypatch.setattr(pynvml, "nvmlLib", None)  # as before any library is loaded
        for name, function in self._functions().items():
            monkeypatch.setattr(pynvml, name, function)

    def put_in_place(self) -> None:
        """Be the driver until the process's end."""
        for name, function in self._functions().items():
            setattr(pynvml, name, function)

    def _functions(self) -> dict[str, Callable[..., Any]]:
        special: dict[str, Callable[..., Any]] = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: self.devices,
            "nvmlSystemGetDriverVersion": lambda: self.version,
            "nvmlDeviceGetHandleByUUID": lambda uuid: {UUID.encode(): "the handle"}[uuid],
            "nvmlDeviceGetMemoryInfo": self._memory,
            "nvmlDeviceGetComputeRunningProcesses": lambda handle: _listed(self.processes),
            "nvmlDeviceGetGraphicsRunningProcesses": lambda handle: _listed(self.graphics),
            "nvmlDeviceGetClockInfo": lambda handle, clock: _CLOCKS[clock],
            "nvmlDeviceGetMaxClockInfo": lambda handle, clock: _MAX_CLOCKS[clock],
            "nvmlDeviceGetFieldValues": self._fields,
        }
        plain = {name: functools.partial(self._plain, name) for name in _ANSWERS}
        return {name: functools.partial(self._answer, name, answer) for name, answer in (special | plain).items()}

    def _answer(self, name: str, answer: Callable[..., Any], *given: Any) -> Any:
        self.calls[name] += 1
        if name in self.failures:
            raise self.failures[name]
        if self.calls[name] > self.lasting.get(name, self.calls[name]):
            raise GPU_IS_LOST
        return answer(*given)

    def _plain(self, name: str, *_: Any) -> Any:
        answer = self.answers[name]
        return answer() if callable(answer) else answer

    def _memory(self, handle: str, version: int | None = None) -> SimpleNamespace:
        if version is None and self.used_is_in_use:
            return SimpleNamespace(total=_TOTAL, used=self.in_use, free=_TOTAL - self.in_use)
        if version is None:
            return SimpleNamespace(total=24_000, used=3_000, free=21_000)
        if self.old_memory:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        used = self.in_use + (_RESERVED if self.used_has_reserved else 0)
        return SimpleNamespace(total=_TOTAL, reserved=_RESERVED, used=used, free=_TOTAL - _RESERVED - self.in_use)

    def _fields(self, handle: str, ids: tuple[int, ...]) -> list[SimpleNamespace]:
        assert ids == (pynvml.NVML_FI_DEV_POWER_INSTANT,)
        value = SimpleNamespace(uiVal=412_345, dVal=0.0)
        kind = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        return [SimpleNamespace(nvmlReturn=self.power_field, valueType=kind, value=value)]


def _listed(processes: list[tuple[int, int | None]]) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in processes]
