"""Measures a device's ceilings: the rates of a large matrix product and of a large copy on the device.

The rate of a case is given as a share of these. Inputs are random, because zeros toggle fewer bits and run faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from bench.core import stats
from bench.core.units import GIB, MIB, format_seconds
from bench.device.base import Held
from bench.record import Ceiling, MeasureSettings
from bench.run import stopping
from bench.run.messages import CeilingMeasured, MeasureCeiling
from bench.run.outcome import brief

SETTINGS = MeasureSettings(min_samples=10, min_time=0.5, max_time=3.0)
#: TF32 is float32 in memory and has 10 bits of mantissa in the product. torch's convolutions use it by default.
_TORCH_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "tf32": torch.float32}
_TF32_CAPABILITY = (8, 0)
#: A processor without instructions for a precision takes a hundred times as long. Such a ceiling is useless.
_SLOW_CALL_S = 3.0
#: The largest edge of the matrices and the largest source of a copy, by kind of device.
_MOST_EDGE, _MOST_COPY_BYTES = {"cuda": 8192, "cpu": 2048}, {"cuda": GIB, "cpu": 256 * MIB}
_TRIAL_EDGE = 512
_LEAST_EDGE = 64
_LEAST_COPY_BYTES = MIB


def measure(request: MeasureCeiling, held: Held) -> CeilingMeasured:
    """Measure one ceiling on this process's device. A failure becomes an answer with its reason."""
    try:
        with torch.inference_mode():
            return _copy(held) if request.what == "copy" else _matmul(request.dtype, held)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        return CeilingMeasured(reason=brief(error))
    finally:
        held.meter.empty()


def _matmul(name: str, held: Held) -> CeilingMeasured:
    dtype, capability = _TORCH_DTYPES[name], held.compute_capability
    if name == "tf32" and (capability is None or capability < _TF32_CAPABILITY):
        return CeilingMeasured(reason="TF32 needs an NVIDIA GPU of compute capability 8.0 or more")
    with _tf32(name == "tf32"):
        most = _MOST_EDGE[held.torch_device.type]
        edge = fitting(most, lambda n: 3 * n * n * dtype.itemsize, _free(held), _LEAST_EDGE)
        slow = _too_slow(dtype, held, edge)
        if slow is not None:
            return CeilingMeasured(reason=slow)
        seconds = _time(_product(edge, dtype, held.torch_device), held)
        note = _precision_note(name, held)
    median = stats.median(seconds)
    ceiling = Ceiling(
        what="matmul", dtype=name, size=edge, median_s=median, samples_s=seconds, per_second=2 * edge**3 / median
    )
    return CeilingMeasured(ceiling=ceiling, note=note)


def _copy(held: Held) -> CeilingMeasured:
    size = fitting(_MOST_COPY_BYTES[held.torch_device.type], lambda count: 2 * count, _free(held), _LEAST_COPY_BYTES)
    source = torch.randn(size // torch.float32.itemsize, device=held.torch_device)
    target = torch.empty_like(source)
    seconds = _time(lambda: target.copy_(source), held)
    median = stats.median(seconds)
    ceiling = Ceiling(
        what="copy", dtype="float32", size=size, median_s=median, samples_s=seconds, per_second=2 * size / median
    )
    return CeilingMeasured(ceiling=ceiling)


def fitting(size: int, needs: Callable[[int], int], free_bytes: int, least: int) -> int:
    """Return `size`, halved until it needs at most a third of the free memory, but not below `least`."""
    while size > least and needs(size) > free_bytes / 3:
        size //= 2
    return size


def _product(edge: int, dtype: torch.dtype, device: torch.device) -> Callable[[], object]:
    left, right = (torch.randn(edge, edge, device=device).to(dtype) for _ in range(2))
    result = torch.empty(edge, edge, dtype=dtype, device=device)
    return lambda: torch.mm(left, right, out=result)


def _time(call: Callable[[], object], held: Held) -> tuple[float, ...]:
    """Return the seconds of each call, after one that does not count (cuBLAS chooses its kernel, pages are touched)."""
    held.clock.time(call)
    return stopping.sample(lambda: held.clock.time(call), SETTINGS).seconds


def _too_slow(dtype: torch.dtype, held: Held, edge: int) -> str | None:
    """Return why this half precision is too slow on the CPU, judged by a smaller product; None if it is not."""
    if held.device.kind != "cpu" or dtype == torch.float32 or edge <= _TRIAL_EDGE:
        return None
    call = _product(_TRIAL_EDGE, dtype, held.torch_device)
    held.clock.time(call)
    expected = min(held.clock.time(call) for _ in range(5)) * (edge / _TRIAL_EDGE) ** 3
    if expected <= _SLOW_CALL_S:
        return None
    return f"this processor would need about {format_seconds(expected)} for one product of edge {edge}"


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Allow TF32 in matrix products until the end of the block if `allowed`; else keep torch's setting."""
    before = torch.get_float32_matmul_precision()
    if allowed:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if allowed:
            torch.set_float32_matmul_precision(before)


def _precision_note(name: str, held: Held) -> str | None:
    if name != "float32" or held.device.kind != "cuda":
        return None
    setting = torch.get_float32_matmul_precision()
    return f"torch's float32 matmul precision is {setting!r}: " + ("no TF32" if setting == "highest" else "TF32")


def _free(held: Held) -> int:
    return held.state().free_bytes or 0
