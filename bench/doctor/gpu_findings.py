"""The GPU's settings and current state: what slows it down, and who else uses it."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.clock_reasons import SLOWED
from bench.core.units import GIB, format_bytes
from bench.doctor.facts import Facts, Finding, GpuFacts, note, ok, problem, warning
from bench.record import Device, GpuSettings, Neighbours

#: Shares of a GPU's memory and time (nvmlUtilization_t, the last second or so) above which other processes disturb a
#: run.
_USED_SHARE, BUSY_SHARE = 0.05, 0.10
#: Memory that a desktop with a browser may use if NVML lists no process; assumed, not measured.
_DESKTOP_BYTES = 4 * GIB
#: Clock event reasons (nvml.h, nvmlClocksEventReason*).
_POWER_CAP, _FIXED_CLOCKS = 0x4, 0x2 | 0x100
#: nvmlComputeMode_t (nvml.h)
_PROHIBITED, _EXCLUSIVE = 2, (1, 3)


def power_limit(facts: Facts) -> Iterator[Finding]:
    """The enforced power limit against the default."""
    settings = _settings(facts)
    if settings is None or settings.power_limit_w is None:
        return
    limit, default = settings.power_limit_w, settings.power_default_w
    if default is not None and settings.is_power_lowered:
        raisable = settings.raisable_power_w is not None
        yield warning(
            "power limit",
            f"{limit:.0f} W, below the default of {default:.0f} W: the card is slower than others of the same model.",
            f"Raise it with sudo nvidia-smi -pl {default:.0f}, or compare only with runs at this limit."
            if raisable
            else "The limit can't be raised on this card: compare only with runs at this limit.",
        )
    else:
        yield ok("power limit", f"{limit:.0f} W" + ("" if default is None else f" (default {default:.0f} W)"))


def memory_protection(facts: Facts) -> Iterator[Finding]:
    """Error correction, which costs capacity and bandwidth on cards with GDDR memory."""
    settings = _settings(facts)
    if settings is None or settings.ecc is None:
        return
    if settings.ecc:
        yield note("ECC", "on. Cards with GDDR memory have less and slower memory than with ECC off.")
    else:
        yield note("ECC", "off. Compare only with cards that have ECC off or lack it.")


def persistence(facts: Facts) -> Iterator[Finding]:
    """Whether the driver stays initialised while the GPU is unused (Linux; on Windows it always does)."""
    settings = _settings(facts)
    if settings is None or settings.persistence is None or not facts.host.os.startswith("Linux"):
        return
    if settings.persistence:
        yield ok("persistence", "on")
    else:
        yield warning(
            "persistence",
            "off: the driver initialises again for each worker, which slows starts and first calls.",
            "Turn it on with sudo nvidia-smi -pm 1 (or nvidia-persistenced) if you may.",
        )


def partition(facts: Facts) -> Iterator[Finding]:
    """Multi-instance GPU: a run measures a slice of the card."""
    settings = _settings(facts)
    if settings is not None and settings.mig:
        yield note("MIG", "on: runs measure a slice of the GPU, not the whole card.", "Compare only with equal slices.")


def compute_mode(facts: Facts) -> Iterator[Finding]:
    """Whether the driver admits more than one process at a time."""
    gpu = _gpu(facts)
    mode = gpu.compute_mode if gpu else None
    if mode == _PROHIBITED:
        yield problem("compute mode", "prohibited: no process may compute on this GPU.", "sudo nvidia-smi -c DEFAULT")
    elif mode in _EXCLUSIVE:
        yield ok("compute mode", "exclusive: no other process can use the GPU during a run")


def memory(facts: Facts) -> Iterator[Finding]:
    """Free memory, and whether NVML can explain what is in use."""
    gpu = _gpu(facts)
    if gpu is None or gpu.free_bytes is None or gpu.total_bytes is None:
        return
    text = f"{format_bytes(gpu.free_bytes)} of {format_bytes(gpu.total_bytes)} free"
    used = gpu.total_bytes - gpu.free_bytes
    unknown = _neighbours(facts).bytes is None
    if unknown and used > GIB + _USED_SHARE * gpu.total_bytes:  # a context takes up to a GiB
        yield warning(
            "GPU memory",
            f"{text}. The rest is more than this program's CUDA context, and NVML does not report who uses it.",
            "Check with nvidia-smi on the host, and end processes that need not run.",
        )
    else:
        yield ok("GPU memory", text)


def neighbours(facts: Facts) -> Iterator[Finding]:
    """Other processes on the GPU when the worker opened it."""
    if not facts.on_gpu or facts.device is None:
        return
    yield neighbour_finding(_neighbours(facts), facts.device)


def neighbour_finding(neighbours: Neighbours, device: Device) -> Finding:
    """The finding about other processes on a GPU: a problem if they use more than a little of it.

    A card that drives a screen always has memory in use. If it is mostly idle and no process computes, that is a
    warning.
    """
    if neighbours.count is None and neighbours.bytes is None and neighbours.utilization is None:
        return note(
            "neighbours",
            "NVML does not report whether other processes use this GPU.",
            "Check with nvidia-smi on the host.",
        )
    used = _share(neighbours.bytes, device)
    text = _usage(neighbours, used)
    if _only_draws(neighbours) and used > _USED_SHARE:
        return warning(
            "neighbours",
            f"{text}. This GPU seems to drive a screen: less memory is free, and times may be noisier.",
            "Close graphical programs, or let another GPU (or the processor's own) drive the screen.",
        )
    if used > _USED_SHARE or (neighbours.utilization or 0.0) > BUSY_SHARE:
        return problem(
            "neighbours",
            f"{text}. They would distort times and leave less memory.",
            "Wait for them (bench run --exclusive does), end them (nvidia-smi lists them), or use another GPU with "
            "--device cuda:N.",
        )
    return note("neighbours", f"{text}: little enough for a run.") if neighbours.count else ok("neighbours", text)


def _only_draws(neighbours: Neighbours) -> bool:
    """Whether the other processes only draw a screen: utilization is low, and no listed process computes.

    If the list is empty or unavailable (WSL), an active display or little memory in use counts as evidence.
    """
    if neighbours.utilization is None or neighbours.utilization > BUSY_SHARE:
        return False
    if neighbours.computing or (neighbours.computing is None and neighbours.count):
        return False
    return bool(neighbours.drawing or neighbours.display) or (neighbours.bytes or 0) <= _DESKTOP_BYTES


def neighbour_warning(settings: GpuSettings | None, device: Device) -> str | None:
    """A message for a run on a GPU that other processes use, with what to do; None if they don't matter."""
    finding = neighbour_finding(settings.neighbours, device) if settings else None
    return f"{finding.said} {finding.remedy}" if finding is not None and finding.level == "problem" else None


