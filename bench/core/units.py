"""Units: one table of the metrics, and the formatting and parsing of quantities.

Inside the program quantities are in seconds and bytes. `report.docs.docs_table` formats the docs' own cells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from bench.errors import BenchError, quoted

KIB, MIB, GIB = 2**10, 2**20, 2**30
#: Bytes of one value of each precision.
ITEM_BYTES = {"float16": 2, "float32": 4, "bfloat16": 2}
#: Precisions of weights alone: what is computed has the model's own.
QUANTISED = ("int8", "nf4")
_BYTE_UNITS = {
    "": 1, "b": 1,
    "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB, "t": 2**40, "tib": 2**40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip


#: The unit of a figure. `payload bytes`: bytes on the wire, in decimal units. `amount`: money without its currency, or
#: any number without a unit.
Unit = Literal[
    "seconds", "bytes", "percent", "flops", "flops/s", "pixels/s", "joules", "ratio",
    "payload bytes", "bits/s", "count", "amount",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a record: its unit, which direction is better, whether it is exact, and which changes matter.

    A relative change of a noisy metric below `factor`, or an absolute one below `least` (in the metric's unit), never
    counts as a change. `{device}` in `description` stands for the device's kind, as in torch's module names.
    """

    title: str
    unit: Unit
    better: Literal["lower", "higher"]
    exact: bool
    factor: float
    description: str
    least: float = 0.0


METRICS: dict[str, Metric] = {
    "time": Metric("Time", "seconds", "lower", False, 0.02, "median of the timed calls"),
    "first_call": Metric("First call", "seconds", "lower", False, 0.25,
        "the very first call, including heuristics, lazy loading and autotuning"),
    "memory_percent": Metric("Memory", "percent", "lower", False, 0.01,
        "the docs' memory column: peak over the device's total, or over the limit"),
    "peak_allocated": Metric("Peak allocated", "bytes", "lower", True, 0.0,
        "torch.{device}.max_memory_allocated over the case, weights included"),
    "peak_reserved": Metric("Peak reserved", "bytes", "lower", False, 0.01,
        "torch.{device}.max_memory_reserved over the case, pool emptied before it"),
    # 32 MiB: observed between two runs of one case (docs/architecture.md)
    "peak_rss": Metric("Peak RSS growth", "bytes", "lower", False, 0.05,
        "CPU: peak resident set minus the resident set after loading, heap trimmed", 32 * MIB),
    "weights": Metric("Weights", "bytes", "lower", True, 0.0, "parameters and buffers of the model"),
    "nvml_process": Metric("NVML process", "bytes", "lower", False, 0.01,
        "memory of the process as the driver reports it, read after the calls"),
    "flops": Metric("FLOPs", "flops", "lower", True, 0.0,
        "floating-point operations of one call, as torch's FlopCounterMode counts"),
    "achieved": Metric("Achieved", "flops/s", "higher", False, 0.02, "FLOPs of one call divided by its median time"),
    "ceiling_fraction": Metric("Of ceiling", "ratio", "higher", False, 0.02,
        "achieved, divided by the rate of a large matrix product of the same precision on the same device "
        "(`bench doctor --ceilings`)"),
    "pixel_rate": Metric("Pixel rate", "pixels/s", "higher", False, 0.02,
        "image pixels of one call, batch included, divided by its median time"),
    "energy": Metric("Energy per image", "joules", "lower", False, 0.05,
        "energy of the whole GPU during the timed calls, divided by their images"),
}  # fmt: skip


def memory_percent(peak_bytes: int, total_bytes: int) -> float:
    """The docs' memory column: both quantities rounded to three decimals of a GiB, their ratio in per cent.

    Recovered from the published tables: every numeric cell follows from a whole even number of MiB by this rule.
    """
    return round(peak_bytes / GIB, 3) / round(total_bytes / GIB, 3) * 100


def memory_bytes(percent: float, total_bytes: int) -> int:
    """The peak in bytes for a `memory_percent`, precise to half a thousandth of a GiB because of its rounding."""
    return round(percent / 100 * round(total_bytes / GIB, 3) * GIB)


