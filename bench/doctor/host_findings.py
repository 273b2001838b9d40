"""The machine around the device: what it is, and what on it takes time or memory from a measurement."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.units import MIB, format_bytes
from bench.doctor.facts import Facts
from bench.doctor.finding import Finding, note, ok, problem, warning

#: Others may use this share of the cores before a measurement on the CPU is doubted.
_BUSY_CORES = 0.25
#: A run of the largest shipped sweep writes less than a tenth of this.
_ROOM_BYTES = 100 * MIB
#: Swap in use up to this is what any machine sets aside after weeks of running.
_SWAP_BYTES = 64 * MIB
_NEEDED = ("torch", "diffusers")


def machine(facts: Facts) -> Iterator[Finding]:
    """Operating system, processor, cores, RAM."""
    host = facts.host
    cores = f"{host.cores} cores"
    if host.usable_cores < host.cores:
        cores += f" ({host.usable_cores:g} for this process)"
    yield ok("machine", f"{host.os}, {host.cpu}, {cores}, {format_bytes(host.ram_bytes)} RAM")


def software(facts: Facts) -> Iterator[Finding]:
    """Python, torch, diffusers: the worker's word for their versions where there is a worker."""
    found = dict(facts.host.packages)
    if facts.environment is not None:
        found |= {name: package.version for name, package in facts.environment.packages.items()}
    shown = [f"{name} {found[name]}" for name in _NEEDED if name in found]
    yield ok("software", ", ".join([f"Python {facts.host.python}", *shown]))
    for name in _NEEDED:
        if name not in found:
            yield problem("software", f"{name} is not installed for this Python.", f"Install it: pip install {name}")


def load(facts: Facts) -> Iterator[Finding]:
    """What others were doing on the CPU in the minute before the worker started."""
    host = facts.host
    if host.load is None:
        return
    said = f"load average {host.load:.2f} over the last minute, on {host.cores} cores"
    if host.load <= _BUSY_CORES * host.cores:
        yield ok("load", said)
    elif facts.on_gpu:
        yield note(
            "load", f"{said}.", "Short calls wait for the host to launch them: stop what else runs, if it can be."
        )
    else:
        yield warning(
            "load",
            f"{said}: timings share the processor with others.",
            "Stop what else runs (`top` lists it), or wait a minute if it has just ended.",
        )


def threads(facts: Facts) -> Iterator[Finding]:
    """torch's threads against the cores that this process may use: more than that wait for each other."""
    count = facts.environment.threads if facts.environment else None
    if count is None:
        return
    usable = facts.host.usable_cores
    said = f"torch uses {count} thread(s), and the process may use {usable:g} core(s)."
    if count <= max(1.0, usable):
        yield ok("threads", said)
        return
    remedy = f"Set OMP_NUM_THREADS={max(1, int(usable))}, or give the container more cores."
    if facts.on_gpu:
        yield note("threads", said, remedy)
    else:
        yield warning("threads", f"{said} Threads that wait for a core make timings long and noisy.", remedy)


def memory(facts: Facts) -> Iterator[Finding]:
    """What the host has left, what a container's limit leaves of it, and whether it has begun to swap."""
    host = facts.host
    limit = host.memory_limit_bytes
    limited = limit is not None and limit < host.ram_bytes
    if limited:
        yield note(
            "host memory",
            f"The control group (container) is limited to {format_bytes(limit)} of {format_bytes(host.ram_bytes)}; "
            "beyond that the kernel ends the process.",
            "Give the container more if cases end as out of memory on the host.",
        )
    if host.swap_used_bytes is not None and host.swap_used_bytes > _SWAP_BYTES:
        yield note(
            "host memory",
            f"{format_bytes(host.swap_used_bytes)} of swap is in use: the machine has been short of memory.",
            "Close what needs the memory; a case that swaps is timed with the disk's speed.",
        )
    elif not limited and host.available_bytes is not None:
        yield ok("host memory", f"{format_bytes(host.available_bytes)} available, hardly any swap in use")


def governor(facts: Facts) -> Iterator[Finding]:
    """How the kernel sets the processor's clock (Linux; docs.kernel.org, admin-guide/pm/cpufreq)."""
    names = facts.host.governors
    if not names:
        return
    said = f"CPU frequency governor: {', '.join(names)}."
    if names == ("performance",):
        yield ok("governor", said)
        return
    remedy = "For steadier timings: sudo cpupower frequency-set -g performance"
    yield note("governor", f"{said} The clock follows the load, so first samples can be slower.", remedy)


def results(facts: Facts) -> Iterator[Finding]:
    """The results folder: whether a run's lines can be written and kept."""
    folder = facts.host.results
    if folder.trouble is not None:
        yield problem("results", f"{folder.path}: {folder.trouble}", "Choose another folder with --out.")
    elif folder.free_bytes is None:
        yield ok("results", f"{folder.path} can be written")
    elif folder.free_bytes < _ROOM_BYTES:
        yield problem(
            "results",
            f"{folder.path}: only {format_bytes(folder.free_bytes)} are free there; a run may stop for want of room.",
            f"Make room ({format_bytes(_ROOM_BYTES)} or more), or choose another folder with --out.",
        )
    else:
        yield ok("results", f"{folder.path} can be written, {format_bytes(folder.free_bytes)} free")
