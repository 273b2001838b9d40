"""Arrivals, and what a load tells of a server that answers, refuses, stalls or is silent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from misbehaving import Misbehaving, misbehaving
from scipy import stats as distributions

from bench.config import LoadSettings
from bench.remote import load
from bench.remote.http import Post
from bench.wire.address import Token, parse

pytest.importorskip("httpx2")


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with misbehaving() as it:
        yield it


def target(server: Misbehaving, behaviour: str, timeout_s: float = 10.0) -> load.RepeatedRequest:
    post = Post(parse(f"{server.url}/{behaviour}"), {}, {}, bytes(1000))
    return load.RepeatedRequest(post, Token("s3cret"), timeout_s, 2**20)


# Arrivals


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert load.poisson(50, 10, seed=3) == load.poisson(50, 10, seed=3)
    assert load.poisson(50, 10, seed=3) != load.poisson(50, 10, seed=4)


@pytest.mark.parametrize("rate", [0.5, 20.0, 300.0])
def test_times_between_arrivals_are_exponential_with_the_rate(rate: float) -> None:
    seconds = 2000 / rate
    moments = load.poisson(rate, seconds, seed=1)
    gaps = [after - before for before, after in itertools.pairwise((0.0, *moments))]

    assert all(0 <= moment < seconds for moment in moments)
    assert distributions.kstest(gaps, "expon", args=(0, 1 / rate)).pvalue > 0.01
    assert abs(len(moments) - 2000) < 4 * 2000**0.5


# Loads


def test_an_open_load_sends_at_the_arrivals_and_counts_good_answers(server: Misbehaving) -> None:
    result = load.open_loop(target(server, "good"), 60, 0.5, seed=2)

    assert result.sent == result.succeeded == len(load.poisson(60, 0.5, seed=2)) == len(result.latency_s)
    assert result.errors == {}
    assert result.throughput_per_s > 0
    assert [p.q for p in result.percentiles] == [0.5, 0.9, 0.95, 0.99]
    assert result.lag_p99_s is not None


def test_latency_counts_from_the_moment_at_which_a_request_was_due(server: Misbehaving) -> None:
    # given a server that works one by one, and stalls for half a second over the first
    result = load.open_loop(target(server, "stall"), 60, 0.4, seed=2)
    due = load.poisson(60, 0.4, seed=2)

    # then each that was due meanwhile has what was left of the stall in its latency
    assert result.succeeded == len(due)
    for moment, latency in zip(due, result.latency_s, strict=True):
        assert latency > 0.5 - (moment - due[0]) - 0.02
    assert result.percentiles[0].seconds > 0.2


def test_refusals_are_counted_by_kind_and_by_retry_after(server: Misbehaving) -> None:
    result = load.open_loop(target(server, "busy"), 40, 0.4, seed=2)

    assert result.succeeded == 0
    assert result.errors == {"503 busy": result.sent}
    assert result.retry_after == result.sent > 0
    assert result.percentiles == ()
    assert result.throughput_per_s == 0


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [("slow", "timed out"), ("truncated", "truncated"), ("endless", "too large"), ("empty", "empty")],
)
def test_requests_that_fail_are_errors_of_their_kind(server: Misbehaving, behaviour: str, kind: str) -> None:
    result = load.open_loop(target(server, behaviour, timeout_s=0.5 if behaviour == "slow" else 10), 20, 0.3, seed=2)
    assert result.errors == {kind: result.sent}
    assert result.sent > 0


def test_a_server_that_is_gone_is_an_error_of_each_request() -> None:
    with misbehaving() as gone:
        pass
    result = load.open_loop(target(gone, "good"), 20, 0.3, seed=2)
    assert result.errors == {"ConnectError": result.sent}


def test_a_closed_load_keeps_as_many_on_their_way(server: Misbehaving) -> None:
    result = load.closed_loop(target(server, "good"), 3, 0.3)
    assert result.kind == "closed"
    assert result.concurrency == 3
    assert result.succeeded == result.sent > 3
    assert set(server.authorizations) == {"Bearer s3cret"}


def test_shares_are_of_the_capacity_that_was_found(server: Misbehaving) -> None:
    settings = LoadSettings(shares=(0.25, 0.5), concurrency=2, seconds=0.3)
    loads, _ = load.measure(target(server, "good"), settings)

    closed, quarter, half = loads
    assert closed.kind == "closed"
    assert quarter.share == 0.25
    assert quarter.rate_per_s == pytest.approx(0.25 * closed.throughput_per_s)
    assert half.rate_per_s == pytest.approx(0.5 * closed.throughput_per_s)


def test_a_capacity_of_nothing_has_no_shares(server: Misbehaving) -> None:
    loads, notes = load.measure(target(server, "busy"), LoadSettings(shares=0.5, concurrency=2, seconds=0.2))
    assert [item.kind for item in loads] == ["closed"]
    assert "capacity" in notes[0]


# What figures are of


def test_throughput_is_over_the_whole_time_of_the_load(server: Misbehaving) -> None:
    # given one request, answered at once, of a load that lasts far longer
    seed = next(n for n in range(100) if len(load.poisson(2, 0.5, n)) == 1 and load.poisson(2, 0.5, n)[0] < 0.2)
    result = load.open_loop(target(server, "good"), 2, 0.5, seed)
    assert result.succeeded == 1
    assert result.throughput_per_s <= 1 / 0.5


def test_connections_are_kept_and_counted(server: Misbehaving) -> None:
    result = load.closed_loop(target(server, "good"), 2, 0.2)
    assert result.connections == 2 < result.sent


def test_a_closed_loop_goes_on_where_answers_are_few(server: Misbehaving) -> None:
    result = load.closed_loop(target(server, "slow", timeout_s=0.1), 1, 0.05)
    assert result.sent == 2  # of 0.1 s and a pause each, until four times as long are over
    assert result.duration_s >= 0.2


def test_waiting_for_a_place_counts_as_the_generator_s_own_lag(
    server: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a single place, which the first request holds for half a second
    monkeypatch.setattr(load, "_MOST_AT_ONCE", 1)
    result = load.open_loop(target(server, "stall"), 60, 0.2, seed=2)
    assert result.lag_p99_s is not None
    assert result.lag_p99_s > 0.2
    assert result.is_late


def test_requests_beyond_what_may_wait_are_errors(server: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_MOST_AT_ONCE", 1)
    monkeypatch.setattr(load, "_MOST_WAITING", 2)
    result = load.open_loop(target(server, "stall"), 60, 0.3, seed=2)
    assert result.errors["not sent"] > 0
    assert result.sent == len(load.poisson(60, 0.3, seed=2)) == result.succeeded + result.errors["not sent"]


def test_errors_are_a_warning(server: Misbehaving) -> None:
    (result,), notes = load.measure(target(server, "busy"), LoadSettings(rates=(40,), seconds=0.2, seed=2))
    (note,) = notes
    assert note.startswith(f"{result.title}: {result.sent} of {result.sent} ")
    assert f"{result.sent} x 503 busy" in note


def test_a_load_without_due_requests_is_a_warning(server: Misbehaving) -> None:
    seed = next(n for n in range(100) if not load.poisson(1, 0.1, n))
    (result,), notes = load.measure(target(server, "good"), LoadSettings(rates=(1,), seconds=0.1, seed=seed))
    assert result.sent == 0
    assert notes[0].startswith(f"{result.title}: ")


def test_a_share_that_comes_to_too_many_requests_is_a_note(
    server: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "MOST_REQUESTS", 1)
    loads, notes = load.measure(target(server, "good"), LoadSettings(shares=1, concurrency=1, seconds=0.1))
    assert [item.kind for item in loads] == ["closed"]
    assert "1 requests" in notes[0]
