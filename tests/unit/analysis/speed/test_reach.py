"""What is said of a call on an architecture that no fitted time is of."""

from __future__ import annotations

import pytest
from observed import GPUS, TRUTH, a_gpu, all_observed

from bench.analysis.speed import extrapolation
from bench.config.gpus import Gpu
from bench.core.work import Work

#: 40 TFLOP of products and 4 of attention.
WORK = Work(convolution_flops=40 * 10**12, attention_flops=4 * 10**12, elements=10**9)


def another(**rates: float) -> Gpu:
    """A card of an architecture that no time is of."""
    return a_gpu(**rates).model_copy(update={"architecture": "hopper"})


def bounds(gpu: Gpu, worst: float | None = 0.5) -> extrapolation.Range:
    return extrapolation.bounds(WORK, "float16", gpu, TRUTH, all_observed(), worst)


def test_an_architecture_is_seen_if_a_time_is_of_it() -> None:
    assert extrapolation.is_seen(GPUS["one"], all_observed())
    assert not extrapolation.is_seen(another(), all_observed())


def test_the_least_is_the_products_at_the_rated_rate() -> None:
    assert bounds(another(half=400)).least_s == pytest.approx(0.1 + 0.01)


def test_the_most_is_what_the_quickest_card_takes_that_it_exceeds_in_every_rate_and_the_error() -> None:
    # Given a card that exceeds "one" and "two" of the three, which have less bandwidth
    found = bounds(another(half=400, vector=50, gb_s=1500))
    quickest = min(TRUTH.seconds(WORK, "float16", GPUS[name]) for name in ("one", "two"))
    assert found.most_s == pytest.approx(quickest * 1.5)


@pytest.mark.parametrize("rates", [{"half": 10}, {"vector": 1}, {"gb_s": 100}])
def test_there_is_no_upper_end_where_one_rate_is_below_that_of_every_card(rates: dict[str, float]) -> None:
    rates = {"half": 400, "vector": 50, "gb_s": 3000} | rates
    assert bounds(another(**rates)).most_s is None


def test_there_is_no_upper_end_where_the_error_is_not_known() -> None:
    assert bounds(another(half=400, vector=50, gb_s=3000), worst=None).most_s is None
