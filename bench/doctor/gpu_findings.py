"""The GPU's settings and its state at this moment: what holds it back, and who else is on it."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.units import GIB, format_bytes
from bench.doctor.facts import Facts, GpuFacts
from bench.doctor.finding import Finding, note, ok, problem, warning
from bench.record import Device, GpuSettings, Neighbours

#: Others that hold more of the device's memory than this, or keep it busy for longer, spoil a run.
_HELD_SHARE, _BUSY_SHARE = 0.05, 0.10
#: What a desktop with its browser may hold where NVML lists no process at all; assumed, not measured.
_UNSEEN_BYTES = 4 * GIB
#: NVML's clock event reasons (nvml.h, nvmlClocksEventReason*) by which the hardware protects itself:
#: slowdown 0x8, software thermal 0x20, hardware thermal 0x40, power brake 0x80.
_SLOWED = 0x8 | 0x20 | 0x40 | 0x80
_POWER_CAP, _FIXED_CLOCKS = 0x4, 0x2 | 0x100
#: nvmlComputeMode_t (nvml.h)
_PROHIBITED, _EXCLUSIVE = 2, (1, 3)


def power_limit(facts: Facts) -> Iterator[Finding]:
    """The limit that is enforced against the one the card is shipped with."""
    settings = _settings(facts)
    if settings is None or settings.power_limit_w is None:
        return
    limit, default = settings.power_limit_w, settings.power_default_w
    if default is not None and settings.is_power_lowered:
        raisable = settings.raisable_power_w is not None
        yield warning(
            "power limit",
            f"{limit:.0f} W, below the default of {default:.0f} W: the card is slower than others of its name.",
            f"sudo nvidia-smi -pl {default:.0f}, or compare only with runs at this limit."
            if raisable
            else "This card's limit can't be raised here: compare only with runs at this limit.",
        )
    else:
        yield ok("power limit", f"{limit:.0f} W" + ("" if default is None else f", the default being {default:.0f} W"))


def memory_protection(facts: Facts) -> Iterator[Finding]:
    """Error correction: on cards without memory of its own for it, ECC costs capacity and bandwidth."""
    settings = _settings(facts)
    if settings is None or settings.ecc is None:
        return
    if settings.ecc:
        yield note("ECC", "on. Cards with GDDR memory have less of it, and slower, than with ECC off.")
    else:
        yield note("ECC", "off. Compare only with cards on which it is off, or that have none.")


def persistence(facts: Facts) -> Iterator[Finding]:
    """Whether the driver stays initialised while nobody uses the GPU (Linux; Windows always keeps it)."""
    settings = _settings(facts)
    if settings is None or settings.persistence is None or not facts.host.os.startswith("Linux"):
        return
    if settings.persistence:
        yield ok("persistence", "on")
    else:
        yield warning(
            "persistence",
            "off: the driver is initialised anew for each measuring process, and starts and first calls pay for it.",
            "sudo nvidia-smi -pm 1 (or nvidia-persistenced), where you may.",
        )


def partition(facts: Facts) -> Iterator[Finding]:
    """Multi-instance GPU: with it a slice is measured."""
    settings = _settings(facts)
    if settings is not None and settings.mig:
        yield note(
            "MIG", "on: what is measured is a slice of the GPU, not the card.", "Compare only with slices like it."
        )


def compute_mode(facts: Facts) -> Iterator[Finding]:
    """Whether the driver lets in more than one process at a time."""
    mode = _mode(facts)
    if mode == _PROHIBITED:
        yield problem("compute mode", "prohibited: no process may compute on this GPU.", "sudo nvidia-smi -c DEFAULT")
    elif mode in _EXCLUSIVE:
        yield ok("compute mode", "exclusive: no other process can use the GPU during a run")


def memory(facts: Facts) -> Iterator[Finding]:
    """What is free. Where NVML does not tell who holds the rest, that much is said."""
    gpu = _gpu(facts)
    if gpu is None or gpu.free_bytes is None or gpu.total_bytes is None:
        return
    said = f"{format_bytes(gpu.free_bytes)} of {format_bytes(gpu.total_bytes)} free"
    held = gpu.total_bytes - gpu.free_bytes
    unknown = _neighbours(facts).bytes is None
    if unknown and held > GIB + _HELD_SHARE * gpu.total_bytes:  # a context takes up to a GiB
        yield warning(
            "GPU memory",
            f"{said}; NVML does not tell who holds the rest, which is more than this program's own context.",
            "Look with nvidia-smi on the host, and end what need not run.",
        )
    else:
        yield ok("GPU memory", said)


def neighbours(facts: Facts) -> Iterator[Finding]:
    """Others on the GPU when the worker took it."""
    if not facts.on_gpu or facts.device is None:
        return
    yield company(_neighbours(facts), facts.device)


def company(others: Neighbours, device: Device) -> Finding:
    """What others on a GPU mean for a run: a problem if they hold or use more than a little of it.

    A card that drives a screen always has memory in use: where it does little and nobody computes, that is a warning.
    """
    if others.count is None and others.bytes is None and others.utilization is None:
        return note(
            "neighbours", "NVML does not tell whether others use this GPU.", "Look with nvidia-smi on the host."
        )
    held = _share(others.bytes, device)
    text = _who(others, held)
    if _only_draws(others) and held > _HELD_SHARE:
        return warning(
            "neighbours",
            f"{text}. This GPU seems to draw a screen: less fits, and times may be noisier.",
            "Close programs that draw, or let another GPU (or the processor's own) drive the screen.",
        )
    if held > _HELD_SHARE or (others.utilization or 0.0) > _BUSY_SHARE:
        return problem(
            "neighbours",
            f"{text}. Times and what fits would be theirs too.",
            "Wait for them, end them (nvidia-smi lists them), or take another GPU with --device cuda:N.",
        )
    return note("neighbours", f"{text}: little enough for a run.") if others.count else ok("neighbours", text)


def _only_draws(others: Neighbours) -> bool:
    """Whether the others do no more than draw a screen: little is done, and no process that computes is listed.

    Where the list of processes is empty or can't be had (WSL), a screen or little memory in use has to speak for it.
    """
    if others.utilization is None or others.utilization > _BUSY_SHARE:
        return False
    if others.computing or (others.computing is None and others.count):
        return False
    return bool(others.drawing or others.display) or (others.bytes or 0) <= _UNSEEN_BYTES


def crowding(settings: GpuSettings | None, device: Device) -> str | None:
    """What a run on a GPU that others use should be told, and what to do; None where they don't matter."""
    found = company(settings.neighbours, device) if settings else None
    return f"{found.said} {found.remedy}" if found is not None and found.level == "problem" else None


