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
