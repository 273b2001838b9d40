"""What `make bench` measures on a machine without a GPU: short, and as honest as a longer sweep."""

from __future__ import annotations

from itertools import combinations

import pytest

from bench import config, plan
from bench.core import stats
from bench.plan import Plan
from bench.record import Case, grouped
from bench.workloads import models

#: Pixels a second that two cores compute in float32: from the records of this project's CPU, an Intel Xeon Processor.
PIXELS_PER_S = {
    ("sd-v1", "encode"): 37_000,
    ("sd-v1", "decode"): 15_000,
    ("tiny", "encode"): 300_000,
    ("tiny", "decode"): 160_000,
}


@pytest.fixture(scope="module")
def local() -> Plan:
    return plan.make(config.load(config.find("cpu")))


@pytest.fixture(scope="module")
def endpoint() -> Plan:
    return plan.make_loopback(config.load(config.find("loopback")))


def seconds(case: Case, settings: Plan) -> float:
    """About how long a case takes: a first call, then six calls or `max_time`."""
    call_s = case.axes.product("width", "height") / PIXELS_PER_S[case.model, case.operation]
    call_s *= 1.6 if case.tile else 1  # tiles overlap
    return call_s + max(settings.measure.max_time, settings.measure.few_samples * call_s)


def test_the_first_table_takes_less_than_half_a_minute_and_all_of_them_one_and_a_half(local: Plan) -> None:
    tables = grouped(local.cases, lambda case: (case.model, case.operation))
    first, *others = (sum(seconds(case, local) for case in table) for table in tables)
    assert first < 30
    assert first + sum(others) < 90


def test_the_sweep_has_a_real_vae_and_both_operations(local: Plan) -> None:
    calls = {(case.model, case.operation) for case in local.cases}
    assert calls == {("sd-v1", "encode"), ("sd-v1", "decode"), ("tiny", "encode"), ("tiny", "decode")}
    assert {case.dtype for case in local.cases} == {"float32"}


def test_no_two_of_its_models_are_one_architecture(local: Plan) -> None:
    keys = dict.fromkeys(case.model for case in local.cases)
    for key, other in combinations(keys, 2):
        assert models.workload(key).architecture(key) != models.workload(other).architecture(other)


def test_a_tile_covers_some_images_and_really_tiles_others(local: Plan) -> None:
    tiled = {case.axes["width"]: case.tile.tile for case in local.cases if case.tile}
    assert {edge > tile for edge, tile in tiled.items()} == {True, False}


def test_every_median_has_an_interval(local: Plan, endpoint: Plan) -> None:
    for settings in (local.measure, endpoint.measure):
        fewest = settings.min_samples
        assert stats.interval(tuple(1.0 + n for n in range(fewest))) is not None
    assert local.measure.few_samples == local.measure.min_samples


def test_what_the_endpoint_computes_is_measured_locally_too(local: Plan, endpoint: Plan) -> None:
    here = {(case.model, case.operation, case.axes) for case in local.cases}
    assert {(case.model, case.operation, case.axes) for case in endpoint.cases} <= here


def test_overlap_and_load_take_less_than_half_a_minute(endpoint: Plan) -> None:
    load, overlap = endpoint.load, endpoint.overlap
    assert load is not None
    assert overlap is not None
    total_s = 0.0
    for case in endpoint.cases:
        request_s = 0.005 + case.axes.product("width", "height") / PIXELS_PER_S[case.model, case.operation]
        if load.of(case.transport):
            total_s += load.seconds * (1 + len(load.shares or ()))  # the capacity is measured first
        if overlap.of(case):
            for share in overlap.shares or ():
                in_turn_s, overlapped_s = (1 + share) * request_s, max(1, share) * request_s
                total_s += overlap.rounds * overlap.images * (in_turn_s + overlapped_s)
    assert total_s < 30
