"""The driver's own figures through NVML: memory, settings, neighbours, clocks, power, energy, driver version.

Never raises: what NVML does not tell is None, with the reason where one is of use. Imports pynvml, not torch, and
pydantic only inside the functions that answer with parts of a record: the sampling process does without it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pynvml

if TYPE_CHECKING:
    from bench.record import GpuSettings, Neighbours

#: Clock event reasons by their bit, as nvml.h has them (nvmlClocksEventReason*, formerly nvmlClocksThrottleReason*).
_REASONS = {
    0x001: "gpu idle",
    0x002: "applications clocks setting",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
#: The reasons for which the card was slowed because it had to be, not because of how it is set up.
SLOWED = 0x008 | 0x020 | 0x040 | 0x080
#: Errors that will be the same next time.
_NEVER = {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}
#: No process holds a CUDA context in less: an empty list of processes is believed up to this much memory in use.
_LEAST_CONTEXT_BYTES = 64 * 2**20


def reason_names(mask: int) -> tuple[str, ...]:
    """The clock event reasons in a bitmask, lowest bit first; a bit without a name here is `unknown (0x...)`."""
    bits = [1 << place for place in range(mask.bit_length()) if mask >> place & 1]
    return tuple(_REASONS.get(bit, f"unknown ({bit:#x})") for bit in bits)


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure in bytes, or None and why."""

    bytes: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """A GPU at one moment. `reasons` is NVML's bitmask of why clocks are not higher; see `reason_names`."""

    sm_clock_hz: float | None = None
    memory_clock_hz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    reasons: int | None = None


