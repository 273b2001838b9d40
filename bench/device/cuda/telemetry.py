"""What readings of the GPU say of the timed calls: spreads, throttled samples, energy of a call, warnings. Pure.

Imports no torch and asks no driver. All times are seconds of `time.monotonic`.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.core import stats
from bench.core.units import format_seconds
from bench.device.cuda.nvml import SLOWED, Conditions, reason_names
from bench.device.windows import Window
from bench.record import EnergySource, GpuSettings, Spread, Telemetry

#: Share of the default SM clock under which a sample is marked as throttled: nvbench's bound (its option
#: --throttle-threshold). nvbench discards such samples, on some cards all of them (its issue 231); here they are kept.
THROTTLE_BOUND = 0.75
#: The shortest time over which the driver's energy counter is believed. It is refreshed every 20 to 100 ms, so that
#: at either end as much may be missing: a tenth of this at most, as a rule.
COUNTER_WINDOW_S = 1.0
#: The shortest time over which power is integrated. Sensors are refreshed every 10 to 100 ms, and those of data centre
#: cards look at a quarter of the time only (Yang et al. 2023, arXiv 2312.02741): under some ten readings, chance rules.
INTEGRATION_WINDOW_S = 0.5
#: Clocks that somebody has set, or that another card or a screen sets: they can be given back to the driver.
_SET_CLOCKS = frozenset(reason_names(0x002 | 0x010 | 0x100))
_LEAST_READINGS = 3
_MOST = 0.8  # of the window must lie between the first and the last reading, and the calls must be that much of it


@dataclass(frozen=True, slots=True)
class Reading:
    """The GPU at one moment."""

    at_s: float
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Counter:
    """The device's energy counter in joules, read before the first and after the last timed call."""

    begin_s: float
    begin_j: float | None
    end_s: float
    end_j: float | None


@dataclass(frozen=True, slots=True)
class _Energy:
    per_call_j: float
    source: EnergySource
    window_s: float


@dataclass(frozen=True, slots=True)
class UsualClock:
    """The SM clock that a loaded GPU should come near.

    `is_highest`: it is the highest that can be set, which many cards never reach under load; then a low clock is a sign
    of throttling only where NVML gives no reasons.
    """

    hertz: float | None = None
    is_highest: bool = False

    def is_slowed(self, conditions: Conditions) -> bool:
        """Whether a GPU in these conditions was slowed: by the driver's reasons first, then by its clock."""
        if (conditions.reasons or 0) & SLOWED:
            return True
        if conditions.sm_clock_hz is None or self.hertz is None:
            return False
        if self.is_highest and conditions.reasons is not None:
            return False
        return conditions.sm_clock_hz < THROTTLE_BOUND * self.hertz


def summarise(
    readings: Sequence[Reading],
    windows: Sequence[Window],
    *,
    usual_clock: UsualClock,
    period_s: float,
    counter: Counter | None = None,
    reason: str | None = None,
    alone: bool = True,
) -> Telemetry:
    """The telemetry of a case from readings in the order of time, `period_s` apart, and a window for each sample.

    Spreads and reasons are those of the readings from the first call's begin to the last one's end; where the calls
    were over between two readings, those of the nearest reading within a period. `gpu idle` is told like any other:
    within timed calls it means that the device waits for the host. `reason` is why there are no readings, if known.
    Where the calls are not `alone`, but take turns with another case's, only readings in or beside its own calls count.
    """
    telling = [reading for reading in readings if reading.conditions != Conditions()]
    during = _during(telling, windows, period_s) if alone else _in_own_calls(telling, windows, period_s)
    mask = 0
    for reading in during:
        mask |= reading.conditions.reasons or 0
    energy = _energy(during, windows, counter)
    return Telemetry(
        readings=len(during),
        reason=None if during else reason or _why_none(readings, telling, windows),
        sm_clock_hz=_spread(reading.conditions.sm_clock_hz for reading in during),
        memory_clock_hz=_spread(reading.conditions.memory_clock_hz for reading in during),
        temperature_c=_spread(reading.conditions.temperature_c for reading in during),
        power_w=_spread(reading.conditions.power_w for reading in during),
        throttle_reasons=reason_names(mask),
        throttled_samples=_throttled(telling, windows, usual_clock.is_slowed, period_s),
        energy_per_call_j=None if isinstance(energy, str) else energy.per_call_j,
        energy_source=None if isinstance(energy, str) else energy.source,
        energy_window_s=None if isinstance(energy, str) else energy.window_s,
        energy_reason=energy if isinstance(energy, str) else None,
    )


