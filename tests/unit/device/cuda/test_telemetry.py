"""From readings and the windows of timed calls to a case's telemetry. Pure: every time and reading is made up."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.device.cuda.nvml import Conditions
from bench.device.cuda.telemetry import Counter, Reading, UsualClock, Window, summarise, warnings
from bench.record import GpuSettings, Spread, Telemetry

DEFAULT_HZ = 2.0e9
PERIOD_S = 0.05
THERMAL, POWER_CAP, IDLE = 0x40, 0x04, 0x01
USUAL = Conditions(sm_clock_hz=1.9e9, memory_clock_hz=2.6e9, temperature_c=60, power_w=400, reasons=0)


def reading(at_s: float, **fields: Any) -> Reading:
    """A GPU that runs as usual but for these fields."""
    return Reading(at_s, dataclasses.replace(USUAL, **fields))


def calls(count: int, length_s: float = 0.1, begin_s: float = 0.0) -> list[Window]:
    """That many calls, one right after the other."""
    return [Window(begin_s + n * length_s, begin_s + (n + 1) * length_s) for n in range(count)]


def counted(joules: float, window_s: float = 2.0) -> Counter:
    return Counter(0.0, 5000.0, window_s, 5000.0 + joules)


def told(readings: list[Reading], windows: list[Window], **given: Any) -> Telemetry:
    return summarise(readings, windows, **{"usual_clock": UsualClock(DEFAULT_HZ), "period_s": PERIOD_S} | given)


# Spreads and reasons


def test_spreads_are_of_the_readings_from_the_first_call_to_the_last() -> None:
    # given a reading before the calls, three during them, and one after
    temperatures = ((0.9, 40), (1.0, 60), (1.1, 61), (1.2, 66), (1.3, 90))
    readings = [reading(at_s, temperature_c=celsius) for at_s, celsius in temperatures]

    telemetry = told(readings, [Window(1.0, 1.1), Window(1.15, 1.2)])

    # then those outside count for nothing, and one between two calls for as much as any
    assert telemetry.readings == 3
    assert telemetry.reason is None
    assert telemetry.temperature_c == Spread(low=60, median=61, high=66)


def test_of_calls_that_take_turns_each_has_the_readings_during_its_own() -> None:
    # given a quiet case in turns with one that draws all the power there is
    mine, other = [Window(0.0, 0.1), Window(0.3, 0.4)], [Window(0.1, 0.2), Window(0.2, 0.3)]
    readings = [reading(0.05), *(reading(at_s, power_w=700, reasons=POWER_CAP) for at_s in (0.15, 0.25)), reading(0.35)]

    quiet, loud = (told(readings, windows, interleaved=True, period_s=0.01) for windows in (mine, other))

    # then neither has the other's
    assert (quiet.readings, quiet.power_w, quiet.throttle_reasons) == (2, Spread(low=400, median=400, high=400), ())
    assert (loud.readings, loud.power_w.low, loud.throttle_reasons) == (2, 700, ("software power cap",))


def test_each_quantity_has_its_own_spread_and_none_where_nothing_is_told() -> None:
    readings = [reading(0.1, power_w=None, memory_clock_hz=None), reading(0.2, power_w=300.0, memory_clock_hz=None)]

    telemetry = told(readings, calls(3))

    assert telemetry.power_w == Spread(low=300, median=300, high=300)
    assert telemetry.sm_clock_hz == Spread(low=1.9e9, median=1.9e9, high=1.9e9)
    assert telemetry.memory_clock_hz is None


def test_reasons_are_those_of_all_readings_during_the_calls_each_once() -> None:
    # given idle and a power cap while calls ran, and heat before them
    readings = [
        reading(-1.0, reasons=THERMAL),
        reading(0.1, reasons=POWER_CAP),
        reading(0.2, reasons=IDLE | POWER_CAP),
        reading(0.3, reasons=None),
    ]

    telemetry = told(readings, calls(4))

    assert telemetry.throttle_reasons == ("gpu idle", "software power cap")


def test_calls_that_end_between_two_readings_have_the_nearest() -> None:
    readings = [reading(0.00, temperature_c=50), reading(0.05, temperature_c=70)]

    telemetry = told(readings, [Window(0.01, 0.02)])

    assert telemetry.readings == 1
    assert telemetry.temperature_c == Spread(low=50, median=50, high=50)


# Why there are none


@pytest.mark.parametrize(
    ("readings", "windows", "reason"),
    [
        ([], calls(2), "no reading"),
        ([reading(50.0)], calls(2), "no reading"),
        ([reading(0.1)], [], "no timed calls"),
        ([Reading(0.1, Conditions())], calls(2), "NVML"),
    ],
)
def test_telemetry_without_readings_says_why(readings: list[Reading], windows: list[Window], reason: str) -> None:
    telemetry = told(readings, windows)

    assert telemetry.readings == 0
    assert reason in (telemetry.reason or "")
    assert telemetry.sm_clock_hz is None
    assert telemetry.throttled_samples == ()


def test_a_reason_that_is_known_is_kept_and_energy_is_told_all_the_same() -> None:
    # given a sampler that died, and a counter that the worker has read itself
    telemetry = told([], calls(20), reason="the sampler died", counter=counted(800.0))

    assert telemetry.reason == "the sampler died"
    assert telemetry.energy_per_call_j == 40.0


# Throttled samples


@pytest.mark.parametrize(
    ("fields", "marked"),
    [
        ({}, False),
        ({"sm_clock_hz": 1.51e9}, False),
        ({"sm_clock_hz": 1.5e9}, False),
        ({"sm_clock_hz": 1.49e9}, True),
        ({"sm_clock_hz": None}, False),
        ({"reasons": None}, False),
        ({"reasons": POWER_CAP}, False),
        ({"reasons": IDLE}, False),
        ({"reasons": 0x02}, False),
        ({"reasons": 0x10}, False),
        ({"reasons": 0x100}, False),
        ({"reasons": 0x08}, True),
        ({"reasons": 0x20}, True),
        ({"reasons": 0x40}, True),
        ({"reasons": 0x80}, True),
        ({"reasons": POWER_CAP | THERMAL}, True),
    ],
)
def test_a_sample_is_marked_for_a_low_clock_or_a_slowdown(fields: dict[str, Any], marked: bool) -> None:
    # given three calls, and a reading of this kind in the middle one
    readings = [reading(0.05), reading(0.15, **fields), reading(0.25)]

    telemetry = told(readings, calls(3))

    assert telemetry.throttled_samples == ((1,) if marked else ())


def test_any_reading_in_a_window_marks_it() -> None:
    readings = [reading(0.1), reading(0.2, reasons=THERMAL), reading(0.3), reading(0.9)]

    assert told(readings, [Window(0.0, 0.5), Window(0.5, 1.0)]).throttled_samples == (0,)


def test_a_window_without_a_reading_takes_the_nearest_within_a_period() -> None:
    # given calls far shorter than the period between readings, and a slowdown at 0.10
    readings = [reading(0.00), reading(0.05), reading(0.10, reasons=THERMAL), reading(0.30)]

    windows = [Window(at_s, at_s + 0.001) for at_s in (0.051, 0.070, 0.090, 0.110, 0.140, 0.160, 0.200)]

    # then calls nearer to it than to another are marked, and none further away than a period
    assert told(readings, windows).throttled_samples == (2, 3, 4)


def test_without_a_default_clock_the_reasons_alone_mark() -> None:
    readings = [reading(0.05, sm_clock_hz=0.2e9), reading(0.15, reasons=THERMAL)]

    assert told(readings, calls(2), usual_clock=UsualClock()).throttled_samples == (1,)


def test_samples_that_are_all_throttled_are_all_kept_and_marked() -> None:
    readings = [reading(0.05 + 0.1 * n, sm_clock_hz=1.0e9) for n in range(5)]

    telemetry = told(readings, calls(5))

    assert telemetry.throttled_samples == (0, 1, 2, 3, 4)
    assert telemetry.readings == 5


# Energy


def test_energy_of_a_call_is_the_counters_difference_over_the_calls() -> None:
    telemetry = told([reading(0.1)], calls(20), counter=counted(800.0))

    assert telemetry.energy_per_call_j == 40.0
    assert telemetry.energy_source == "total energy counter"
    assert telemetry.energy_window_s == 2.0
    assert telemetry.energy_reason is None


def test_without_a_counter_power_is_integrated_by_trapezium() -> None:
    # given power that climbs from 100 W to 300 W over two seconds, read every half second
    readings = [reading(0.5 * n, power_w=100.0 + 50 * n) for n in range(5)]

    # when twenty calls took those two seconds
    telemetry = told(readings, calls(20))

    # then they took 400 J together
    assert telemetry.energy_per_call_j == pytest.approx(20.0)
    assert telemetry.energy_source == "integrated power"
    assert telemetry.energy_window_s == pytest.approx(2.0)


def test_readings_at_uneven_times_weigh_as_long_as_they_hold() -> None:
    readings = [reading(at_s, power_w=watts) for at_s, watts in ((0.0, 100.0), (0.1, 500.0), (1.0, 500.0))]

    # 300 W for a tenth of a second, 500 W for nine
    assert told(readings, calls(10)).energy_per_call_j == pytest.approx((30 + 450) / 10)


def test_the_ends_that_no_reading_covers_have_the_mean_power() -> None:
    readings = [reading(at_s, power_w=400.0) for at_s in (0.1, 0.5, 0.95)]

    assert told(readings, calls(10)).energy_per_call_j == pytest.approx(40.0)


@pytest.mark.parametrize(
    "counter",
    [
        None,
        Counter(0.0, None, 2.0, 5100.0),
        Counter(0.0, 5000.0, 2.0, None),
        counted(0.0),
        counted(-4000.0),
        counted(800.0, window_s=0.9),
    ],
    ids=["none", "no begin", "no end", "stuck", "driver reloaded", "too short"],
)
def test_a_counter_that_does_not_serve_leaves_it_to_power(counter: Counter | None) -> None:
    readings = [reading(0.1 * n) for n in range(21)]

    telemetry = told(readings, calls(20), counter=counter)

    assert telemetry.energy_source == "integrated power"
    assert telemetry.energy_per_call_j == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("readings", "count", "counter", "words"),
    [
        ([reading(0.1)], 0, None, ["timed calls"]),
        ([reading(0.05 * n) for n in range(8)], 4, counted(160.0, 0.4), ["400 ms", "min_time"]),
        ([reading(0.1), reading(1.0)], 10, None, ["NVML", "2 readings of power", "3"]),
        ([reading(0.1 * n) for n in range(7)], 10, counted(0.0, 1.0), ["energy counter", "60%"]),
        ([reading(0.1 * n, power_w=None) for n in range(10)], 10, None, ["0 readings"]),
    ],
    ids=["no calls", "too short", "two readings", "half the window", "no power"],
)
def test_energy_that_can_not_be_told_has_a_reason(
    readings: list[Reading], count: int, counter: Counter | None, words: list[str]
) -> None:
    telemetry = told(readings, calls(count), counter=counter)

    assert telemetry.energy_per_call_j is None
    assert telemetry.energy_source is None
    assert telemetry.energy_window_s is None
    assert telemetry.energy_reason is not None
    assert all(word in telemetry.energy_reason for word in words), telemetry.energy_reason


def test_energy_is_not_put_on_calls_between_which_other_work_ran() -> None:
    # given calls of one case that took turns with those of another
    windows = [Window(2 * n * 0.1, 2 * n * 0.1 + 0.1) for n in range(20)]
    readings = [reading(0.05 * n) for n in range(80)]

    telemetry = told(readings, windows, counter=counted(1600.0, 4.0))

    assert telemetry.energy_per_call_j is None
    assert telemetry.energy_reason is not None
    assert "5" in telemetry.energy_reason.partition("%")[0]


@pytest.mark.parametrize(
    ("windows", "counter", "source", "joules"),
    [
        ([Window(0.0, 1.0)], counted(80.0, 1.0), "total energy counter", 80.0),
        ([Window(0.0, 0.5)], counted(80.0, 0.5), "integrated power", 200.0),
        ([Window(0.0, 2.0), Window(3.0, 5.0)], counted(100.0, 5.0), "total energy counter", 50.0),
        ([Window(0.0, 2.0), Window(3.25, 5.0)], counted(100.0, 5.0), None, None),
        ([Window(0.0, 0.4375)], None, None, None),
    ],
    ids=["counter over 1 s", "power over 0.5 s", "calls for 80%", "calls for 75%", "under 0.5 s"],
)
def test_the_least_window_and_share_for_energy(
    windows: list[Window], counter: Counter | None, source: str | None, joules: float | None
) -> None:
    telemetry = told([reading(0.125 * n) for n in range(41)], windows, counter=counter)

    assert (telemetry.energy_source, telemetry.energy_per_call_j) == (source, joules)


@pytest.mark.parametrize(("last_s", "is_told"), [(0.5, True), (0.4375, False)])
def test_readings_of_power_that_span_four_fifths_are_enough(last_s: float, is_told: bool) -> None:
    readings = [reading(0.0), reading(0.25), reading(last_s)]

    assert (told(readings, [Window(0.0, 0.625)]).energy_per_call_j is not None) is is_told


@pytest.mark.parametrize(
    ("times", "marked"),
    [((0.75,), True), ((0.6875,), False), ((1.375,), True), ((1.4375,), False), ((0.75, 1.25), False)],
    ids=["a period before", "longer before", "a period after", "longer after", "a usual one is nearer"],
)
def test_the_nearest_reading_within_a_period_tells_of_a_call(times: tuple[float, ...], marked: bool) -> None:
    # given a call from 1 s to 1.125 s, and a slowed GPU at the first of these times
    readings = [reading(at_s, reasons=THERMAL if n == 0 else 0) for n, at_s in enumerate(times)]

    telemetry = told(readings, [Window(1.0, 1.125)], period_s=0.25)

    assert telemetry.throttled_samples == ((0,) if marked else ())


# Warnings


def test_a_gpu_that_was_not_slowed_is_nothing_to_warn_of() -> None:
    assert warnings(told([reading(0.1, reasons=POWER_CAP)], calls(2)), 2) == ()
    assert warnings(Telemetry(reason="the sampler died"), 2) == ()


def test_heat_is_told_with_its_clock_and_what_to_do() -> None:
    hot = {"reasons": THERMAL | POWER_CAP, "sm_clock_hz": 1.1e9}
    readings = [reading(0.05 + 0.1 * n, **(hot if n < 3 else {})) for n in range(20)]

    (warning,) = warnings(told(readings, calls(20)), 20, GpuSettings(sm_clock_default_hz=1.98e9))

    facts = ("3 of 20 samples", "hardware thermal slowdown", "1.1 GHz", "1.98 GHz", "airflow", "--fresh")
    assert all(fact in warning for fact in facts)


CARD = {"compute_capability": "9.0", "sm_clock_default_source": "default application clock"}
SETTABLE = {"power_limit_w": 500, "power_default_w": 700, "power_range_w": (200, 700)}


@pytest.mark.parametrize(
    ("reasons", "settings", "says", "leaves_out"),
    [
        (POWER_CAP, SETTABLE, "nvidia-smi -pl 700", "plugged in"),
        (POWER_CAP, SETTABLE | {"power_limit_w": 700}, "as high as shipped", "-pl"),
        (POWER_CAP, SETTABLE | {"power_range_w": (200, 600)}, "plugged in", "-pl"),
        (POWER_CAP, {"power_limit_w": 80}, "plugged in", "-pl"),  # a laptop tells no limit that can be set
        (0x02, CARD, "`nvidia-smi -rgc` and `nvidia-smi -rac`", "-pl"),
        (0x10, {"compute_capability": "8.6", "sm_clock_default_source": "rated boost"}, "nvidia-smi -rgc", "-rac"),
        (0x100, {"compute_capability": "6.1"}, "nvidia-smi -q", "-r"),
        (0x200, CARD, "nvidia-smi dmon", "-r"),
        (IDLE, CARD, "nvidia-smi dmon", "-r"),
        (0, CARD, "nvidia-smi dmon", "-r"),
    ],
)
def test_low_clocks_without_a_slowdown_have_the_remedies_that_the_card_allows(
    reasons: int, settings: dict[str, Any], says: str, leaves_out: str
) -> None:
    telemetry = told([reading(0.05, sm_clock_hz=1.0e9, reasons=reasons)], calls(1))

    (warning,) = warnings(telemetry, 1, GpuSettings(**settings))

    assert warning.startswith("1 of 1 sample")
    assert "1 GHz)" in warning
    assert says in warning
    assert f"nvidia-smi {leaves_out}" not in warning
    assert leaves_out.startswith("-") or leaves_out not in warning


def test_a_clock_far_under_the_highest_alone_marks_no_sample_where_the_driver_tells_reasons() -> None:
    # given a laptop of which only the highest clock is known, 2100 MHz, at 1400 MHz under load
    highest = UsualClock(2.1e9, is_highest=True)
    capped = [reading(0.05, sm_clock_hz=1.4e9, reasons=POWER_CAP), reading(0.15, sm_clock_hz=1.4e9, reasons=THERMAL)]

    # then heat marks a sample, and a low clock only where there is no word on it
    assert told(capped, calls(2), usual_clock=highest).throttled_samples == (1,)
    silent = [reading(0.05, sm_clock_hz=1.4e9, reasons=None)]
    assert told(silent, calls(1), usual_clock=highest).throttled_samples == (0,)


def test_a_laptop_at_its_rated_boost_is_not_slowed() -> None:
    # given a 3070 Laptop: rated 1560 MHz, at most 2100, at 1400 under load; and the same card at 1100
    rated = UsualClock(1.56e9)
    readings = [
        reading(0.05, sm_clock_hz=1.4e9, reasons=POWER_CAP),
        reading(0.15, sm_clock_hz=1.1e9, reasons=POWER_CAP),
    ]

    assert told(readings, calls(2), usual_clock=rated).throttled_samples == (1,)


def test_a_slowdown_without_a_clock_is_told_without_one() -> None:
    telemetry = told([reading(0.05, sm_clock_hz=None, reasons=0x80)], calls(1))

    assert "(hardware power brake)" in warnings(telemetry, 1, GpuSettings(sm_clock_default_hz=DEFAULT_HZ))[0]
