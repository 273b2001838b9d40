"""The driver's own figures through NVML: memory, settings, neighbours, clocks, power, energy, driver version.

Never raises: what NVML does not tell is None, with the reason where one is of use. Imports no torch, and pydantic only
inside the functions that answer with parts of a record: the sampling process does without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.device.cuda import nvml_calls
from bench.device.cuda.nvml_calls import Process, call

if TYPE_CHECKING:
    from bench.record import GpuSettings, Neighbours, SmClockSource

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
    """One GPU as the driver sees it. `reason` says why there is nothing to read, if so; `name` is what it was found by.

    For a slice of a card (MIG) memory and processes are the slice's, clocks, temperature and settings the card's; power
    and energy are left out, since its neighbours on the card take part in them.
    """

    def __init__(self, name: str | None, *, pci_bus_id: str | None = None, pid: int | None = None) -> None:
        """Open the GPU of that UUID (as torch tells it, or with `GPU-` or `MIG-` before it) or PCI address.

        `pci_bus_id` (`00000000:65:00.0`) is tried where NVML does not know the UUID.
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
        """Find the device by the first name that NVML knows. If it knows none, `reason` is why the first one failed."""
        for candidate in _names(name, pci_bus_id):
            kind = "PciBusId" if ":" in candidate else "UUID"
            answer = call(f"nvmlDeviceGetHandleBy{kind}", candidate.encode())  # pynvml under 11.5 takes bytes alone
            if answer.reason is None:
                self._handle, self.name, self.reason = answer.value, candidate, None
                break
            self.reason = self.reason or answer.reason
        else:
            self.reason = self.reason or "torch does not tell which GPU of NVML it uses"
            return
        if ":" in str(self.name) and _current(self._ask("nvmlDeviceGetMigMode", of=self._handle)):
            self._handle, self.reason = None, "NVML finds the card, and not the slice of it (MIG) that torch uses"

    def _card_of_slice(self) -> Any:
        parent = call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", self._handle)
        return self._handle if parent.reason else parent.value

    @property
    def driver(self) -> str | None:
        """Version of the driver."""
        version = call("nvmlSystemGetDriverVersion").value
        return None if version is None else nvml_calls.text(version)

    def cuda_version(self) -> str | None:
        """The newest CUDA that the driver supports, as `13.0`."""
        version = call("nvmlSystemGetCudaDriverVersion_v2").value  # 1000 * major + 10 * minor
        return None if version is None else f"{int(version) // 1000}.{int(version) % 1000 // 10}"

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
        answer = nvml_calls.processes("Compute", self._handle)
        if answer.reason is not None:
            return Reading(None, answer.reason)
        listed: tuple[Process, ...] = answer.value
        own = [process.bytes for process in listed if process.pid == self._pid]
        if not own:
            return Reading(None, f"NVML lists {len(listed)} processes, not this one (a container's own process ids?)")
        known = [used for used in own if used is not None]
        return Reading(sum(known)) if known else Reading(None, "NVML does not tell a process's memory here")

    def conditions(self) -> Conditions:
        """Clocks, temperature, power and clock event reasons now. Takes about a millisecond."""
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
        """What the whole device has used since the driver was loaded (Volta and later). Takes a few milliseconds.

        The driver adds to it only every 20 to 100 ms.
        """
        return None if self._slice else _thousandth(self._ask("nvmlDeviceGetTotalEnergyConsumption"))

    def usual_sm_clock(self, rated_hz: float | None = None) -> tuple[float, SmClockSource] | tuple[None, None]:
        """The SM clock that a loaded card should come near, and which one it is.

        The default application clock, which cards for data centres have; else `rated_hz`, the boost clock that the card
        is sold with; else the highest that it can be set to, which GeForce and laptop cards do not reach under load.
        """
        for kind in (nvml_calls.CLOCK_SM, nvml_calls.CLOCK_GRAPHICS):  # the graphics clock is the SMs' too
            clock = self._hertz("nvmlDeviceGetDefaultApplicationsClock", kind)
            if clock:
                return clock, "default application clock"
        if rated_hz:
            return rated_hz, "rated boost"
        highest = self._hertz("nvmlDeviceGetMaxClockInfo", nvml_calls.CLOCK_SM)
        return (highest, "highest clock") if highest else (None, None)

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

    def neighbours(self) -> Neighbours:
        """Other users of the GPU; to be called before this process touches the device, since `bytes` are everyone's."""
        from bench.record import Neighbours  # noqa: PLC0415 - pydantic

        in_use = self._in_use()
        rates = self._ask("nvmlDeviceGetUtilizationRates", of=self._handle)
        display = self._ask("nvmlDeviceGetDisplayActive")
        compute, graphics = self._pids("Compute"), self._pids("Graphics")
        return Neighbours(
            count=_believed(compute, graphics, in_use),
            bytes=in_use,
            utilization=None if rates is None else int(rates.gpu) / 100,
            computing=None if compute is None else len(compute - (graphics or set())),
            drawing=None if graphics is None else len(graphics),
            display=None if display is None else bool(display),
        )

    def _pids(self, kind: Any) -> set[int] | None:
        """The other processes that compute or draw on the device; None where they can't be listed."""
        if self._handle is None:
            return None
        listed: tuple[Process, ...] | None = nvml_calls.processes(kind, self._handle).value
        return None if listed is None else {process.pid for process in listed} - {self._pid}

    def _in_use(self) -> int | None:
        """Bytes in use, without those that the driver reserves where NVML tells them (since driver 510).

        Not `used`: whether that has the reserved bytes in it changed between versions of NVML.
        """
        memory = self._ask("nvmlDeviceGetMemoryInfo", nvml_calls.MEMORY_V2, of=self._handle)
        if memory is not None and hasattr(memory, "reserved"):
            return max(0, int(memory.total) - int(memory.free) - int(memory.reserved))
        return self.used().bytes

    def _power_w(self) -> float | None:
        """The board's power now; where NVML has no such field, what nvmlDeviceGetPowerUsage tells.

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
        """The power limits between which one can be set. Laptops tell neither a limit that can be set nor a range."""
        limits = self._ask("nvmlDeviceGetPowerManagementLimitConstraints")
        if limits is None or self._ask("nvmlDeviceGetPowerManagementLimit") is None or limits[0] >= limits[1]:
            return None
        return limits[0] / 1e3, limits[1] / 1e3

    def _hertz(self, name: str, clock: int) -> float | None:
        megahertz = self._ask(name, clock)
        return None if megahertz is None else float(megahertz) * 1e6

    def _first(self, *names: str, given: int | None = None) -> Any:
        """The answer of the first of these functions, old and new names of one thing, that has any."""
        arguments = () if given is None else (given,)
        return next((answer for name in names if (answer := self._ask(name, *arguments)) is not None), None)

    def _ask(self, name: str, *arguments: object, of: Any = None) -> Any:
        """The answer of an NVML function of the card, or None. One that is not supported is not tried again.

        `of` is the handle to ask where that is not the card's.
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
    begun = call("nvmlInit")
    count = begun if begun.reason else call("nvmlDeviceGetCount")
    if count.reason is not None:
        return count.reason.removeprefix("NVML: ")
    return None if count.value else "the driver sees no GPU"