def conditions(facts: Facts) -> Iterator[Finding]:
    """Temperature, power and what holds the clocks down, before any load."""
    gpu = _gpu(facts)
    if gpu is None:
        return
    if gpu.temperature_c is not None or gpu.power_w is not None:
        yield ok("conditions", _state(gpu))
    reasons = gpu.reasons or 0
    named = ", ".join(gpu.reason_names) or hex(reasons)
    if reasons & _SLOWED:
        yield problem(
            "clocks",
            f"The GPU is slowing itself down now ({named}).",
            "Let it cool, and look at fans, air flow, power supply and cables; then try again.",
        )
    elif reasons & _POWER_CAP:
        yield note("clocks", f"The power limit holds the clocks down ({named}) although nothing is being measured.")
    elif reasons & _FIXED_CLOCKS:
        settings = _settings(facts)
        commands = " and ".join(f"sudo {command}" for command in settings.clock_resets) if settings else ""
        remedy = f"Back to the driver's own: {commands}" if commands else None
        yield note("clocks", f"The clocks are set by hand ({named}).", remedy)
    elif gpu.reasons is not None:
        yield ok("clocks", "nothing slows the GPU down")


def spill(facts: Facts) -> Iterator[Finding]:
    """Whether a full card can spill to system memory instead of refusing."""
    reason = facts.environment.may_spill if facts.environment else None
    if reason is not None:
        yield warning(
            "spill",
            f"{reason}. Then a case that does not fit is slow instead of out of memory.",
            "In the NVIDIA Control Panel set CUDA - Sysmem Fallback Policy to 'Prefer No Sysmem Fallback'.",
        )


def _gpu(facts: Facts) -> GpuFacts | None:
    return facts.found.gpu if facts.found else None


def _mode(facts: Facts) -> int | None:
    gpu = _gpu(facts)
    return gpu.compute_mode if gpu else None


def _settings(facts: Facts) -> GpuSettings | None:
    return facts.environment.gpu if facts.environment else None


def _neighbours(facts: Facts) -> Neighbours:
    settings = _settings(facts)
    return settings.neighbours if settings else Neighbours()


def _share(held: int | None, device: Device) -> float:
    total = device.nvml_total_bytes or device.total_bytes
    return held / total if held and total else 0.0


def _who(others: Neighbours, held: float) -> str:
    """`2 other processes; 1.50 GiB (2%) in use before this program took any; busy 40% of the time`."""
    count = {None: "", 0: "no other process", 1: "1 other process"}.get(others.count, f"{others.count} other processes")
    parts = [count] if count else []
    if others.bytes is not None:
        parts.append(f"{format_bytes(others.bytes)} ({held:.0%}) in use before this program took any")
    if others.utilization is not None:
        parts.append(f"busy {others.utilization:.0%} of the time")
    return "; ".join(parts)


def _state(gpu: GpuFacts) -> str:
    parts = [
        "" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} C",
        "" if gpu.power_w is None else f"{gpu.power_w:.0f} W",
        "" if gpu.sm_clock_hz is None else f"SM clock {gpu.sm_clock_hz / 1e6:.0f} MHz",
    ]
    return "now, idle: " + ", ".join(part for part in parts if part)
