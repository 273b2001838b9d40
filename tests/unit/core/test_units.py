"""Quantities as people write and read them, the docs' memory column, and the table of metrics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core import units
from bench.core.units import GIB, KIB, MIB
from bench.errors import BenchError

# Amounts of memory, printed


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (KIB, "1 KiB"),
        (852 * MIB, "852 MiB"),
        (GIB, "1.00 GiB"),
        (int(9.99 * GIB), "9.99 GiB"),
        (10 * GIB, "10.0 GiB"),
        (80 * GIB, "80.0 GiB"),
        (-3 * MIB, "-3 MiB"),
    ],
)
def test_bytes_are_printed_in_the_unit_that_fits(count: int, text: str) -> None:
    assert units.format_bytes(count) == text


def test_bytes_that_are_missing_are_a_dash() -> None:
    assert units.format_bytes(None) == "-"


# Amounts of memory, read


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1073741824", GIB),
        ("512b", 512),
        ("2K", 2 * KIB),
        ("2KiB", 2 * KIB),
        ("2 kb", 2_000),
        ("500 MB", 500_000_000),
        ("500MiB", 500 * MIB),
        ("8G", 8 * GIB),
        ("8gib", 8 * GIB),
        ("  8 GiB ", 8 * GIB),
        ("8GB", 8_000_000_000),
        ("1.5GiB", 3 * GIB // 2),
        ("1T", 1024 * GIB),
        ("1 TiB", 1024 * GIB),
        ("3b", 3),
        ("2m", 2 * MIB),
        ("3 GB", 3 * 10**9),
        ("2TB", 2 * 10**12),
    ],
)
def test_an_amount_of_memory_is_read_in_any_unit(text: str, count: int) -> None:
    assert units.parse_bytes(text) == count


def test_a_large_whole_amount_is_read_to_the_byte() -> None:
    # given more than a float can hold exactly
    assert units.parse_bytes(str(2**60 + 1)) == 2**60 + 1


@pytest.mark.parametrize("text", ["", "GiB", "eight", "8 GiG", "8,5GiB", "-8GiB", "8GiB!", "nan", "inf", "1e9", "1 2"])
def test_what_is_no_amount_of_memory_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BenchError) as caught:
        units.parse_bytes(text)

    assert repr(text) in str(caught.value)
    assert "8GiB" in str(caught.value)


@pytest.mark.parametrize("text", ["0", "0GiB", "0.0 MiB", "0.1b"])
def test_nothing_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(BenchError, match="greater than 0"):
        units.parse_bytes(text)


@given(st.integers(min_value=1, max_value=2**50))
def test_an_amount_that_was_printed_and_read_back_loses_nothing_more(count: int) -> None:
    # given an amount rounded by printing
    rounded = units.parse_bytes(units.format_bytes(count))

    # when it makes the same way again, then it's the same
    assert units.parse_bytes(units.format_bytes(rounded)) == rounded


# Seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (310e-6, "310 us"),
        (1e-3, "1 ms"),
        (0.0151, "15.1 ms"),
        (0.999, "999 ms"),
        (1.0, "1.00 s"),
        (1.2204, "1.22 s"),
        (10.0, "10.0 s"),
        (119.9, "119.9 s"),
        (120.0, "2 min 00 s"),
        (125.9, "2 min 06 s"),
        (0.9996, "1.00 s"),
        (9.999e-4, "1 ms"),
        (9.999, "10.0 s"),
        (119.96, "2 min 00 s"),
        (7260.0, "121 min 00 s"),
    ],
)
def test_seconds_are_printed_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert units.format_seconds(seconds) == text


def test_seconds_that_are_missing_are_a_dash() -> None:
    assert units.format_seconds(None) == "-"


# The docs' memory column


@pytest.mark.parametrize(
    ("peak_mib", "total_gib", "printed"),
    [
        pytest.param(852, 23.643, "3.51901", id="SD v1.5 512x512 on an RTX 4090"),
        pytest.param(318, 23.643, "1.3154", id="SD v1.5 256x256 on an RTX 4090"),
        pytest.param(11424, 23.643, "47.1852", id="SD v1.5 2048x2048 on an RTX 4090"),
        pytest.param(852, 7.780, "10.6941", id="SD v1.5 512x512 on an RTX 3070"),
    ],
)
def test_the_published_memory_follows_from_whole_mebibytes(peak_mib: int, total_gib: float, printed: str) -> None:
    percent = units.memory_percent(peak_mib * MIB, int(total_gib * GIB))

    assert f"{percent:.6g}" == printed


def test_memory_rounds_both_quantities_before_it_divides() -> None:
    # given a peak and a total that are 1.0004 and 2.0004 GiB, when each is rounded to 1.000 and 2.000, then it's half
    assert units.memory_percent(int(1.0004 * GIB), int(2.0004 * GIB)) == 50


@pytest.mark.parametrize("peak_mib", [318, 852, 2970, 11424])
def test_a_percentage_is_turned_back_into_the_peak_that_it_is_of(peak_mib: int) -> None:
    # Given the RTX 4090's memory; half a thousandth of a GiB is 0.512 MiB
    total = int(23.643 * GIB)
    back = units.memory_bytes(units.memory_percent(peak_mib * MIB, total), total)
    assert abs(back - peak_mib * MIB) <= 0.513 * MIB


# The table of metrics


@pytest.mark.parametrize("key", units.METRICS)
def test_every_metric_describes_itself(key: str) -> None:
    metric = units.METRICS[key]

    assert metric.title
    assert metric.description
    assert metric.better in ("lower", "higher")


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("time", 0.0151, "15.1 ms"),
        ("peak_reserved", 852.0 * MIB, "852 MiB"),
        ("memory_percent", 8.404, "8.40%"),
        ("time", None, "-"),
    ],
)
def test_a_metric_is_printed_in_its_own_unit(key: str, value: float | None, text: str) -> None:
    assert units.format_metric(key, value) == text


def test_how_much_a_metric_must_change_to_matter() -> None:
    # given what `bench compare` promises: less than this share of a noisy metric is never called a change
    shares = {
        "time": 0.02, "first_call": 0.25, "memory_percent": 0.01, "peak_reserved": 0.01, "peak_rss": 0.05,
        "nvml_process": 0.01, "achieved": 0.02, "ceiling_fraction": 0.02, "pixel_rate": 0.02, "energy": 0.05,
    }  # fmt: skip

    # then the exact metrics are the others, of which any change matters
    noisy = {key: metric.factor for key, metric in units.METRICS.items() if not metric.exact}
    assert noisy == shares
    assert {units.METRICS[key].factor for key in units.METRICS.keys() - shares} == {0.0}
    # and only the CPU's peak has a least change in its unit, by which two runs of one case have differed
    assert {key: metric.least for key, metric in units.METRICS.items() if metric.least} == {"peak_rss": 32 * MIB}


def test_more_is_better_only_of_rates() -> None:
    assert {key for key, metric in units.METRICS.items() if metric.better == "higher"} == {
        *("achieved", "ceiling_fraction", "pixel_rate")
    }


# Where a unit or a digit changes


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5, "joules", "500 mJ"),
        (0.999, "joules", "999 mJ"),
        (1.0, "joules", "1.00 J"),
        (2000.0, "joules", "2.00 kJ"),
        (0.0999, "ratio", "10.0%"),
        (0.1, "ratio", "10%"),
        (0.5, "ratio", "50%"),
        (0.5, "flops", "0.5 FLOP"),
        (9.996, "flops", "10.0 FLOP"),
        (2e15, "flops", "2.00 PFLOP"),
        (1.23e12, "flops/s", "1.23 TFLOP/s"),
        (45.6e6, "pixels/s", "45.6 Mpx/s"),
        (999, "payload bytes", "999 B"),
        (1000, "payload bytes", "1.00 kB"),
        (999_499, "payload bytes", "999 kB"),
        (999_500, "payload bytes", "1.00 MB"),
        (10**9, "payload bytes", "1.00 GB"),
        (999.4, "bits/s", "999 bit/s"),
        (57e6, "bits/s", "57.0 Mbit/s"),
        (1234.4, "count", "1,234"),
        (0.00737, "amount", "0.00737"),
        (0.09996, "amount", "0.100"),
        (-2.5, "amount", "-2.50"),
        (99.96, "amount", "100"),
        (1230.0, "amount", "1,230"),
        (0.0, "amount", "0"),
        (MIB - 1, "bytes", "1 MiB"),
        (1018 * MIB, "bytes", "1018 MiB"),
        (GIB - 1, "bytes", "1.00 GiB"),
        (int(9.994 * GIB), "bytes", "9.99 GiB"),
        (int(9.996 * GIB), "bytes", "10.0 GiB"),
        (0.9994, "seconds", "999 ms"),
        (0.9995, "seconds", "1.00 s"),
        (9.994, "seconds", "9.99 s"),
        (119.94, "seconds", "119.9 s"),
        (119.95, "seconds", "2 min 00 s"),
        (185.4, "seconds", "3 min 05 s"),
    ],
)
def test_a_quantity_near_its_rounding(value: float, unit: units.Unit, text: str) -> None:
    assert units.format_quantity(value, unit) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (0.0, "0%"),
        (0.081, "+8.1%"),
        (-0.0005, "-0.1%"),
        (0.0004, "+0.04%"),
        (-0.0003, "-0.03%"),
        (98.9, "+9890.0%"),
        (99.0, "x 100"),
        (249.0, "x 250"),
    ],
)
def test_a_relative_change_in_as_many_digits_as_it_needs(change: float, text: str) -> None:
    assert units.format_relative(change) == text


@pytest.mark.parametrize(
    ("base", "change", "text"), [(1.0, 0.081, "+8.1%"), (0.0151, None, "from 15.1 ms"), (0.0, None, "from 0")]
)
def test_a_change_without_a_ratio_names_its_base(base: float, change: float | None, text: str) -> None:
    assert units.format_change("time", base, change) == text


@pytest.mark.parametrize(
    ("most", "unit", "text"),
    [(0.31, "seconds", "310 ms"), (1.2, "seconds", "310 ms to 1.20 s"), (None, "amount", "at least 0.310")],
)
def test_a_quantity_that_is_known_within_bounds(most: float | None, unit: units.Unit, text: str) -> None:
    assert units.format_between(0.31, most, unit) == text


@pytest.mark.parametrize(("share", "text"), [(0.454, "45%"), (0.01, "1%"), (0.0099, "<1%"), (1.2, "120%")])
def test_a_share_of_a_memory(share: float, text: str) -> None:
    assert units.format_share(share) == text


@pytest.mark.parametrize(("p", "text"), [(None, "-"), (0.0009, "<0.001"), (0.001, "0.001"), (0.0314, "0.031")])
def test_a_probability(p: float | None, text: str) -> None:
    assert units.format_p(p) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 cases"), (1, "1 case"), (2, "2 cases")])
def test_a_count_of_things(count: int, text: str) -> None:
    assert units.format_count(count, "case") == text


@pytest.mark.parametrize(("share", "text"), [(0.05, "5%"), (0.0025, "0.25%"), (1.0, "100%")])
def test_a_share_in_per_cent(share: float, text: str) -> None:
    assert units.format_percent(share) == text


def test_characters_that_a_terminal_acts_on_become_question_marks() -> None:
    assert units.one_line("a\tb\x1b[1m\N{ZERO WIDTH SPACE}") == "a?b?[1m?"


def test_the_pool_has_what_the_cuda_context_leaves_and_never_less_than_nothing() -> None:
    assert units.pool_bytes(100, (10, 31)) == (69, 80, 90)
    assert units.pool_bytes(20, (10, 30)) == (0, 0, 10)
