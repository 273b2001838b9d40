"""Units: one table of the metrics, and the formatting and parsing of quantities. Imports only `errors`.

Inside the program quantities are seconds and bytes. (Cells of the docs' tables are `report.docs_table`'s.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from bench.errors import BenchError

KIB, MIB, GIB = 2**10, 2**20, 2**30
_BYTE_UNITS = {
    "": 1, "b": 1,
    "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB, "t": 2**40, "tib": 2**40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """What a figure of a record is: its unit, which way is better, and whether it is exact or noisy."""

    title: str
    unit: Literal["seconds", "bytes", "percent"]
    better: Literal["lower", "higher"]
    exact: bool
    description: str


METRICS: dict[str, Metric] = {
    "time": Metric("Time", "seconds", "lower", False, "median of the timed calls"),
    "first_call": Metric(
        "First call", "seconds", "lower", False, "the call before all others: heuristics, lazy loading, autotuning"
    ),
    "memory_percent": Metric(
        "Memory", "percent", "lower", False, "the docs' memory column: peak over the device's total, or over the limit"
    ),
    "peak_allocated": Metric(
        "Peak allocated", "bytes", "lower", True, "torch.cuda.max_memory_allocated over the case, weights included"
    ),
    "peak_reserved": Metric(
        "Peak reserved", "bytes", "lower", False, "torch.cuda.max_memory_reserved over the case, pool emptied before it"
    ),
    "peak_rss": Metric(
        "Peak RSS growth", "bytes", "lower", False, "CPU: peak resident set less that after loading, heap trimmed"
    ),
    "weights": Metric("Weights", "bytes", "lower", True, "parameters and buffers of the model"),
    "nvml_process": Metric(
        "NVML process", "bytes", "lower", False, "the process's memory by the driver, read after the calls"
    ),
}


def memory_percent(peak_bytes: int, total_bytes: int) -> float:
    """The docs' memory column: both quantities rounded to three decimals of a GiB, their quotient in per cent.

    Recovered from the published tables, all of whose numeric cells follow from whole even MiB by this rule.
    """
    return round(peak_bytes / GIB, 3) / round(total_bytes / GIB, 3) * 100


def format_bytes(count: int | None) -> str:
    """`852 MiB`, `11.2 GiB`, `1.50 GiB`; `-` for None."""
    if count is None:
        return "-"
    for unit, name, digits in ((GIB, "GiB", 2), (MIB, "MiB", 0), (KIB, "KiB", 0)):
        if abs(count) >= KIB and round(abs(count) / unit, digits) >= 1:
            return f"{count / unit:.{1 if digits and round(abs(count) / unit, digits) >= 10 else digits}f} {name}"
    return f"{count} B"


def format_seconds(seconds: float | None) -> str:
    """`1.22 s`, `15.1 ms`, `310 us`, `2 min 05 s`; `-` for None."""
    if seconds is None:
        return "-"
    if round(seconds, 1) >= 120:
        return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"
    if float(f"{seconds:.3g}") >= 1:
        return f"{seconds:.1f} s" if round(seconds, 2) >= 10 else f"{seconds:.2f} s"
    milliseconds = float(f"{seconds * 1e3:.3g}")
    return f"{milliseconds:.3g} ms" if milliseconds >= 1 else f"{seconds * 1e6:.3g} us"


def format_metric(key: str, value: float | None) -> str:
    """A value of `METRICS[key]`, in the unit that the table gives it."""
    if value is None:
        return "-"
    unit = METRICS[key].unit
    if unit == "bytes":
        return format_bytes(int(value))
    return format_seconds(value) if unit == "seconds" else f"{value:.2f}%"


def parse_bytes(text: str) -> int:
    """Bytes from `8GiB`, `8G`, `500 MB` or `1073741824`. KiB and K are 1024, KB is 1000.

    Raises BenchError for anything else, and for nothing or less.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    factor = _BYTE_UNITS.get(match.group(2).lower()) if match else None
    if match is None or factor is None:
        raise BenchError(f"{text!r} is not an amount of memory. Write it like 8GiB, 500MiB or 8589934592.")
    count = int(Decimal(match.group(1)) * factor)
    if count <= 0:
        raise BenchError(f"{text!r} is no memory at all. Give more than zero bytes, like 8GiB.")
    return count
