"""The timing loop: when one case has been called often enough. Free of torch; the clock is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.record import MeasureSettings


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw seconds of each call in the order in which they were made, and what ended the sampling."""

    seconds: tuple[float, ...]
    stopped_by: Literal["enough_samples", "max_time"]


def sample(time_once: Callable[[], float], settings: MeasureSettings) -> Samples:
    """Call until there are `min_samples` that add up to `min_time`, or `few_samples` that add up to `max_time`."""
    seconds: list[float] = []
    spent = 0.0
    while True:
        seconds.append(time_once())
        spent += seconds[-1]
        if len(seconds) >= settings.min_samples and spent >= min(settings.min_time, settings.max_time):
            return Samples(tuple(seconds), "enough_samples")
        if len(seconds) >= settings.few_samples and spent >= settings.max_time:
            return Samples(tuple(seconds), "max_time")
