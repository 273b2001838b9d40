"""The network's part of a request, worked by hand: segments are 1448 bytes, the first window ten of them (14,480)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.network import (
    REQUEST_HEAD_BYTES,
    RESPONSE_HEAD_BYTES,
    SEGMENT_BYTES,
    TLS_RECEIVED_BYTES,
    TLS_SENT_BYTES,
    Path,
    request,
    send_s,
)

#: 8 Mbit/s is 1,000,000 bytes a second: a byte a microsecond.
BYTE_A_MICROSECOND = 8e6


def test_what_fits_the_first_window_is_sent_at_the_rate() -> None:
    # 14,480 bytes at 1 us each
    assert send_s(14_480, BYTE_A_MICROSECOND, 0.1) == pytest.approx(0.014480)


def test_one_byte_more_waits_for_the_first_acknowledgement() -> None:
    # the acknowledgement of the first segment comes at 0.1 + 0.001448; the window was out at 0.01448; then one byte
    assert send_s(14_481, BYTE_A_MICROSECOND, 0.1) == pytest.approx(0.1 + 0.001448 + 0.000001)


def test_each_round_lets_twice_the_window_follow() -> None:
    # windows of 14,480, 28,960 and 57,920 bytes; 50,000 bytes need the third: 2 rounds of 0.101448 are waited for
    # until it begins, and 50,000 - 43,440 = 6,560 bytes are left
    assert send_s(50_000, BYTE_A_MICROSECOND, 0.1) == pytest.approx(2 * 0.101448 + 0.006560)


def test_a_window_as_long_as_a_round_trip_waits_for_nothing() -> None:
    # 14,480 us of sending are more than 10,000 us + 1,448 us of waiting: the link is never idle
    assert send_s(1_000_000, BYTE_A_MICROSECOND, 0.010) == pytest.approx(1.0)


def test_without_slow_start_only_the_rate_counts() -> None:
    assert send_s(1_000_000, BYTE_A_MICROSECOND, 0.5, slow_start=False) == pytest.approx(1.0)


def test_a_request_without_tls_is_a_handshake_and_two_halves_of_a_round_trip() -> None:
    # both bodies and heads fit the first window; 100 ms there and back for the handshake, 50 + 50 for the halves
    way = request(Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND, tls=False), 1000, 2000)
    assert way.connect_s == 0.1
    assert way.tls_s == 0
    assert way.upload_s == pytest.approx(0.05 + (1000 + REQUEST_HEAD_BYTES) * 1e-6)
    assert way.download_s == pytest.approx(0.05 + (2000 + RESPONSE_HEAD_BYTES) * 1e-6)
    assert way.total_s == pytest.approx(0.2 + (3000 + REQUEST_HEAD_BYTES + RESPONSE_HEAD_BYTES) * 1e-6)


def test_tls_takes_a_round_trip_and_its_bytes() -> None:
    # 600 bytes up at 1 us, 4,000 down at 2 us
    way = request(Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND / 2), 1000, 2000)
    assert way.tls_s == pytest.approx(0.1 + TLS_SENT_BYTES * 1e-6 + TLS_RECEIVED_BYTES * 2e-6)


def test_a_kept_connection_shakes_no_hands() -> None:
    path = Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND)
    kept, new = request(path, 1000, 2000, "kept"), request(path, 1000, 2000)
    assert (kept.connect_s, kept.tls_s) == (0, 0)
    assert (kept.upload_s, kept.download_s) == (new.upload_s, new.download_s)


@pytest.mark.parametrize("fields", [(-0.1, 1, 1), (0.1, 0, 1), (0.1, 1, 0), (float("nan"), 1, 1)])
def test_a_path_that_can_t_be_is_refused(fields: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="round trip"):
        Path(*fields)


_COUNTS = st.integers(1, 10**8)
_RATES = st.floats(1e4, 1e10)
_RTTS = st.floats(0, 2)


@given(_COUNTS, _RATES, _RTTS)
def test_sending_is_never_quicker_than_the_rate_nor_slower_than_a_round_trip_a_window(
    count: int, bit_s: float, rtt_s: float
) -> None:
    took, least = send_s(count, bit_s, rtt_s), 8 * count / bit_s
    rounds = (count // (10 * SEGMENT_BYTES) + 1).bit_length()
    assert least <= took <= least + rounds * (rtt_s + 8 * SEGMENT_BYTES / bit_s)


@given(_COUNTS, _RATES, _RTTS, st.floats(1, 100), st.floats(0, 1))
def test_a_better_path_is_never_slower(count: int, bit_s: float, rtt_s: float, faster: float, nearer: float) -> None:
    path = Path(rtt_s, bit_s, bit_s)
    worse = request(path, count, count).total_s
    assert request(path.scaled(faster), count, count).total_s <= worse * (1 + 1e-9)
    assert request(path.with_rtt(rtt_s * nearer), count, count).total_s <= worse * (1 + 1e-9)