def warnings(telemetry: Telemetry, samples_count: int, settings: GpuSettings | None = None) -> tuple[str, ...]:
    """What a reader of a case's time should know of the GPU, and what to do with a card that is set up so."""
    settings = settings or GpuSettings()
    marked = len(telemetry.throttled_samples)
    if not marked:
        return ()
    slowed = [name for name in telemetry.throttle_reasons if name in reason_names(SLOWED)]
    details = [", ".join(slowed or telemetry.throttle_reasons)]
    if telemetry.sm_clock_hz is not None:
        usual_hz = settings.sm_clock_default_hz
        of = "" if usual_hz is None else f" of {_gigahertz(usual_hz)}"
        details.append(f"SM clock down to {_gigahertz(telemetry.sm_clock_hz.low)}{of}")
    return (
        f"{marked} of {samples_count} samples {'was' if marked == 1 else 'were'} taken while the GPU was slowed "
        f"({'; '.join(filter(None, details))}): {_remedy(telemetry.throttle_reasons, settings)}",
    )


def _remedy(reasons: Sequence[str], settings: GpuSettings) -> str:
    """What to do about a GPU that was slowed for these reasons; only what a card with these settings allows."""
    if set(reasons) & set(reason_names(SLOWED)):
        return "let it cool, look at power and airflow, and measure again with --fresh"
    if "software power cap" in reasons:
        return _power_remedy(settings)
    if set(reasons) & _SET_CLOCKS:
        undo = " and ".join(f"`{command}`" for command in settings.clock_resets)
        undone = f" {undo} gives them back to the driver;" if undo else ""
        return (
            f"its clocks are set low. `nvidia-smi -q -d CLOCK,PERFORMANCE` shows how;{undone} then measure again with "
            "--fresh"
        )
    return (
        "the driver gives no cause. It may not have been awake yet, or its usual clock may be far under the highest: "
        "watch `nvidia-smi dmon -s pc` while it works"
    )


def _power_remedy(settings: GpuSettings) -> str:
    shipped = settings.raisable_power_w
    if shipped is not None:
        return (
            f"its power limit is below the {shipped:.0f} W that it was shipped with. Raise it "
            f"(`sudo nvidia-smi -pl {shipped:.0f}`) and measure again with --fresh"
        )
    if settings.is_power_lowered is False:
        return "its power limit holds the clocks down, and is as high as shipped: compare only with cards like it"
    return (
        "its power limit holds the clocks down, and can't be raised on this card. A laptop is faster when it is "
        "plugged in and its power mode is set to performance"
    )


def _why_none(readings: Sequence[Reading], telling: Sequence[Reading], windows: Sequence[Window]) -> str:
    if not windows:
        return "there were no timed calls"
    if readings and not telling:
        return "NVML tells neither clocks nor temperature nor power of this device"
    return "no reading was taken during the timed calls"


def _during(readings: Sequence[Reading], windows: Sequence[Window], period_s: float) -> Sequence[Reading]:
    """The readings from the first window's begin to the last one's end, or the nearest one."""
    if not windows:
        return ()
    return _near(readings, [reading.at_s for reading in readings], _whole(windows), period_s)


def _in_own_calls(readings: Sequence[Reading], windows: Sequence[Window], period_s: float) -> Sequence[Reading]:
    """The readings in each window or nearest to it, each once, in their order."""
    times = [reading.at_s for reading in readings]
    found = {reading.at_s: reading for window in windows for reading in _near(readings, times, window, period_s)}
    return [found[at_s] for at_s in sorted(found)]


def _whole(windows: Sequence[Window]) -> Window:
    return Window(windows[0].begin_s, windows[-1].end_s)


