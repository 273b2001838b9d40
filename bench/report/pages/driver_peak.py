"""A case's memory as the driver tells it, beside torch's peak: as a cell, and why it is missing where it is.

Reads records; never torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.core.units import format_bytes, format_count, format_metric
from bench.record import Device, Memory, OutOfMemory, Record
from bench.report.render.markdown import safe

#: Beside a figure that is the whole device's growth: the process itself was not listed.
_GROWTH = "growth"


def is_known(record: Record | None) -> bool:
    """Whether the driver told of the record's memory."""
    return record is not None and record.memory is not None and _bytes(record.memory) is not None


def cell(record: Record | None) -> str:
    """`4.20 GiB (17.50%)`, a share of the whole card; `1.10 GiB (4.58%), growth`; OOM; `-` where it is missing."""
    if record is not None and isinstance(record.outcome, OutOfMemory):
        return "OOM"
    if record is None or record.memory is None:
        return "-"
    count = _bytes(record.memory)
    if count is None:
        return "-"
    share = _share(count, record.device)
    by = f", {_GROWTH}" if record.memory.nvml_process_bytes is None else ""
    return f"{format_bytes(count)}{share}{by}"


def legend(records: Sequence[Record]) -> str:
    """What the figures are, if there is one, and for how many cases there is none and why. In markdown."""
    sentences = []
    if any(is_known(record) for record in records):
        sentences.append(
            "**By the driver** is what NVML tells of the process when its calls have ended and torch has given nothing "
            "back: the CUDA context and libraries are in it, which are not in torch's peak. Its share is of the whole "
            f"card. *{_GROWTH}*: NVML did not list the process; what the whole device's memory grew by during the "
            "calls, in which neither weights nor context are."
        )
    missing = Counter(_reasons(records))
    if missing:
        reasons = "; ".join(f"{safe(why)} ({format_count(count, 'case')})" for why, count in missing.most_common())
        sentences.append(f"No peak by the driver: {reasons}.")
    return " ".join(sentences)


def _bytes(memory: Memory) -> int | None:
    """The process's bytes; else the device's growth, which a neighbour that frees memory makes meaningless below 0."""
    growth = memory.nvml_device_growth_bytes
    if memory.nvml_process_bytes is not None:
        return memory.nvml_process_bytes
    return growth if growth is not None and growth >= 0 else None


def _share(count: int, device: Device) -> str:
    total = device.nvml_total_bytes or device.total_bytes
    return f" ({format_metric('memory_percent', 100 * count / total)})" if total else ""


def _reasons(records: Iterable[Record]) -> Iterable[str]:
    """Why there is no figure, of each case that has other figures and lacks this one."""
    for record in records:
        if record.kind == "published":
            yield "the docs do not print it"
        elif record.memory is not None and not is_known(record):
            yield record.memory.nvml_process_reason or "NVML told nothing"
