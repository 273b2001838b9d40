"""A case's memory as the driver reports it, beside torch's peak: as a cell, and why it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.core.units import format_metric
from bench.record import Device, Memory, OutOfMemory, Record
from bench.report.document import Cell
from bench.report.pages.cells import OOM


def is_known(record: Record | None) -> bool:
    """Whether the driver reported the record's memory."""
    return record is not None and record.memory is not None and _bytes(record.memory) is not None


def cell(record: Record | None) -> Cell:
    """The bytes, with their share of the whole card as a note; OOM; a cell without a value if they are unknown.

    `growth` in the note: NVML did not list the process, so this is the growth of the whole device's memory.
    """
    if record is not None and isinstance(record.outcome, OutOfMemory):
        return Cell(text=OOM, kind=record.kind)
    count = _bytes(record.memory) if record is not None and record.memory is not None else None
    if record is None or record.memory is None or count is None:
        return Cell()
    growth = ["growth"] if record.memory.nvml_process_bytes is None else []
    return Cell(count, kind=record.kind, note=", ".join([*_share(count, record.device), *growth]))


def legend(records: Sequence[Record]) -> list[tuple[str, str]]:
    """The meaning of the figures, if there are any; then the reasons why cases have none."""
    terms = []
    if any(is_known(record) for record in records):
        meaning = (
            "the memory of the process that NVML reports after the calls, before torch frees anything, and its share "
            "of the whole card. It includes the CUDA context and libraries, which torch's peak does not. "
            "Growth: NVML did not list the process, so this is how much the memory in use on the whole device grew "
            "during the calls; it does not include the weights or the context"
        )
        terms.append(("By the driver", meaning))
    if missing := sorted(set(_reasons(records))):
        terms.append(("Driver's peak missing", "; ".join(missing)))
    return terms


def _bytes(memory: Memory) -> int | None:
    """The process's bytes, else the device's growth. A neighbour that frees memory can make the growth negative."""
    growth = memory.nvml_device_growth_bytes
    if memory.nvml_process_bytes is not None:
        return memory.nvml_process_bytes
    return growth if growth is not None and growth >= 0 else None


def _share(count: int, device: Device) -> list[str]:
    total = device.nvml_total_bytes or device.total_bytes
    return [format_metric("memory_percent", 100 * count / total)] if total else []


def _reasons(records: Iterable[Record]) -> Iterable[str]:
    """The reasons why cases that have other figures lack this one."""
    for record in records:
        if record.kind == "published":
            yield "the source does not print it"
        elif record.memory is not None and not is_known(record):
            yield record.memory.nvml_process_reason or "NVML reported nothing"