def _names(name: str | None, pci_bus_id: str | None) -> Iterator[str]:
    """What NVML may know the device by. CUDA tells the UUID of a slice in the same way as that of a card."""
    if name is not None and ":" not in name:
        plain = name.removeprefix("GPU-").removeprefix("MIG-")
        ways = ("MIG-", "GPU-") if name.startswith("MIG-") else ("GPU-", "MIG-")
        yield from (f"{way}{plain}" for way in ways)
    elif name is not None:
        yield name
    if pci_bus_id is not None:
        yield pci_bus_id


def _believed(compute: set[int] | None, graphics: set[int] | None, in_use: int | None) -> int | None:
    """How many other processes are on the device.

    In a container NVML lists no process of another one, so an empty list is believed only if next to no memory
    is in use.
    """
    if compute is None:
        return None
    count = len(compute | (graphics or set()))
    return count if count or (in_use is not None and in_use < _LEAST_CONTEXT_BYTES) else None


def _thousandth(value: int | None) -> float | None:
    """Watts of NVML's milliwatts, joules of its millijoules."""
    return None if value is None else value / 1e3


def _current(mode: Any) -> bool | None:
    """A mode that is on or off; where NVML tells the current and the pending one, the current."""
    if mode is None:
        return None
    return bool(mode[0] if isinstance(mode, list | tuple) else mode)
