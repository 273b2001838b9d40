"""The host: what it is, and what on it takes time or memory from a measurement."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.units import MIB, format_bytes, format_count
from bench.doctor.facts import Facts, Finding, note, ok, problem, warning

#: Share of the cores that other processes may use without disturbing a measurement on the CPU.
_BUSY_CORES = 0.25
#: Disk space that must be free; the largest shipped sweep writes less than a tenth of it.
_FREE_DISK_BYTES = 100 * MIB
#: Swap in use up to this is normal after weeks of uptime.
_SWAP_BYTES = 64 * MIB
_REQUIRED = ("torch", "diffusers")


def machine(facts: Facts) -> Iterator[Finding]:
    """Operating system, processor, cores, RAM."""
    host = facts.host
    cores = f"{host.cores} cores"
    if host.usable_cores < host.cores:
        cores += f" ({host.usable_cores:g} for this process)"
    yield ok("machine", f"{host.os}, {host.cpu}, {cores}, {format_bytes(host.ram_bytes)} RAM")


def software(facts: Facts) -> Iterator[Finding]:
    """Versions of Python, torch and diffusers, from the worker if there is one."""
    versions = dict(facts.host.packages)
    if facts.environment is not None:
        versions |= {name: package.version for name, package in facts.environment.packages.items()}
    installed = [f"{name} {versions[name]}" for name in _REQUIRED if name in versions]
    yield ok("software", ", ".join([f"Python {facts.host.python}", *installed]))
    for name in _REQUIRED:
        if name not in versions:
            yield problem(
                "software",
                f"{name} is not installed for this Python.",
                "Install it: pip install 'hybrid-bench[measure]'",
            )


def load(facts: Facts) -> Iterator[Finding]:
    """The CPU load in the minute before the worker started."""
    host = facts.host
    if host.load is None:
        return
    text = f"load average {host.load:.2f} over the last minute, on {host.cores} cores"
    if host.load <= _BUSY_CORES * host.cores:
        yield ok("load", text)
    elif facts.on_gpu:
        yield note(
            "load",
            f"{text}. Short calls may wait for the host to launch their kernels.",
            "Stop other programs if possible.",
        )
    else:
        yield warning(
            "load",
            f"{text}: other programs share the processor with the timed calls.",
            "Stop them (`top` lists them), or wait a minute if they have just ended.",
        )


def threads(facts: Facts) -> Iterator[Finding]:
    """torch's threads against the cores that this process may use."""
    count = facts.environment.threads if facts.environment else None
    if count is None:
        return
    usable = facts.host.usable_cores
    cores = f"{usable:g} core{'' if usable == 1 else 's'}"
    text = f"torch uses {format_count(count, 'thread')}, and the process may use {cores}"
    if count <= max(1.0, usable):
        yield ok("threads", text)
        return
    remedy = f"Set OMP_NUM_THREADS={max(1, int(usable))}, or give the container more cores."
    if facts.on_gpu:
        yield note("threads", f"{text}.", remedy)
    else:
        yield warning("threads", f"{text}. Threads that wait for a core make times long and noisy.", remedy)


def memory(facts: Facts) -> Iterator[Finding]:
    """Available memory, a container's limit, and swap in use."""
    host = facts.host
    limit = host.memory_limit_bytes
    limited = limit is not None and limit < host.ram_bytes
    if limited:
        yield note(
            "host memory",
            f"The control group (container) is limited to {format_bytes(limit)} of {format_bytes(host.ram_bytes)}; "
            "the kernel kills a process that exceeds it.",
            "Give the container more memory if cases run out of memory on the host.",
        )
    if host.swap_used_bytes is not None and host.swap_used_bytes > _SWAP_BYTES:
        yield note(
            "host memory",
            f"{format_bytes(host.swap_used_bytes)} of swap is in use: the machine has been short of memory, and a case "
            "that swaps runs at the disk's speed.",
            "Close programs that use much memory.",
        )
    elif not limited and host.available_bytes is not None:
        yield ok("host memory", f"{format_bytes(host.available_bytes)} available, hardly any swap in use")


def governor(facts: Facts) -> Iterator[Finding]:
    """The kernel's CPU frequency governor (Linux; docs.kernel.org, admin-guide/pm/cpufreq)."""
    names = facts.host.governors
    if not names:
        return
    text = f"CPU frequency governor: {', '.join(names)}"
    if names == ("performance",):
        yield ok("governor", text)
        return
    remedy = "For steadier times: sudo cpupower frequency-set -g performance"
    yield note("governor", f"{text}. The clock follows the load, so first samples can be slower.", remedy)


def results(facts: Facts) -> Iterator[Finding]:
    """Whether records can be written to the results folder."""
    folder = facts.host.results
    if folder.trouble is not None:
        yield problem("results", f"{folder.path}: {folder.trouble}", "Choose another folder with --out.")
    elif folder.free_bytes is None:
        yield ok("results", f"{folder.path} is writable")
    elif folder.free_bytes < _FREE_DISK_BYTES:
        yield problem(
            "results",
            f"{folder.path}: only {format_bytes(folder.free_bytes)} of disk space is free; a run may fail.",
            f"Free at least {format_bytes(_FREE_DISK_BYTES)}, or choose another folder with --out.",
        )
    else:
        yield ok("results", f"{folder.path} is writable, {format_bytes(folder.free_bytes)} free")