def conditions(facts: Facts) -> Iterator[Finding]:
    """Temperature, power and what limits the clocks, before any load."""
    gpu = _gpu(facts)
    if gpu is None:
        return
    if gpu.temperature_c is not None or gpu.power_w is not None:
        yield ok("conditions", _state(gpu))
    reasons = gpu.reasons or 0
    named = ", ".join(gpu.reason_names) or hex(reasons)
    if reasons & SLOWED:
        yield problem(
            "clocks",
            f"The GPU is throttled now ({named}).",
            "Let it cool, check fans, air flow, power supply and cables, then try again.",
        )
    elif reasons & _POWER_CAP:
        yield note("clocks", f"The power limit reduces the clocks ({named}) although nothing is being measured.")
    elif reasons & _FIXED_CLOCKS:
        settings = _settings(facts)
        commands = " and ".join(f"sudo {command}" for command in settings.clock_resets) if settings else ""
        remedy = f"Reset them with {commands}" if commands else None
        yield note("clocks", f"The clocks are set manually ({named}).", remedy)
    elif gpu.reasons is not None:
        yield ok("clocks", "the GPU is not throttled")


def spill(facts: Facts) -> Iterator[Finding]:
    """Whether the driver may spill into system memory instead of refusing an allocation."""
    reason = facts.environment.may_spill if facts.environment else None
    if reason is not None:
        yield warning(
            "spill",
            f"{reason}. A case that does not fit is then slow instead of out of memory.",
            "In the NVIDIA Control Panel set CUDA - Sysmem Fallback Policy to 'Prefer No Sysmem Fallback'.",
        )


def _gpu(facts: Facts) -> GpuFacts | None:
    return facts.found.gpu if facts.found else None


def _settings(facts: Facts) -> GpuSettings | None:
    return facts.environment.gpu if facts.environment else None


def _neighbours(facts: Facts) -> Neighbours:
    settings = _settings(facts)
    return settings.neighbours if settings else Neighbours()


def _share(used_bytes: int | None, device: Device) -> float:
    total = device.nvml_total_bytes or device.total_bytes
    return used_bytes / total if used_bytes and total else 0.0


def _usage(neighbours: Neighbours, used: float) -> str:
    """`2 other processes; 1.50 GiB (2%) in use before this program started; busy 40% of the time`."""
    count = {None: "", 0: "no other process", 1: "1 other process"}.get(
        neighbours.count, f"{neighbours.count} other processes"
    )
    parts = [count] if count else []
    if neighbours.bytes is not None:
        parts.append(f"{format_bytes(neighbours.bytes)} ({used:.0%}) in use before this program started")
    if neighbours.utilization is not None:
        parts.append(f"busy {neighbours.utilization:.0%} of the time")
    return "; ".join(parts)


def _state(gpu: GpuFacts) -> str:
    parts = [
        "" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} C",
        "" if gpu.power_w is None else f"{gpu.power_w:.0f} W",
        "" if gpu.sm_clock_hz is None else f"SM clock {gpu.sm_clock_hz / 1e6:.0f} MHz",
    ]
    return "idle: " + ", ".join(part for part in parts if part)