def _near(readings: Sequence[Reading], times: list[float], window: Window, period_s: float) -> Sequence[Reading]:
    """The readings inside the window; where there are none, the nearest, if it is within a period."""
    first, last = bisect.bisect_left(times, window.begin_s), bisect.bisect_right(times, window.end_s)
    if first < last:
        return readings[first:last]
    beside = [(window.begin_s - reading.at_s, reading) for reading in readings[max(0, first - 1) : first]]
    beside += [(reading.at_s - window.end_s, reading) for reading in readings[last : last + 1]]
    close = [(distance, reading) for distance, reading in beside if distance <= period_s]
    return [min(close, key=lambda pair: pair[0])[1]] if close else []


def _throttled(
    readings: Sequence[Reading], windows: Sequence[Window], is_slowed: Callable[[Conditions], bool], period_s: float
) -> tuple[int, ...]:
    """Places of the windows with a reading in or beside them that shows a slowed GPU."""
    times = [reading.at_s for reading in readings]
    return tuple(
        place
        for place, window in enumerate(windows)
        if any(is_slowed(reading.conditions) for reading in _near(readings, times, window, period_s))
    )


def _energy(during: Sequence[Reading], windows: Sequence[Window], counter: Counter | None) -> _Energy | str:
    """Joules of one call, by the counter or by power; or why there are none.

    It is the whole board's energy over the number of calls, idle power and the gaps between calls included.
    """
    if not windows:
        return "there were no timed calls"
    busy_s = math.fsum(window.end_s - window.begin_s for window in windows)
    counted = _by_counter(counter, busy_s, len(windows))
    if isinstance(counted, _Energy):
        return counted
    integrated = _by_integration(during, _whole(windows), busy_s, len(windows))
    if isinstance(integrated, _Energy):
        return integrated
    return counted if counted == integrated else f"energy counter: {counted}; integrated power: {integrated}"


def _by_counter(counter: Counter | None, busy_s: float, calls: int) -> _Energy | str:
    if counter is None or counter.begin_j is None or counter.end_j is None:
        return "NVML has none for this device"
    window_s = counter.end_s - counter.begin_s
    unfit = _unfit(window_s, COUNTER_WINDOW_S, busy_s)
    if unfit is not None:
        return unfit
    if counter.end_j <= counter.begin_j:
        return "it did not move"
    return _Energy((counter.end_j - counter.begin_j) / calls, "total energy counter", window_s)


def _by_integration(readings: Sequence[Reading], whole: Window, busy_s: float, calls: int) -> _Energy | str:
    """Mean power by the trapezium rule between the first and the last reading, over the whole of the calls."""
    window_s = whole.end_s - whole.begin_s
    unfit = _unfit(window_s, INTEGRATION_WINDOW_S, busy_s)
    if unfit is not None:
        return unfit
    powers = [(r.at_s, r.conditions.power_w) for r in readings if r.conditions.power_w is not None]
    if len(powers) < _LEAST_READINGS:
        return f"{len(powers)} readings of power, and {_LEAST_READINGS} are needed"
    spanned_s = powers[-1][0] - powers[0][0]
    if spanned_s < _MOST * window_s:
        return f"the readings of power span {spanned_s / window_s:.0%} of the timed calls, and {_MOST:.0%} are needed"
    joules = math.fsum(
        (later - earlier) * (watts + before) / 2 for (earlier, before), (later, watts) in itertools.pairwise(powers)
    )
    return _Energy(joules / spanned_s * window_s / calls, "integrated power", window_s)


def _unfit(window_s: float, least_s: float, busy_s: float) -> str | None:
    """Why no energy can be told over this window, or None."""
    if window_s < least_s:
        took, needed = format_seconds(window_s), format_seconds(least_s)
        return f"the timed calls took {took}, and {needed} are needed (raise min_time)"
    if busy_s < _MOST * window_s:
        return f"the timed calls were {busy_s / window_s:.0%} of the time: the rest is not theirs"
    return None


def _spread(values: Iterable[float | None]) -> Spread | None:
    told = [value for value in values if value is not None]
    return Spread(low=min(told), median=stats.median(told), high=max(told)) if told else None


def _gigahertz(hertz: float) -> str:
    return f"{hertz / 1e9:.3g} GHz"
