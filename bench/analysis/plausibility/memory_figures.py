"""A stage's memory against itself: the docs' arithmetic, the order of its figures, the units of torch's allocator."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from bench.analysis.plausibility.finding import Finding, Subject, differs
from bench.core.units import MIB, format_bytes, memory_percent
from bench.record import Memory, Record

_DOCS = "the docs' arithmetic: both in GiB, rounded to three decimals"
_ALLOCATOR = "torch's caching allocator"
#: torch's allocator counts blocks of 512 bytes and takes segments of 2 MiB (CUDACachingAllocator.cpp).
_BLOCK_BYTES, _SEGMENT_BYTES = 512, 2 * MIB
#: Pages of memory, of which resident sets consist; larger pages are multiples of it.
_PAGE_BYTES = 4096
#: The driver's figure of the process is read after the calls, while torch still holds its pool (assumed: within 2%).
_OF_POOL = 0.98
_OTHER_BACKENDS = ("backend:cudaMallocAsync", "NO_CUDA_MEMORY_CACHING")


def check(subject: Subject) -> Iterator[Finding]:
    """All memory of a record: of its stages and of its loading."""
    for stage in subject.record.stages:
        if stage.memory is not None:
            yield from _of_memory(subject, stage.memory, f"{stage.name}.memory")
    if subject.record.loading is not None:
        yield from _of_memory(subject, subject.record.loading, "loading")


def _of_memory(subject: Subject, memory: Memory, name: str) -> Iterator[Finding]:
    record = subject.record
    whole = record.vram_limit_bytes or record.device.total_bytes
    if memory.percent is not None and memory.peak_bytes is not None and whole is not None and whole >= MIB:
        percent = memory_percent(memory.peak_bytes, whole)
        if differs(memory.percent, percent):
            figure = f"{name}.percent is {memory.percent!r}"
            yield subject.refuse("memory percent", figure, f"peak_bytes of the total are {percent!r}", _DOCS)
    if record.device.kind == "cuda":
        yield from _on_cuda(subject, memory, name)
    elif record.device.kind == "cpu":
        yield from _on_cpu(subject, memory, name)


def _on_cuda(subject: Subject, memory: Memory, name: str) -> Iterator[Finding]:
    peak, reserved = memory.peak_bytes, memory.peak_reserved_bytes
    if peak is not None and reserved is not None and peak != reserved:
        figure = f"{name}.peak_bytes is {peak}"
        yield subject.refuse("peak", figure, f"peak_reserved_bytes is {reserved}", "on CUDA they are the same")
    yield from _order(subject, memory, name)
    yield from _units(subject, memory, name)
    process = memory.nvml_process_bytes
    if process is not None and reserved is not None and process < _OF_POOL * reserved:
        figure = f"{name}.nvml_process_bytes is {format_bytes(process)}"
        yield subject.doubt("process memory", figure, f"torch held {format_bytes(reserved)} of it", "the driver")


def _order(subject: Subject, memory: Memory, name: str) -> Iterator[Finding]:
    """Each figure is at most the next."""
    record = subject.record
    rows: tuple[tuple[tuple[str, int | None], ...], ...] = (
        (
            ("weights_bytes", memory.weights_bytes),
            ("peak_allocated_bytes", memory.peak_allocated_bytes),
            ("peak_reserved_bytes", memory.peak_reserved_bytes),
            _capacity(record),
        ),
        (
            ("first_call_peak_allocated_bytes", memory.first_call_peak_allocated_bytes),
            ("first_call_peak_reserved_bytes", memory.first_call_peak_reserved_bytes),
            _capacity(record),
        ),
    )
    for row in rows:
        known = [(field, value) for field, value in row if value is not None]
        for (field, value), (above, most) in pairwise(known):
            if field == "weights_bytes" and not _weights_stay(record):
                continue
            if value > most:
                figure = f"{name}.{field} is {format_bytes(value)}"
                yield subject.refuse("order of memory", figure, f"{above} is {format_bytes(most)}", _ALLOCATOR)


def _weights_stay(record: Record) -> bool:
    """Whether all weights are on the device during the call: offload keeps most in the host's memory."""
    return record.case.variant in ("default", "sliced") and len(record.stages) == 1


def _capacity(record: Record) -> tuple[str, int | None]:
    """The most that can be reserved: the limit or the card's memory. None if the driver may spill beyond it."""
    if record.environment is not None and record.environment.may_spill is not None:
        return "total_bytes", None
    if record.vram_limit_bytes is not None:
        return "vram_limit_bytes", record.vram_limit_bytes
    return "device.total_bytes", record.device.total_bytes


def _units(subject: Subject, memory: Memory, name: str) -> Iterator[Finding]:
    if _has_other_allocator(subject.record):
        return
    fields: tuple[tuple[Literal["allocated", "reserved"], int], ...] = (
        ("allocated", _BLOCK_BYTES),
        ("reserved", _SEGMENT_BYTES),
    )
    for kind, unit in fields:
        for prefix in ("peak", "first_call_peak"):
            value = getattr(memory, f"{prefix}_{kind}_bytes")
            if value is not None and value % unit:
                figure = f"{name}.{prefix}_{kind}_bytes is {value}"
                yield subject.refuse(
                    "unit of memory", figure, f"it counts in units of {format_bytes(unit)}", _ALLOCATOR
                )


def _has_other_allocator(record: Record) -> bool:
    """Whether the environment chose an allocator that counts in other units."""
    variables = record.environment.variables if record.environment else {}
    text = " ".join(f"{name}={value}" for name, value in variables.items())
    return any(name in text for name in _OTHER_BACKENDS)


def _on_cpu(subject: Subject, memory: Memory, name: str) -> Iterator[Finding]:
    weights, baseline, peak_rss = memory.weights_bytes, memory.baseline_rss_bytes, memory.peak_rss_bytes
    if weights is None or baseline is None or peak_rss is None:
        return
    grown = weights + max(0, peak_rss - baseline)
    if memory.peak_bytes is not None and memory.peak_bytes != grown:
        figure = f"{name}.peak_bytes is {memory.peak_bytes}"
        yield subject.refuse(
            "peak", figure, f"weights and growth are {grown}", "weights + peak RSS - RSS after loading"
        )
    for field in ("baseline_rss_bytes", "peak_rss_bytes", "timing_peak_rss_bytes"):
        value = getattr(memory, field)
        if value is not None and value % _PAGE_BYTES:
            yield subject.refuse("unit of memory", f"{name}.{field} is {value}", "it is whole pages", "the kernel")
    total = subject.record.device.total_bytes
    if total is not None and peak_rss > total:
        figure = f"{name}.peak_rss_bytes is {format_bytes(peak_rss)}"
        yield subject.refuse("order of memory", figure, f"the machine has {format_bytes(total)}", "device.total_bytes")
