"""The network's part of a request, worked by hand: segments are 1448 bytes, the first window ten of them (14,480)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.network import SEGMENT_BYTES, Path, request, send_s

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


def test_a_sender_waits_until_its_window_covers_the_path() -> None:
    # acknowledged after 30,000 + 1,448 us: the first window is 16,968 us short of it, the second 2,488, the third none
    assert send_s(1_000_000, BYTE_A_MICROSECOND, 0.030) == pytest.approx(1.0 + 0.016968 + 0.002488)


def test_without_slow_start_only_the_rate_counts() -> None:
    assert send_s(1_000_000, BYTE_A_MICROSECOND, 0.5, slow_start=False) == pytest.approx(1.0)


def test_a_request_without_tls_is_a_handshake_and_two_halves_of_a_round_trip() -> None:
    # both bodies and heads (450 and 550 bytes) fit the first window; 100 ms for the handshake, 50 + 50 for the halves
    way = request(Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND, tls=False), 1000, 2000)
    assert way.connect_s == 0.1
    assert way.tls_s == 0
    assert way.upload_s == pytest.approx(0.05 + 0.001450)
    assert way.download_s == pytest.approx(0.05 + 0.002550)
    assert way.total_s == pytest.approx(0.2 + 0.004000)


def test_tls_takes_a_round_trip_and_its_bytes() -> None:
    # 600 bytes up at 1 us, 4,000 down at 2 us; the sum is 0.1 + 0.1086 + 0.05145 + 0.0551
    way = request(Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND / 2), 1000, 2000)
    assert way.tls_s == pytest.approx(0.1 + 0.000600 + 0.008000)
    assert way.total_s == pytest.approx(0.31515)


def test_a_path_has_tls_and_slow_start_by_default_in_both_directions() -> None:
    # with its head, each body is a byte more than the first window: it waits for the acknowledgement, as above
    way = request(Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND), 14_481 - 450, 14_481 - 550)
    assert way.tls_s == pytest.approx(0.1046)
    assert way.upload_s == way.download_s == pytest.approx(0.05 + 0.1 + 0.001448 + 0.000001)


def test_a_relayed_path_has_no_slow_start_in_either_direction() -> None:
    # 100,000 bytes with their heads, at 1 us each
    path = Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND, slow_start=False)
    way = request(path, 100_000 - 450, 100_000 - 550)
    assert way.upload_s == way.download_s == pytest.approx(0.05 + 0.1)


def test_each_direction_has_its_own_rate() -> None:
    # 1,000 bytes with their heads: 1 us a byte up, 4 us down
    way = request(Path(0.0, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND / 4), 550, 450)
    assert (way.upload_s, way.download_s) == (pytest.approx(0.001), pytest.approx(0.004))


def test_a_scaled_path_has_other_rates_and_nothing_else() -> None:
    path = Path(0.1, 100.0, 200.0, tls=False, slow_start=False)
    assert path.scaled(3) == Path(0.1, 300.0, 600.0, tls=False, slow_start=False)
    assert path.with_rtt(0.5) == Path(0.5, 100.0, 200.0, tls=False, slow_start=False)


def test_a_kept_connection_shakes_no_hands() -> None:
    path = Path(0.1, BYTE_A_MICROSECOND, BYTE_A_MICROSECOND)
    kept, new = request(path, 1000, 2000, "kept"), request(path, 1000, 2000)
    assert (kept.connect_s, kept.tls_s) == (0, 0)
    assert (kept.upload_s, kept.download_s) == (new.upload_s, new.download_s)


@pytest.mark.parametrize(
    "fields",
    [
        *[(-0.1, 1, 1), (0.1, 0, 1), (0.1, 1, 0), (0.1, -1, 1), (0.1, 1, -1)],
        *[(float("nan"), 1, 1), (0.1, float("nan"), 1), (0.1, 1, float("nan"))],
    ],
)
def test_a_path_that_can_t_be_is_refused(fields: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="round trip"):
        Path(*fields)


def test_a_path_may_have_no_round_trip_and_less_than_a_bit_a_second() -> None:
    # 1,000 bytes with the head are 8,000 bits, at half a bit a second each way
    way = request(Path(0.0, 0.5, 0.5, tls=False), 550, 450)
    assert (way.connect_s, way.upload_s, way.download_s) == (0, 16_000, 16_000)


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
