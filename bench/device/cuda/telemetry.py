"""Telemetry of the timed calls from readings of the GPU: spreads, throttled samples, energy per call, warnings.

All times are seconds of `time.monotonic`.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.core import stats
from bench.core.clock_reasons import SLOWED, reason_names
from bench.core.units import format_seconds
from bench.device.base import Window
from bench.device.cuda.nvml import Conditions
from bench.record import EnergySource, GpuSettings, Spread, Telemetry

#: Share of the usual SM clock below which a sample counts as throttled: nvbench's default (option
#: --throttle-threshold). nvbench discards such samples, on some cards all (its issue 231); here they are marked.
THROTTLE_BOUND = 0.75
#: Shortest time for which the driver's energy counter is used. It updates every 20 to 100 ms, so up to a tenth of this
#: may be missing at either end.
COUNTER_WINDOW_S = 1.0
#: Shortest time over which power is integrated. Sensors update every 10 to 100 ms, and those of data centre cards
#: average over a quarter of the time only (Yang et al. 2023, arXiv 2312.02741): fewer than ten readings are random.
INTEGRATION_WINDOW_S = 0.5
#: Reasons for clocks that were set by a user, another card or a screen, and that can be reset.
_SET_CLOCKS = frozenset(reason_names(0x002 | 0x010 | 0x100))
_LEAST_READINGS = 3
#: Share of the calls' time that readings of power must span, and that the calls must fill.
_LEAST_COVERAGE = 0.8


@dataclass(frozen=True, slots=True)
class Reading:
    """The GPU at one moment."""

    at_s: float
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Counter:
    """The energy counter in joules, read before the first and after the last timed call."""

    begin_s: float
    begin_j: float | None
    end_s: float
    end_j: float | None


_Reason = str
#: Joules per call, their source, and the seconds for which they were counted; or why they are not known.
_Energy = tuple[float, EnergySource, float] | _Reason


@dataclass(frozen=True, slots=True)
class UsualClock:
    """The SM clock that a GPU normally reaches under load; `is_highest`: the highest clock that can be set instead."""

    hertz: float | None = None
    is_highest: bool = False

    def is_slowed(self, conditions: Conditions) -> bool:
        """Whether the GPU was throttled in these conditions: by the driver's reasons first, then by its clock."""
        if (conditions.reasons or 0) & SLOWED:
            return True
        if conditions.sm_clock_hz is None or self.hertz is None:
            return False
        if self.is_highest and conditions.reasons is not None:
            return False  # many cards never reach their highest clock under load: NVML's reasons decide
        return conditions.sm_clock_hz < THROTTLE_BOUND * self.hertz


def summarise(
    readings: Sequence[Reading],
    windows: Sequence[Window],
    *,
    usual_clock: UsualClock,
    period_s: float,
    counter: Counter | None = None,
    reason: str | None = None,
    interleaved: bool = False,
) -> Telemetry:
    """The telemetry of a case from time-ordered readings, `period_s` apart, and a window for each sample.

    Spreads and reasons come from the readings between the begin of the first call and the end of the last; if there are
    none, from the nearest reading within a period. `gpu idle` is a reason like any other: during timed calls it means
    that the device waits for the host. `reason` says why there are no readings, if known. If the calls took turns with
    another case's (`interleaved`), only readings in or next to the case's own calls count.
    """
    informative = [reading for reading in readings if reading.conditions != Conditions()]
    during = _within(informative, windows if interleaved or not windows else [_whole(windows)], period_s)
    reasons = functools.reduce(operator.or_, (reading.conditions.reasons or 0 for reading in during), 0)
    energy = _energy(during, windows, counter)
    per_call_j, source, window_s = (None, None, None) if isinstance(energy, str) else energy
    return Telemetry(
        readings=len(during),
        reason=None if during else reason or _why_no_readings(readings, informative, windows),
        sm_clock_hz=_spread(reading.conditions.sm_clock_hz for reading in during),
        memory_clock_hz=_spread(reading.conditions.memory_clock_hz for reading in during),
        temperature_c=_spread(reading.conditions.temperature_c for reading in during),
        power_w=_spread(reading.conditions.power_w for reading in during),
        throttle_reasons=reason_names(reasons),
        throttled_samples=_throttled(informative, windows, usual_clock.is_slowed, period_s),
        energy_per_call_j=per_call_j,
        energy_source=source,
        energy_window_s=window_s,
        energy_reason=energy if isinstance(energy, str) else None,
    )


