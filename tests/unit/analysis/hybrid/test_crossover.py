"""Where remote begins to win, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import a_case
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.hybrid.crossover import crossover
from bench.analysis.hybrid.service import EndpointTime
from bench.core.network import REQUEST_HEAD_BYTES, RESPONSE_HEAD_BYTES, Path

#: Bodies that, with their heads, are 10,000 bytes each: what the first window holds.
SERVICE = EndpointTime(
    by="NVIDIA Test",
    kind="published",
    case=a_case(),
    transport="png",
    sent_bytes=10_000 - REQUEST_HEAD_BYTES,
    received_bytes=10_000 - RESPONSE_HEAD_BYTES,
    compute_s=0.1,
    off_network_s=0.1,
    measured_as_whole=False,
)
#: A byte a microsecond, both ways: 20 ms of sending, and two round trips of 10 ms.
PATH = Path(0.01, 8e6, 8e6, tls=False)


def test_a_local_way_that_does_not_fit_always_loses() -> None:
    assert crossover(PATH, SERVICE, None).verdict == "always"


def test_an_endpoint_whose_own_work_takes_longer_never_wins() -> None:
    assert crossover(PATH, SERVICE, 0.1).verdict == "never"


def test_the_bandwidth_is_found_at_the_path_s_round_trip() -> None:
    # 0.1 of work, 0.02 of round trips, 0.02 of sending over the factor: 0.125 leaves 0.005, a quarter of it
    found = crossover(PATH, SERVICE, 0.125)
    assert found.verdict == "depends"
    assert found.factor == pytest.approx(4, rel=1e-6)


def test_the_round_trip_is_found_at_the_path_s_bandwidth() -> None:
    # 0.15 less 0.1 of work and 0.02 of sending leaves 0.03 for two round trips
    assert crossover(PATH, SERVICE, 0.15).rtt_s == pytest.approx(0.015, rel=1e-6)


def test_where_the_round_trips_alone_are_too_long_no_bandwidth_is_enough() -> None:
    found = crossover(PATH, SERVICE, 0.119)
    assert found.factor is None
    assert found.rtt_s is None  # nor is any round trip: sending takes 0.02


@given(st.floats(0.001, 100), st.floats(0, 1), st.floats(1e5, 1e9), st.integers(1, 10**7))
def test_at_the_crossover_remote_takes_as_long_as_local(local_s: float, rtt_s: float, rate: float, size: int) -> None:
    service = replace(SERVICE, sent_bytes=size, received_bytes=size, off_network_s=0.01)
    path = Path(rtt_s, rate, rate)
    found = crossover(path, service, local_s)
    if found.factor is not None and 1e-5 < found.factor < 1e5:
        assert service.over(path.scaled(found.factor)) == pytest.approx(local_s, rel=1e-3)
    if found.rtt_s:
        assert service.over(path.with_rtt(found.rtt_s)) == pytest.approx(local_s, rel=1e-3)
