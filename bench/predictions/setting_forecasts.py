"""The settings of an image on a device, with what is predicted of each: the start of `bench best`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path

from bench.analysis.advise import precision, times
from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import Peak
from bench.analysis.best import settings
from bench.analysis.best.search import Search
from bench.analysis.best.settings import Forecast, Setting
from bench.analysis.speed import shipped
from bench.core.units import format_bytes
from bench.errors import BenchError
from bench.predictions import target_cards, time_model
from bench.predictions.target_cards import TargetCard
from bench.record import Case, Device, Environment
from bench.workloads import models

#: The precisions to try besides the model's own.
_DTYPES = ("float32", "float16", "bfloat16")
_SLOW_ON_A_CPU = "few CPUs convolve in it, so that torch computes it slowly (--dtype float16 measures it)"
#: The least that a case may take, as a share of the live tensors that are predicted for the eager one: compiled kernels
#: keep fewer of them, and a CPU's other layouts differ. The most before it counts as sure to fit on a CPU. Assumed, and
#: wide on purpose: what lies between is tried.
_LEAST, _MOST = 0.6, 2.0
#: Variants whose memory is predicted as that of the case without them.
_NOT_PREDICTED = ("channels-last", "compiled")


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The settings with their forecasts.

    Attributes:
        has_times: whether their seconds are predicted times; else only the ratios between them mean anything.
        left_out: precisions that the device can't use, each with the reason.
    """

    search: Search
    has_times: bool
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Memory:
    """A forecast of memory: whether it fits, its peak and the reason."""

    forecast: Forecast
    peak_bytes: int | None = None
    reason: str = ""


def of(
    image: Case,
    device: Device,
    environment: Environment | None,
    limit_bytes: int | None,
    results: Path,
    *,
    fixed: bool = False,
) -> Forecasts:
    """The forecasts for an image, given as its untiled case, on a device with a limit.

    If the precision is `fixed`, there is no other. `results` is the folder where `bench calibrate` may have written
    workspaces. Raises ConfigError if a size is none of the model's.
    """
    card = target_cards.of_device(device, environment, limit_bytes, results)
    own = models.get(image.model).dtype
    reasons = {name: _why_not(name, device, card.place) for name in (own, *_DTYPES)}
    left_out = {name: reason for name, reason in reasons.items() if reason and (name != own or device.kind == "cuda")}
    names = [name for name in (own, *_DTYPES) if name not in left_out] if not fixed else [image.dtype]
    cases = settings.of(image, names)
    memory = cache(lambda case: _on_cpu(case, card) if device.kind == "cpu" else _on_cuda(case, card))
    seconds = _seconds(cases, card) if device.kind == "cuda" else None
    room_bytes = card.place.capacities[0], card.place.capacities[2]
    if device.kind == "cpu":  # whose limit is of the process's data alone
        room_bytes = card.place.limit_or_total_bytes, card.place.limit_or_total_bytes
    listed = []
    for case in cases:
        forecast = memory(case) if case == _eager(case) else _loosened(memory(_eager(case)), room_bytes)
        listed.append(
            Setting(
                case=case,
                seconds=_work(case) if seconds is None else seconds[_eager(case)],
                forecast=forecast.forecast,
                peak_bytes=forecast.peak_bytes,
                reason=forecast.reason,
            )
        )
    search = Search(image, tuple(listed), tries_combinations=device.kind == "cuda")
    return Forecasts(search, seconds is not None, () if fixed else tuple(left_out.items()))


def _why_not(dtype: str, device: Device, place: Place) -> str:
    """Why a precision is not tried on a device; empty if it is."""
    if device.kind == "cpu":
        return _SLOW_ON_A_CPU if dtype == "float16" else ""
    return precision.why_unusable(dtype, place)


def _eager(case: Case) -> Case:
    """The case whose memory and time are predicted in its place: without other layouts and other kernels."""
    parts = [part for part in case.variant.split("+") if part not in _NOT_PREDICTED]
    return case.model_copy(update={"variant": "+".join(parts) or "default"})


def _on_cuda(case: Case, card: TargetCard) -> _Memory:
    from bench.vram import verdict

    try:
        prediction, *_ = verdict.predict(case, card.backend(case), card.memory(), card.place.allocator)
    except BenchError as error:
        return _Memory("uncertain", None, f"its memory can't be predicted: {error}")
    peak_bytes = prediction.needed_allocated_bytes
    if prediction.verdict == "fits" and prediction.confidence == "high":
        return _Memory("fits", peak_bytes)
    is_out = prediction.verdict == "out_of_memory" and prediction.confidence == "high"
    return _Memory("out_of_memory" if is_out else "uncertain", peak_bytes, prediction.reason)


def _on_cpu(case: Case, card: TargetCard) -> _Memory:
    """By the tensors that are alive at once, which are nearly the same everywhere; workspaces here are others."""
    from bench.vram import verdict

    try:
        live_bytes = verdict.demand(case, card.backend(case)).live_bytes
    except BenchError as error:
        return _Memory("uncertain", None, f"its memory can't be predicted: {error}")
    available_bytes = card.place.limit_or_total_bytes
    if _LEAST * live_bytes > available_bytes:
        return _Memory("out_of_memory", live_bytes, f"its tensors alone take {format_bytes(live_bytes)}")
    if _MOST * live_bytes <= available_bytes:
        return _Memory("fits", live_bytes)
    return _Memory("uncertain", live_bytes, f"its tensors alone take {format_bytes(live_bytes)}")


def _loosened(memory: _Memory, room_bytes: tuple[int, int]) -> _Memory:
    """The forecast of a case whose layouts and kernels are not those that were predicted.

    `room_bytes` are the least and the most that there is room for.
    """
    if memory.peak_bytes is None or memory.forecast == "uncertain":
        return memory
    if memory.forecast == "out_of_memory":
        is_sure = _LEAST * memory.peak_bytes > room_bytes[1]
        return memory if is_sure else replace(memory, forecast="uncertain")
    if _MOST * memory.peak_bytes <= room_bytes[0]:
        return memory
    return _Memory("uncertain", memory.peak_bytes, "its layouts or kernels are not those that are predicted")


def _seconds(cases: Sequence[Case], card: TargetCard) -> dict[Case, float] | None:
    """The predicted time of each case without other layouts and kernels; None unless all of them are known."""
    if card.place.gpu is None or not card.place.gpu.has_rates:
        return None
    ample = Peak("predicted", "fits", "high", None, None, "")
    seconds: dict[Case, float] = {}
    for case in dict.fromkeys(map(_eager, cases)):
        kernels = time_model.kernels_of(case)
        time = times.of(case, card.place, (), ample, shipped.load().clock, kernels)
        if time is None:
            return None
        seconds[case] = time.least_s
    return seconds


def _work(case: Case) -> float:
    """The values that go into all passes of a call: its time grows with them, attention aside."""
    return float(sum(prod(shape) for shape in models.workload(case.model).passes(case))) or 1.0
