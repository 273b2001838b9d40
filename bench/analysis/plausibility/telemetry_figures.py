"""Readings of the GPU during the calls against its settings, against each other and against the samples."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.plausibility.finding import Finding, Subject
from bench.core.units import format_count, format_seconds
from bench.record import GpuSettings, Spread, Telemetry

_NVML = "NVML"
#: How far a clock may be above what NVML calls the highest: beyond the first it is doubtful, because an offset that
#: NVML's limit leaves out can raise clocks, and beyond the second refused (assumed).
_ABOVE_CLOCK, _FAR_ABOVE_CLOCK = 1.03, 1.3
#: The same of power: readings are averages with peaks of their own, and a laptop's limit moves with its load (assumed).
_ABOVE_POWER, _FAR_ABOVE_POWER = 1.5, 3.0
#: A GPU slows down far below the first, and is off at the second (degrees Celsius, assumed).
_HOTTEST = 125.0
#: The least share of the counted time that timed calls fill, below which no energy is recorded (device/cuda/telemetry).
_LEAST_COVERAGE, _HALF_COVERAGE = 0.8, 0.5
#: The coverage is that of windows on the host, which launches and waits besides (assumed: at most 1 ms a call).
_HOST_S = 1e-3
#: How far the mean power by energy may be outside the readings of power (assumed: the counter is another sensor).
_POWER_DOUBT, _POWER_REFUSE = 1.5, 4.0
#: The sampler reads every 50 ms or less often.
_PERIOD_S = 0.045


def check(subject: Subject) -> Iterator[Finding]:
    """Telemetry of a GPU. Records of other devices have none."""
    record = subject.record
    telemetry = record.telemetry
    if telemetry is None or record.device.kind != "cuda":
        return
    yield from _spreads(subject, telemetry)
    settings = record.environment.gpu if record.environment else None
    if settings is not None:
        yield from _limits(subject, telemetry, settings)
    timing = record.timing
    if timing is None or not timing.samples_s or record.interleaved_with:
        return
    busy_s, calls = sum(timing.samples_s), len(timing.samples_s)
    yield from _energy(subject, telemetry, busy_s, calls)
    most = None if record.wall_s is None else record.wall_s / _PERIOD_S + 2
    if most is not None and telemetry.readings > most:
        figure = f"telemetry has {telemetry.readings} readings"
        yield subject.refuse("readings", figure, f"{most:.0f} fit in {record.wall_s} s", "one reading every 50 ms")


def _spreads(subject: Subject, telemetry: Telemetry) -> Iterator[Finding]:
    for name in ("sm_clock_hz", "memory_clock_hz", "temperature_c", "power_w"):
        spread: Spread | None = getattr(telemetry, name)
        if spread is None:
            continue
        if not 0 <= spread.low <= spread.median <= spread.high:
            figure = f"telemetry.{name} is {spread.low:g}, {spread.median:g}, {spread.high:g}"
            yield subject.refuse("telemetry", figure, "low, median and high are in order", "the record")
        if name == "temperature_c" and spread.high > _HOTTEST:
            figure = f"telemetry.temperature_c reached {spread.high:g}"
            yield subject.refuse("telemetry", figure, f"no GPU works above {_HOTTEST:g}", "assumed")


def _limits(subject: Subject, telemetry: Telemetry, settings: GpuSettings) -> Iterator[Finding]:
    bounds = (
        ("sm_clock_hz", "sm_clock_max_hz", _ABOVE_CLOCK, _FAR_ABOVE_CLOCK),
        ("memory_clock_hz", "memory_clock_max_hz", _ABOVE_CLOCK, _FAR_ABOVE_CLOCK),
        ("power_w", "power_limit_w", _ABOVE_POWER, _FAR_ABOVE_POWER),
    )
    for name, limit, doubtful, refused in bounds:
        spread: Spread | None = getattr(telemetry, name)
        most: float | None = getattr(settings, limit)
        value = None if spread is None else spread.median if name == "power_w" else spread.high
        if value is not None and most is not None and value > doubtful * most:
            make = subject.refuse if value > refused * most else subject.doubt
            yield make("telemetry", f"telemetry.{name} is {value:g}", f"{limit} is {most:g}", _NVML)


def _energy(subject: Subject, telemetry: Telemetry, busy_s: float, calls: int) -> Iterator[Finding]:
    joules, window_s = telemetry.energy_per_call_j, telemetry.energy_window_s
    if joules is None or not window_s:
        return
    wall_s = subject.record.wall_s
    if wall_s is not None and window_s > wall_s:
        figure = f"energy_window_s is {format_seconds(window_s)}"
        yield subject.refuse("energy", figure, f"the whole case took {format_seconds(wall_s)}", "wall_s")
    filled = (busy_s + _HOST_S * calls) / window_s
    if filled < _LEAST_COVERAGE or busy_s > window_s * 1.02:
        figure = f"{format_count(calls, 'sample')} took {format_seconds(busy_s)}"
        bound = f"energy was counted over {format_seconds(window_s)}, at least 80% of which are samples"
        make = subject.doubt if _HALF_COVERAGE < filled <= _LEAST_COVERAGE else subject.refuse
        yield make("energy", figure, bound, "energy_window_s")
    power, spread = joules * calls / window_s, telemetry.power_w
    if spread is None or not spread.high:
        return
    beyond = max(power / spread.high, spread.low / power if power else float("inf"))
    if beyond > _POWER_DOUBT:
        figure = f"energy over time is {power:.3g} W"
        bound = f"power_w was {spread.low:.3g} to {spread.high:.3g}"
        make = subject.refuse if beyond > _POWER_REFUSE else subject.doubt
        yield make("energy", figure, bound, "telemetry")