class Nvml:
    """One GPU as the driver sees it. `reason` says why there is nothing to read, if so."""

    def __init__(self, uuid: str | None, *, pid: int | None = None) -> None:
        """Open the GPU of that UUID (`GPU-...`, as nvidia-smi -L prints it)."""
        self._pid = os.getpid() if pid is None else pid
        self._handle: Any = None
        self._unsupported: set[tuple[object, ...]] = set()
        self.reason: str | None = None
        try:
            pynvml.nvmlInit()
            if uuid is None:
                self.reason = "torch does not tell which GPU of NVML it uses"
            else:
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError as error:
            self.reason = f"NVML: {error}"

    @property
    def driver(self) -> str | None:
        """Version of the driver."""
        try:
            return _text(pynvml.nvmlSystemGetDriverVersion())
        except pynvml.NVMLError:
            return None

    def cuda_version(self) -> str | None:
        """The newest CUDA that the driver supports, as `13.0`."""
        try:
            version = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())  # 1000 * major + 10 * minor
        except pynvml.NVMLError:
            return None
        return f"{version // 1000}.{version % 1000 // 10}"

    def total(self) -> Reading:
        """All memory of the device."""
        return self._memory("total")

    def used(self) -> Reading:
        """Memory in use on the device by all processes and the driver."""
        return self._memory("used")

    def process(self) -> Reading:
        """Memory of this process on the device, its context included."""
        if self._handle is None:
            return Reading(None, self.reason)
        try:
            listed = pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except pynvml.NVMLError as error:
            return Reading(None, f"NVML: {error}")
        mine = [process for process in listed if process.pid == self._pid]
        if not mine:
            return Reading(None, f"NVML lists {len(listed)} processes, not this one (a container's own process ids?)")
        used = mine[0].usedGpuMemory
        return Reading(None, "NVML does not tell a process's memory here") if used is None else Reading(int(used))

    def conditions(self) -> Conditions:
        """Clocks, temperature, power and clock event reasons now. Takes about a millisecond."""
        return Conditions(
            sm_clock_hz=self._hertz("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
            memory_clock_hz=self._hertz("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
            temperature_c=self._first(
                "nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV", given=pynvml.NVML_TEMPERATURE_GPU
            ),
            power_w=self._power_w(),
            reasons=self._first("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
        )

    def energy_j(self) -> float | None:
        """What the whole device has used since the driver was loaded (Volta and later). Takes a few milliseconds.

        The driver adds to it only every 20 to 100 ms.
        """
        return _thousandth(self._ask("nvmlDeviceGetTotalEnergyConsumption"))

    def sm_clock_default_hz(self) -> float | None:
        """The default application clock of the SMs (the graphics clock is theirs too), else their highest clock."""
        return (
            self._hertz("nvmlDeviceGetDefaultApplicationsClock", pynvml.NVML_CLOCK_SM)
            or self._hertz("nvmlDeviceGetDefaultApplicationsClock", pynvml.NVML_CLOCK_GRAPHICS)
            or self._hertz("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM)
        )

    def compute_mode(self) -> int | None:
        """nvmlComputeMode_t: who may use the GPU."""
        mode = self._ask("nvmlDeviceGetComputeMode")
        return None if mode is None else int(mode)

    def settings(self) -> GpuSettings:
        """How the GPU is set up, and its neighbours; to be called before this process touches the device.

        NVML tells no number of multiprocessors (its cores are another thing), so that one is left None.
        """
        from bench.record import GpuSettings  # noqa: PLC0415 - pydantic

        capability = self._ask("nvmlDeviceGetCudaComputeCapability")
        return GpuSettings(
            compute_capability=None if capability is None else f"{capability[0]}.{capability[1]}",
            power_limit_w=_thousandth(self._ask("nvmlDeviceGetEnforcedPowerLimit")),
            power_default_w=_thousandth(self._ask("nvmlDeviceGetPowerManagementDefaultLimit")),
            sm_clock_default_hz=self.sm_clock_default_hz(),
            sm_clock_max_hz=self._hertz("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM),
            memory_clock_max_hz=self._hertz("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_MEM),
            ecc=_current(self._ask("nvmlDeviceGetEccMode")),
            persistence=_current(self._ask("nvmlDeviceGetPersistenceMode")),
            mig=_current(self._ask("nvmlDeviceGetMigMode")),
            neighbours=self.neighbours(),
        )

    def neighbours(self) -> Neighbours:
        """Other users of the GPU; to be called before this process touches the device, since `bytes` are everyone's."""
        from bench.record import Neighbours  # noqa: PLC0415 - pydantic

        in_use = self._in_use()
        rates = self._ask("nvmlDeviceGetUtilizationRates")
        return Neighbours(
            count=self._others(in_use), bytes=in_use, utilization=None if rates is None else int(rates.gpu) / 100
        )

    def _others(self, in_use: int | None) -> int | None:
        """How many other processes are on the device.

        In a container NVML lists no process of another one, so an empty list is believed only if next to no memory
        is in use.
        """
        compute = self._ask("nvmlDeviceGetComputeRunningProcesses")
        if compute is None:
            return None
        graphics = self._ask("nvmlDeviceGetGraphicsRunningProcesses") or ()
        others = {process.pid for process in (*compute, *graphics)} - {self._pid}
        return len(others) if others or (in_use is not None and in_use < _LEAST_CONTEXT_BYTES) else None

    def _in_use(self) -> int | None:
        """Bytes in use, without those that the driver reserves where NVML tells them (since driver 510).

        Not `used`: whether that has the reserved bytes in it changed between versions of NVML.
        """
        memory = self._ask("nvmlDeviceGetMemoryInfo", pynvml.nvmlMemory_v2)
        if memory is not None:
            return max(0, int(memory.total) - int(memory.free) - int(memory.reserved))
        return self.used().bytes

    def _power_w(self) -> float | None:
        """The board's power now; where NVML has no such field, what nvmlDeviceGetPowerUsage tells.

        The latter is the mean of the last second on Ampere (except GA100) and later (nvml.h).
        """
        instant = ("nvmlDeviceGetFieldValues", (pynvml.NVML_FI_DEV_POWER_INSTANT,))
        for field in self._ask(*instant) or ():
            if field.nvmlReturn == pynvml.NVML_SUCCESS:
                is_double = field.valueType == pynvml.NVML_VALUE_TYPE_DOUBLE
                return float(field.value.dVal if is_double else field.value.uiVal) / 1e3
            if field.nvmlReturn in _NEVER:
                self._unsupported.add(instant)
        return _thousandth(self._ask("nvmlDeviceGetPowerUsage"))

    def _hertz(self, name: str, clock: int) -> float | None:
        megahertz = self._ask(name, clock)
        return None if megahertz is None else float(megahertz) * 1e6

    def _first(self, *names: str, given: int | None = None) -> Any:
        """The answer of the first of these functions, old and new names of one thing, that has any."""
        arguments = () if given is None else (given,)
        return next((answer for name in names if (answer := self._ask(name, *arguments)) is not None), None)

    def _ask(self, name: str, *arguments: object) -> Any:
        """The answer of an NVML function of the device, or None. One that is not supported is not tried again."""
        if self._handle is None or (name, *arguments) in self._unsupported:
            return None
        function = getattr(pynvml, name, None)
        try:
            if function is not None:
                return function(self._handle, *arguments)
        except pynvml.NVMLError as error:
            if error.value not in _NEVER:
                return None
        self._unsupported.add((name, *arguments))
        return None

    def _memory(self, field: str) -> Reading:
        if self._handle is None:
            return Reading(None, self.reason)
        try:
            return Reading(int(getattr(pynvml.nvmlDeviceGetMemoryInfo(self._handle), field)))
        except pynvml.NVMLError as error:
            return Reading(None, f"NVML: {error}")


def driver_state() -> str | None:
    """Why the NVIDIA driver can't be used, in NVML's words; None if it can."""
    try:
        pynvml.nvmlInit()
        return None if pynvml.nvmlDeviceGetCount() else "the driver sees no GPU"
    except pynvml.NVMLError as error:
        return str(error)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _thousandth(value: int | None) -> float | None:
    """Watts of NVML's milliwatts, joules of its millijoules."""
    return None if value is None else value / 1e3


def _current(mode: Any) -> bool | None:
    """A mode that is on or off; where NVML tells the current and the pending one, the current."""
    if mode is None:
        return None
    return bool(mode[0] if isinstance(mode, list | tuple) else mode)
