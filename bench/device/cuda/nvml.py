"""The driver's figures through NVML: memory, settings, neighbours, clocks, power, energy, driver version.

Never raises: figures that NVML does not report are None, with a reason if it helps. Functions
that return parts of a record import pydantic, which the sampler process does without.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.device.cuda import nvml_calls
from bench.device.cuda.nvml_calls import Process, call

if TYPE_CHECKING:
    from bench.record import GpuSettings, Neighbours, SmClockSource

#: Smaller than any CUDA context: with less memory in use an empty list of processes is credible.
_LEAST_CONTEXT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure in bytes, or None and the reason."""

    bytes: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """A GPU's state at one moment. `reasons` is NVML's bitmask of what limits the clocks; see `core.clock_reasons`."""

    sm_clock_hz: float | None = None
    memory_clock_hz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    reasons: int | None = None


class Nvml:
    """One GPU as the driver sees it.

    `name` is the UUID or PCI address that NVML knows it by; `reason` says why it can't be read.

    For a MIG slice, memory and processes are the slice's, clocks, temperature and settings the card's. Power and energy
    are left out, because other slices contribute to them.
    """

    def __init__(self, name: str | None, *, pci_bus_id: str | None = None, pid: int | None = None) -> None:
        """Open the GPU with this UUID (as torch reports it, or prefixed with `GPU-` or `MIG-`) or PCI address.

        `pci_bus_id` (`00000000:65:00.0`) is the fallback if NVML does not know the UUID.
        """
        self._pid = os.getpid() if pid is None else pid
        self._handle: Any = None
        self._unsupported: set[tuple[object, ...]] = set()
        self.name: str | None = None
        self.reason = call("nvmlInit").reason
        if self.reason is None:
            self._open(name, pci_bus_id)
        self._slice = self._handle is not None and str(self.name).startswith("MIG-")
        self._card = self._card_of_slice() if self._slice else self._handle

    def _open(self, name: str | None, pci_bus_id: str | None) -> None:
        """Open the device by the first name that NVML knows. If it knows none, `reason` is the first error."""
        for candidate in _names(name, pci_bus_id):
            kind = "PciBusId" if ":" in candidate else "UUID"
            answer = call(f"nvmlDeviceGetHandleBy{kind}", candidate.encode())  # pynvml before 11.5 accepts only bytes
            if answer.reason is None:
                self._handle, self.name, self.reason = answer.value, candidate, None
                break
            self.reason = self.reason or answer.reason
        else:
            self.reason = self.reason or "torch does not report the GPU's UUID or PCI address"
            return
        if ":" in str(self.name) and _current(self._ask("nvmlDeviceGetMigMode", of=self._handle)):
            self._handle, self.reason = None, "NVML finds the card, but not the MIG slice that torch uses"

    def _card_of_slice(self) -> Any:
        parent = call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", self._handle)
        return self._handle if parent.reason else parent.value

    @property
    def driver(self) -> str | None:
        """Version of the driver."""
        version = call("nvmlSystemGetDriverVersion").value
        return None if version is None else nvml_calls.text(version)

    def cuda_version(self) -> str | None:
        """The newest CUDA version that the driver supports, as `13.0`."""
        version = call("nvmlSystemGetCudaDriverVersion_v2").value  # 1000 * major + 10 * minor
        return None if version is None else f"{int(version) // 1000}.{int(version) % 1000 // 10}"

    def total(self) -> Reading:
        """All memory of the device."""
        return self._memory("total")

    def used(self) -> Reading:
        """Memory in use on the device by all processes and the driver."""
        return self._memory("used")

    def process(self) -> Reading:
        """Memory of this process on the device, including its CUDA context."""
        if self._handle is None:
            return Reading(None, self.reason)
        answer = nvml_calls.processes("Compute", self._handle)
        if answer.reason is not None:
            return Reading(None, answer.reason)
        listed: tuple[Process, ...] = answer.value
        entries = [process.bytes for process in listed if process.pid == self._pid]
        if not entries:
            reason = f"NVML lists {len(listed)} processes, but not this one (process ids differ in containers)"
            return Reading(None, reason)
        known = [used for used in entries if used is not None]
        return Reading(sum(known)) if known else Reading(None, "NVML does not report the memory of processes here")

    def conditions(self) -> Conditions:
        """The current clocks, temperature, power and clock event reasons. Takes about a millisecond."""
        return Conditions(
            sm_clock_hz=self._hertz("nvmlDeviceGetClockInfo", nvml_calls.CLOCK_SM),
            memory_clock_hz=self._hertz("nvmlDeviceGetClockInfo", nvml_calls.CLOCK_MEM),
            temperature_c=self._first(
                "nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV", given=nvml_calls.TEMPERATURE_GPU
            ),
            power_w=None if self._slice else self._power_w(),
            reasons=self._first("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
        )

    def energy_j(self) -> float | None:
        """The whole device's energy since the driver was loaded (Volta and later). Takes a few milliseconds.

        The driver updates it every 20 to 100 ms.
        """
        return None if self._slice else _thousandth(self._ask("nvmlDeviceGetTotalEnergyConsumption"))

    def usual_sm_clock(self, rated_hz: float | None = None) -> tuple[float, SmClockSource] | tuple[None, None]:
        """The SM clock that the card normally reaches under load, and its source.

        The default application clock, which data centre cards have; else `rated_hz`, the rated boost clock; else the
        highest clock that can be set, which GeForce and laptop cards do not reach under load.
        """
        for kind in (nvml_calls.CLOCK_SM, nvml_calls.CLOCK_GRAPHICS):  # the SMs run at the graphics clock
            clock = self._hertz("nvmlDeviceGetDefaultApplicationsClock", kind)
            if clock:
                return clock, "default application clock"
        if rated_hz:
            return rated_hz, "rated boost"
        highest = self._hertz("nvmlDeviceGetMaxClockInfo", nvml_calls.CLOCK_SM)
        return (highest, "highest clock") if highest else (None, None)

    def compute_mode(self) -> int | None:
        """The compute mode (nvmlComputeMode_t): how many processes may use the GPU."""
        mode = self._ask("nvmlDeviceGetComputeMode")
        return None if mode is None else int(mode)

    def settings(self) -> GpuSettings:
        """The GPU's settings and neighbours. Call this before this process uses the device.

        NVML does not report the number of multiprocessors, so it stays None.
        """
        from bench.record import GpuSettings  # noqa: PLC0415 - pydantic

        capability = self._ask("nvmlDeviceGetCudaComputeCapability")
        clock_hz, source = self.usual_sm_clock()
        return GpuSettings(
            compute_capability=None if capability is None else f"{capability[0]}.{capability[1]}",
            power_limit_w=_thousandth(self._ask("nvmlDeviceGetEnforcedPowerLimit")),
            power_default_w=_thousandth(self._ask("nvmlDeviceGetPowerManagementDefaultLimit")),
            power_range_w=self._power_range_w(),
            sm_clock_default_hz=clock_hz,
            sm_clock_default_source=source,
            sm_clock_max_hz=self._hertz("nvmlDeviceGetMaxClockInfo", nvml_calls.CLOCK_SM),
            memory_clock_max_hz=self._hertz("nvmlDeviceGetMaxClockInfo", nvml_calls.CLOCK_MEM),
            ecc=_current(self._ask("nvmlDeviceGetEccMode")),
            persistence=_current(self._ask("nvmlDeviceGetPersistenceMode")),
            mig=_current(self._ask("nvmlDeviceGetMigMode")),
            neighbours=self.neighbours(),
        )

    def neighbours(self, own: Collection[int] = (), *, has_device: bool = False) -> Neighbours:
        """Other users of the GPU. `own` are further processes that are not counted.

        `bytes` counts all processes, so call this before this process uses the device. If it does (`has_device`), its
        own memory is left out; `bytes` is None if that is not known.
        """
        from bench.record import Neighbours  # noqa: PLC0415 - pydantic

        in_use = self._in_use_by_others() if has_device else self._in_use()
        rates = self._ask("nvmlDeviceGetUtilizationRates", of=self._handle)
        display = self._ask("nvmlDeviceGetDisplayActive")
        compute, graphics = self._pids("Compute", own), self._pids("Graphics", own)
        return Neighbours(
            count=_credible_count(compute, graphics, in_use),
            bytes=in_use,
            utilization=None if rates is None else int(rates.gpu) / 100,
            computing=None if compute is None else len(compute - (graphics or set())),
            drawing=None if graphics is None else len(graphics),
            display=None if display is None else bool(display),
        )

    def pids(self) -> set[int]:
        """All processes that NVML lists on the device, this one included; empty if it lists none."""
        if self._handle is None:
            return set()
        answers = (nvml_calls.processes(kind, self._handle).value for kind in ("Compute", "Graphics"))
        return {process.pid for listed in answers for process in listed or ()}

    def _pids(self, kind: Any, own: Collection[int]) -> set[int] | None:
        """Other processes that compute or draw on the device; None if they can't be listed."""
        if self._handle is None:
            return None
        listed: tuple[Process, ...] | None = nvml_calls.processes(kind, self._handle).value
        return None if listed is None else {process.pid for process in listed} - {self._pid, *own}

    def _in_use_by_others(self) -> int | None:
        in_use, process = self._in_use(), self.process().bytes
        return None if in_use is None or process is None else max(0, in_use - process)

    def _in_use(self) -> int | None:
        """Bytes in use, without those that the driver reserves if NVML reports them (since driver 510).

        Not `used`: whether that includes reserved bytes differs between versions of NVML.
        """
        memory = self._ask("nvmlDeviceGetMemoryInfo", nvml_calls.MEMORY_V2, of=self._handle)
        if memory is not None and hasattr(memory, "reserved"):
            return max(0, int(memory.total) - int(memory.free) - int(memory.reserved))
        return self.used().bytes

    def _power_w(self) -> float | None:
        """The board's instantaneous power, or else nvmlDeviceGetPowerUsage.

        The latter is the mean of the last second on Ampere (except GA100) and later (nvml.h).
        """
        instant = ("nvmlDeviceGetFieldValues", (nvml_calls.FIELD_POWER_INSTANT,))
        for field in self._ask(*instant) or ():
            if field.nvmlReturn == nvml_calls.SUCCESS:
                is_double = field.valueType == nvml_calls.VALUE_TYPE_DOUBLE
                return float(field.value.dVal if is_double else field.value.uiVal) / 1e3
            if field.nvmlReturn in nvml_calls.LASTING:
                self._unsupported.add(instant)
        return _thousandth(self._ask("nvmlDeviceGetPowerUsage"))

    def _power_range_w(self) -> tuple[float, float] | None:
        """The lowest and highest power limit that can be set; None if it can't be set, as on laptops."""
        limits = self._ask("nvmlDeviceGetPowerManagementLimitConstraints")
        if limits is None or self._ask("nvmlDeviceGetPowerManagementLimit") is None or limits[0] >= limits[1]:
            return None
        return limits[0] / 1e3, limits[1] / 1e3

    def _hertz(self, name: str, clock: int) -> float | None:
        megahertz = self._ask(name, clock)
        return None if megahertz is None else float(megahertz) * 1e6

    def _first(self, *names: str, given: int | None = None) -> Any:
        """The answer of the first of these functions (old and new names) that gives one."""
        arguments = () if given is None else (given,)
        return next((answer for name in names if (answer := self._ask(name, *arguments)) is not None), None)

    def _ask(self, name: str, *arguments: object, of: Any = None) -> Any:
        """The answer of an NVML function for the card, or None. Unsupported functions are not called again.

        `of` is another handle to ask instead of the card's.
        """
        handle = self._card if of is None and self._handle is not None else of
        if handle is None or (name, *arguments) in self._unsupported:
            return None
        answer = call(name, handle, *arguments)
        if answer.lasting:
            self._unsupported.add((name, *arguments))
        return answer.value

    def _memory(self, field: str) -> Reading:
        if self._handle is None:
            return Reading(None, self.reason)
        answer = call("nvmlDeviceGetMemoryInfo", self._handle)
        return Reading(None, answer.reason) if answer.reason else Reading(int(getattr(answer.value, field)))


def driver_state() -> str | None:
    """Why the NVIDIA driver can't be used, in NVML's words; None if it can."""
    initialised = call("nvmlInit")
    count = initialised if initialised.reason else call("nvmlDeviceGetCount")
    if count.reason is not None:
        return count.reason.removeprefix("NVML: ")
    return None if count.value else "the driver sees no GPU"


def _names(name: str | None, pci_bus_id: str | None) -> Iterator[str]:
    """Names by which NVML may know the device. CUDA reports the UUIDs of slices and cards without a prefix."""
    if name is not None and ":" not in name:
        bare = name.removeprefix("GPU-").removeprefix("MIG-")
        prefixes = ("MIG-", "GPU-") if name.startswith("MIG-") else ("GPU-", "MIG-")
        yield from (f"{prefix}{bare}" for prefix in prefixes)
    elif name is not None:
        yield name
    if pci_bus_id is not None:
        yield pci_bus_id


def _credible_count(compute: set[int] | None, graphics: set[int] | None, in_use: int | None) -> int | None:
    """The number of other processes on the device; None if unknown.

    NVML does not list processes of other containers, so an empty list counts only if hardly any memory is in use.
    """
    if compute is None:
        return None
    count = len(compute | (graphics or set()))
    return count if count or (in_use is not None and in_use < _LEAST_CONTEXT_BYTES) else None


def _thousandth(value: int | None) -> float | None:
    """Watts from milliwatts, joules from millijoules."""
    return None if value is None else value / 1e3


def _current(mode: Any) -> bool | None:
    """Whether a mode is on; if NVML reports the current and the pending mode, the current one."""
    if mode is None:
        return None
    return bool(mode[0] if isinstance(mode, list | tuple) else mode)