def pool_bytes(available_bytes: int, context_bytes: tuple[int, int]) -> tuple[int, int, int]:
    """Bytes left for torch's pool with the largest, a middle and the smallest CUDA context: in ascending order.

    `context_bytes` are the smallest and the largest size of the context.
    """
    low, high = context_bytes
    least, middle, most = (max(available_bytes - context, 0) for context in (high, (low + high) // 2, low))
    return least, middle, most


def format_bytes(count: int | None) -> str:
    """`852 MiB`, `11.2 GiB`, `1.50 GiB`; `-` for None."""
    if count is None:
        return "-"
    for unit, name, digits in ((GIB, "GiB", 2), (MIB, "MiB", 0), (KIB, "KiB", 0)):
        if abs(count) >= KIB and round(abs(count) / unit, digits) >= 1:
            return f"{count / unit:.{1 if digits and round(abs(count) / unit, digits) >= 10 else digits}f} {name}"
    return f"{count} B"


def format_exact(count: int) -> str:
    """Bytes that a user gave, unrounded if they are a whole number of a unit: `300 MiB`, `8 GiB`."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count % unit == 0:
            return f"{count // unit} {name}"
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


def format_amount(amount: float) -> str:
    """An amount of money without its currency, or any number: three digits, `0.00737`, `18.0`, `1,230`."""
    if not amount:
        return "0"
    rounded = float(f"{amount:.3g}")
    digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{digits}f}"


def format_between(least: float, most: float | None, unit: Unit) -> str:
    """`310 ms`, `138 ms to 311 ms`; `at least 138 ms` if nothing bounds the quantity (`most` is None)."""
    text = format_quantity(least, unit)
    if most is None:
        return f"at least {text}"
    return text if most == least else f"{text} to {format_quantity(most, unit)}"


def format_share(share: float) -> str:
    """A share of a device's memory: `45%`, `<1%`."""
    return "<1%" if share < 0.01 else f"{share:.0%}"


def format_size(count: int) -> str:
    """Bytes on the wire, in decimal units as rates are: `32.8 kB`, `2.76 MB`."""
    return _scaled(count, "B")


def format_rate(bit_s: float) -> str:
    """Bits a second as networks are sold: `57 Mbit/s`, `1.2 Gbit/s`."""
    return _scaled(bit_s, "bit/s")


def format_metric(key: str, value: float | None) -> str:
    """A value of `METRICS[key]` in its unit; `-` for None."""
    return "-" if value is None else format_quantity(value, METRICS[key].unit)


def format_quantity(value: float, unit: Unit) -> str:
    """A value formatted in its unit."""
    return _FORMATS[unit](value)


def format_relative(change: float) -> str:
    """`+8.1%`; `-0.03%` if one decimal would hide it; `x 250` from a hundredfold; `0%` for no change."""
    if not change:
        return "0%"
    if change >= 99:
        return f"x {change + 1:.3g}"
    return f"{change:+.1%}" if abs(change) >= 0.0005 else f"{Decimal(f'{change * 100:.1g}'):+f}%"


def format_change(key: str, base: float, change: float | None) -> str:
    """A relative change of a metric from `base`: `+8.1%`, or `from 0` if there is no ratio (None)."""
    if change is None:
        return f"from {format_metric(key, base) if base else '0'}"
    return format_relative(change)


def format_percent(share: float) -> str:
    """`5%` of 0.05, `0.25%` of 0.0025."""
    return f"{Decimal(f'{share * 100:.12g}'):f}%"


def format_p(p: float | None) -> str:
    """`0.031`, `<0.001`; `-` for None."""
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def format_count(count: int, noun: str) -> str:
    """`1 case`, `2 cases`: a count with a noun whose plural is regular."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def one_line(text: str) -> str:
    """Text for tables and pages, with each unprintable character replaced by a question mark.

    The length stays the same, so that columns can be laid out. Messages use `errors.printable`, which shows the codes.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)


def _scaled(value: float, unit: str) -> str:
    """Three digits and an SI prefix: `1.23 TFLOP/s`, `45.6 Mpx/s`."""
    for prefix, factor in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(float(f"{value:.3g}")) >= factor:
            return f"{_three_digits(value / factor)} {prefix}{unit}"
    return f"{_three_digits(value)} {unit}"


def _three_digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return (
        f"{rounded:.{max(0, 2 - int(math.log10(abs(rounded))))}f}" if rounded and abs(rounded) >= 1 else f"{value:.3g}"
    )


_FORMATS: dict[Unit, Callable[[float], str]] = {
    "seconds": format_seconds,
    "bytes": lambda value: format_bytes(int(value)),
    "percent": lambda value: f"{value:.2f}%",
    "ratio": lambda value: f"{value:.0%}" if value >= 0.1 else f"{value:.1%}",
    "flops": lambda value: _scaled(value, "FLOP"),
    "flops/s": lambda value: _scaled(value, "FLOP/s"),
    "pixels/s": lambda value: _scaled(value, "px/s"),
    "joules": lambda value: _scaled(value, "J") if value >= 1 else f"{value * 1e3:.3g} mJ",
    "payload bytes": lambda value: format_size(int(value)),
    "bits/s": format_rate,
    "count": lambda value: f"{value:,.0f}",
    "amount": format_amount,
}


def parse_bytes(text: str) -> int:
    """Bytes from `8GiB`, `8G`, `500 MB` or `1073741824`. KiB and K are 1024, KB is 1000.

    Raises BenchError for other text and for 0 bytes.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    factor = _BYTE_UNITS.get(match.group(2).lower()) if match else None
    if match is None or factor is None:
        raise BenchError(f"{quoted(text)} is not an amount of memory. Write it like 8GiB, 500MiB or 8589934592.")
    count = int(Decimal(match.group(1)) * factor)
    if count <= 0:
        raise BenchError(f"{quoted(text)} must be greater than 0 bytes. Give an amount like 8GiB.")
    return count