def warnings(telemetry: Telemetry, samples_count: int, settings: GpuSettings | None = None) -> tuple[str, ...]:
    """Warnings about the GPU that concern a case's times, with remedies that the card's settings allow."""
    settings = settings or GpuSettings()
    throttled = len(telemetry.throttled_samples)
    if not throttled:
        return ()
    slowdowns = [name for name in telemetry.throttle_reasons if name in reason_names(SLOWED)]
    details = [", ".join(slowdowns or telemetry.throttle_reasons)]
    if telemetry.sm_clock_hz is not None:
        usual_hz = settings.sm_clock_default_hz
        usual = "" if usual_hz is None else f" of {_gigahertz(usual_hz)}"
        details.append(f"SM clock down to {_gigahertz(telemetry.sm_clock_hz.low)}{usual}")
    return (
        f"{throttled} of {samples_count} samples {'was' if throttled == 1 else 'were'} taken while the GPU was "
        f"throttled ({'; '.join(filter(None, details))}): {_remedy(telemetry.throttle_reasons, settings)}",
    )


def _remedy(reasons: Sequence[str], settings: GpuSettings) -> str:
    """What to do about a GPU that was throttled for these reasons, as far as its settings allow."""
    if set(reasons) & set(reason_names(SLOWED)):
        return "let it cool, check power and airflow, and measure again with --fresh"
    if "software power cap" in reasons:
        return _power_remedy(settings)
    if set(reasons) & _SET_CLOCKS:
        undo = " and ".join(f"`{command}`" for command in settings.clock_resets)
        reset = f", reset them with {undo}" if undo else ""
        return (
            f"its clocks are set low. Look at `nvidia-smi -q -d CLOCK,PERFORMANCE`{reset}, and measure again with "
            "--fresh"
        )
    return (
        "the driver gives no cause. The GPU may still have been waking up, or its usual clock is far below the "
        "highest: watch `nvidia-smi dmon -s pc` under load"
    )


def _power_remedy(settings: GpuSettings) -> str:
    shipped = settings.raisable_power_w
    if shipped is not None:
        return (
            f"its power limit is below the default of {shipped:.0f} W. Raise it (`sudo nvidia-smi -pl {shipped:.0f}`) "
            "and measure again with --fresh"
        )
    if settings.is_power_lowered is False:
        return "its power limit reduces the clocks, and is as high as shipped: compare only with equal cards"
    return (
        "its power limit reduces the clocks, and can't be raised on this card. A laptop is faster when it is plugged "
        "in and its power mode is set to performance"
    )


def _why_no_readings(readings: Sequence[Reading], informative: Sequence[Reading], windows: Sequence[Window]) -> str:
    if not windows:
        return "there were no timed calls"
    if readings and not informative:
        return "NVML reports neither clocks nor temperature nor power of this device"
    return "no reading was taken during the timed calls"


def _within(readings: Sequence[Reading], windows: Sequence[Window], period_s: float) -> Sequence[Reading]:
    """The readings in or nearest to each window, each once, in order of time."""
    times = [reading.at_s for reading in readings]
    by_time = {reading.at_s: reading for window in windows for reading in _near(readings, times, window, period_s)}
    return [by_time[at_s] for at_s in sorted(by_time)]


def _whole(windows: Sequence[Window]) -> Window:
    return Window(windows[0].begin_s, windows[-1].end_s)


