"""The times at which timed calls ran, for matching them with readings of the device. Imports nothing of the project."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """When one timed call ran, in seconds of `time.monotonic`."""

    begin_s: float
    end_s: float


def windowed(
    time_once: Callable[[], float], windows: list[Window], now: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """`time_once`, which also appends a Window to `windows` for each call."""

    def timed() -> float:
        begin_s = now()
        seconds = time_once()
        windows.append(Window(begin_s, now()))
        return seconds

    return timed