def _near(readings: Sequence[Reading], times: list[float], window: Window, period_s: float) -> Sequence[Reading]:
    """The readings inside the window; if there are none, the nearest one within a period."""
    first, last = bisect.bisect_left(times, window.begin_s), bisect.bisect_right(times, window.end_s)
    if first < last:
        return readings[first:last]
    adjacent = [(window.begin_s - reading.at_s, reading) for reading in readings[max(0, first - 1) : first]]
    adjacent += [(reading.at_s - window.end_s, reading) for reading in readings[last : last + 1]]
    close = [(distance, reading) for distance, reading in adjacent if distance <= period_s]
    return [min(close, key=lambda pair: pair[0])[1]] if close else []


def _throttled(
    readings: Sequence[Reading], windows: Sequence[Window], is_slowed: Callable[[Conditions], bool], period_s: float
) -> tuple[int, ...]:
    """Indices of the windows with a reading in or next to them that shows a throttled GPU."""
    times = [reading.at_s for reading in readings]
    return tuple(
        index
        for index, window in enumerate(windows)
        if any(is_slowed(reading.conditions) for reading in _near(readings, times, window, period_s))
    )


def _energy(during: Sequence[Reading], windows: Sequence[Window], counter: Counter | None) -> _Energy:
    """Joules per call from the counter or from power, or why there are none.

    The whole board's energy divided by the number of calls, including idle power and the gaps between calls.
    """
    if not windows:
        return "there were no timed calls"
    busy_s = math.fsum(window.end_s - window.begin_s for window in windows)
    counted = _from_counter(counter, busy_s, len(windows))
    if not isinstance(counted, str):
        return counted
    integrated = _from_power(during, _whole(windows), busy_s, len(windows))
    if not isinstance(integrated, str):
        return integrated
    return counted if counted == integrated else f"energy counter: {counted}; integrated power: {integrated}"


def _from_counter(counter: Counter | None, busy_s: float, calls: int) -> _Energy:
    if counter is None or counter.begin_j is None or counter.end_j is None:
        return "NVML does not report it for this device"
    window_s = counter.end_s - counter.begin_s
    unfit = _why_unfit(window_s, COUNTER_WINDOW_S, busy_s)
    if unfit is not None:
        return unfit
    if counter.end_j <= counter.begin_j:
        return "it did not increase"
    return (counter.end_j - counter.begin_j) / calls, "total energy counter", window_s


def _from_power(readings: Sequence[Reading], whole: Window, busy_s: float, calls: int) -> _Energy:
    """Energy from the mean power between the first and last reading (trapezium rule) and the time of all calls."""
    window_s = whole.end_s - whole.begin_s
    unfit = _why_unfit(window_s, INTEGRATION_WINDOW_S, busy_s)
    if unfit is not None:
        return unfit
    powers = [(r.at_s, r.conditions.power_w) for r in readings if r.conditions.power_w is not None]
    if len(powers) < _LEAST_READINGS:
        return f"{len(powers)} readings of power, but {_LEAST_READINGS} are needed"
    spanned_s = powers[-1][0] - powers[0][0]
    if spanned_s < _LEAST_COVERAGE * window_s:
        span = f"{spanned_s / window_s:.0%}"
        return f"the readings of power span {span} of the timed calls, but {_LEAST_COVERAGE:.0%} are needed"
    joules = math.fsum(
        (later - earlier) * (watts + before) / 2 for (earlier, before), (later, watts) in itertools.pairwise(powers)
    )
    return joules / spanned_s * window_s / calls, "integrated power", window_s


def _why_unfit(window_s: float, least_s: float, busy_s: float) -> str | None:
    """Why energy can't be determined for this window; None if it can."""
    if window_s < least_s:
        took, needed = format_seconds(window_s), format_seconds(least_s)
        return f"the timed calls took {took}, but {needed} are needed (raise min_time)"
    if busy_s < _LEAST_COVERAGE * window_s:
        return f"the timed calls were only {busy_s / window_s:.0%} of the measured time"
    return None


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread(low=min(known), median=stats.median(known), high=max(known)) if known else None


def _gigahertz(hertz: float) -> str:
    return f"{hertz / 1e9:.3g} GHz"
