"""The arithmetic of costs, each example worked by hand in its comment."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.cost.arithmetic import (
    BreakEven,
    EndpointCost,
    LocalCost,
    billed_share,
    break_even,
    energy_cost,
    machines,
    ownership_per_hour,
    per_1000,
)


def test_owning_spreads_the_price_over_all_hours_of_the_lifetime() -> None:
    # 4 years are 4 * 8766 = 35,064 hours; 1753.20 / 35,064 = 0.05
    assert ownership_per_hour(1753.20, 4) == pytest.approx(0.05)


def test_energy_is_paid_by_the_kilowatt_hour() -> None:
    # 450 W for 8 s are 3,600 J = 0.001 kWh; at 0.20 a kWh: 0.0002
    assert energy_cost(450 * 8, 0.20) == pytest.approx(0.0002)


@pytest.mark.parametrize(
    ("volume", "seconds", "busy", "needed"),
    [
        (100, 1.0, 1.0, 1),  # 100 s of 3,600
        (3_600, 1.0, 1.0, 1),  # just all of the hour
        (3_601, 1.0, 1.0, 2),
        (9_000, 2.0, 0.8, 7),  # 18,000 s of 2,880 a machine: 6.25
        (0.01, 1.0, 1.0, 1),  # never less than one
        (100, 0.0, 1.0, 1),  # nor if an image takes no time
    ],
)
def test_machines_are_as_many_as_the_seconds_of_an_hour_ask_for(
    volume: float, seconds: float, busy: float, needed: int
) -> None:
    assert machines(volume, seconds, busy) == needed


def test_a_card_charged_by_use_costs_the_same_at_every_volume() -> None:
    # 0.36 an hour is 0.0001 a second; 0.5 s an image: 0.00005, and 0.00001 of electricity: 0.06 for 1,000
    card = LocalCost(rate=0.36, seconds=0.5, energy=0.00001)
    assert per_1000(card, 1) == pytest.approx(0.06)
    assert per_1000(card, 50_000) == pytest.approx(0.06)
    # to the last digit: what is rounded for a page must not differ between volumes either
    amounts = {per_1000(LocalCost(rate=0.18, seconds=0.265, energy=0.0), volume) for volume in (1, 10, 100, 1_000)}
    assert len(amounts) == 1


def test_a_card_kept_for_this_alone_is_paid_by_the_hour() -> None:
    # 100 images share an hour of 0.36: 3.60 for 1,000; electricity 0.01 for 1,000
    card = LocalCost(rate=0.36, seconds=0.5, energy=0.00001, charge="hour")
    assert per_1000(card, 100) == pytest.approx(3.61)
    # 10,000 images are 5,000 s: two cards, 0.72 for 10,000, 0.072 for 1,000; electricity as before
    assert per_1000(card, 10_000) == pytest.approx(0.082)


def test_an_endpoint_that_never_stops_is_billed_every_hour() -> None:
    # 1.80 an hour for 100 images: 18 for 1,000
    assert per_1000(EndpointCost(rate=1.8, seconds=0.1), 100) == pytest.approx(18)


def test_a_second_replica_is_billed_as_well() -> None:
    # at 0.1 s and 80% busy a replica bears 28,800 an hour; 36,000 need two: 3.60 for 36,000 is 0.1 for 1,000
    endpoint = EndpointCost(rate=1.8, seconds=0.1, busy=0.8)
    assert per_1000(endpoint, 28_800) == pytest.approx(0.0625)
    assert per_1000(endpoint, 36_000) == pytest.approx(0.1)


def test_one_request_an_hour_keeps_an_endpoint_up_for_two_thirds_of_the_time() -> None:
    # rate 1/3600 a second, idle 3600 s: exponent 1; start 180 s: 0.05. 1 - 1 / (0.05 + 2.71828) = 0.63877
    assert billed_share(1, 180, 3600) == pytest.approx(0.63877, abs=1e-5)


def test_one_request_a_day_is_billed_for_its_start_and_its_idle_time_about() -> None:
    # rate 1/86,400 a second; idle 3600 s: 1/24, exp 1.042547; start 180 s: 0.002083; 1 - 1 / 1.044630 = 0.042723,
    # 1.025 hours a day: 0.05 of start, and an hour that now and then another request prolongs
    assert billed_share(1 / 24, 180, 3600) == pytest.approx(0.042723, abs=1e-6)


def test_a_busy_endpoint_never_stops() -> None:
    assert billed_share(1e6, 180, 3600) == 1.0
    assert billed_share(1, 180, None) == 1.0


def test_a_step_is_what_one_machine_computes_in_an_hour() -> None:
    # 3,600 s at 0.5 s an image; 80% of 3,600 s at 0.1 s an image
    assert LocalCost(rate=0.36, seconds=0.5, energy=0.0, charge="hour").step == 7_200
    assert LocalCost(rate=0.36, seconds=0.5, energy=0.0, charge="use").step is None
    assert EndpointCost(rate=1.8, seconds=0.1, busy=0.8).step == pytest.approx(28_800)
    assert EndpointCost(rate=0.0, seconds=0.0).step is None


def test_an_endpoint_bears_its_whole_hour_and_starts_at_once_by_default() -> None:
    # one image a second: 3,600 need one replica, 3,601 two
    endpoint = EndpointCost(rate=2.0, seconds=1.0)
    assert (endpoint.per_hour(3_600), endpoint.per_hour(3_601)) == (2.0, 4.0)
    # one request an hour, idle 3600 s: exponent 1; 1 - 1 / 2.71828 = 0.63212 of 2.0
    assert EndpointCost(rate=2.0, seconds=1.0, idle_s=3600).per_hour(1) == pytest.approx(1.26424, abs=1e-5)


def test_replicas_beyond_the_first_never_stop() -> None:
    # 3,601 images of 1 s need two replicas; with 0.1 s of idle time even one would stop now and then
    assert EndpointCost(rate=2.0, seconds=1.0, idle_s=0.1).per_hour(3_601) == 4.0


def test_break_even_is_where_the_hour_costs_what_the_images_do() -> None:
    # by use: 0.0001 a second * 0.5 s = 0.00005 an image; an endpoint of 0.10 an hour that never stops: 2,000 images
    card = LocalCost(rate=0.36, seconds=0.5, energy=0.0)
    found = break_even(card, EndpointCost(rate=0.10, seconds=0.01))
    assert found is not None
    assert found.above == pytest.approx(2_000)
    assert found.below is None


def test_an_endpoint_whose_busiest_replica_is_dearer_never_breaks_even() -> None:
    # at best 1.80 / 36,000 = 0.00005 an image, and the card costs 0.00004
    card = LocalCost(rate=0.36, seconds=0.4, energy=0.0)
    assert break_even(card, EndpointCost(rate=1.80, seconds=0.1)) is None


def test_another_replica_tips_it_back() -> None:
    # an image costs 0.00005 by use; 2.00 an hour: from 40,000 on, a replica bears 50,000; two cost 4.00: 80,000
    card = LocalCost(rate=0.36, seconds=0.5, energy=0.0)
    found = break_even(card, EndpointCost(rate=2.0, seconds=0.072))
    assert found is not None
    assert found.above == pytest.approx(40_000)
    assert found.below == pytest.approx(50_000, rel=1e-5)


def test_an_endpoint_that_stops_wins_below_a_volume_over_a_card_that_is_kept() -> None:
    # the card costs 0.5 every hour, the endpoint 1.0 * share: 0.5 where rate * 0 + exp(rate * 3600 s) = 2,
    # rate = ln 2 an hour
    card = LocalCost(rate=0.5, seconds=0.1, energy=0.0, charge="hour")
    found = break_even(card, EndpointCost(rate=1.0, seconds=0.1, idle_s=3600))
    assert found is not None
    assert found.above == 0
    assert found.below == pytest.approx(math.log(2))


def test_what_is_free_is_never_dearer() -> None:
    assert break_even(LocalCost(0.36, 0.5, 0.0), EndpointCost(0.0, 0.0)) == BreakEven(0.0, None)


def test_an_endpoint_at_the_same_cost_is_not_dearer() -> None:
    # 0.5 every hour for 36,000 images, both; and nothing at all, both
    card = LocalCost(rate=0.5, seconds=0.1, energy=0.0, charge="hour")
    assert break_even(card, EndpointCost(rate=0.5, seconds=0.1)) == BreakEven(0.0, None)
    assert break_even(LocalCost(0.0, 0.5, 0.0), EndpointCost(0.0, 0.0)) == BreakEven(0.0, None)


def test_a_stretch_in_which_an_endpoint_that_stops_is_dearer_is_found_between_two_in_which_it_is_not() -> None:
    # the card costs 0.5 an hour and 0.0001 an image, the endpoint 1 - exp(-volume): more from 0.69329 on, where both
    # are 0.500069, and less again from about 5,000 images on; both bear 36,000
    card = LocalCost(rate=0.5, seconds=0.1, energy=0.0001, charge="hour")
    found = break_even(card, EndpointCost(rate=1.0, seconds=0.1, idle_s=3600))
    assert found is not None
    assert found.above == 0
    assert found.below == pytest.approx(0.69329, abs=1e-5)


@dataclass(frozen=True)
class Stepped:
    """A cost per hour of any shape, and the volume of one machine."""

    cost: Callable[[float], float]
    step: float | None = None

    def per_hour(self, volume: float) -> float:
        return self.cost(volume)


def test_the_search_ends_with_two_hundred_machines() -> None:
    # a machine bears one image an hour; remote is free up to a volume, and then costs more than the 1.0 of local
    local = Stepped(lambda volume: 1.0)
    seen = break_even(local, Stepped(lambda volume: 2.0 * (volume > 199.5), step=1.0))
    assert seen is not None
    assert (seen.above, seen.below) == (0, pytest.approx(199.5))
    assert break_even(local, Stepped(lambda volume: 2.0 * (volume > 200.5), step=1.0)) == BreakEven(0.0, None)


def test_the_search_begins_with_an_image_a_year_or_so() -> None:
    # 0.0001 an hour: what is dearer up to 0.00009 is not looked at, what is dearer up to 0.00011 is
    local = Stepped(lambda volume: 1.0)
    assert break_even(local, Stepped(lambda volume: 2.0 * (volume < 0.00009))) == BreakEven(0.0, None)
    seen = break_even(local, Stepped(lambda volume: 2.0 * (volume < 0.00011)))
    assert seen is not None
    assert (seen.above, seen.below) == (pytest.approx(0.00011), None)


def test_a_stretch_of_the_first_replica_is_searched_at_65_volumes() -> None:
    # from 0.0001 to 10,000 each volume is 10 ** (8 / 64) = 1.33 times the last, so 1 is one of them; 65 or 63 volumes
    # apart none is within 10% of it
    cheap_around_one = Stepped(lambda volume: 0.0 if 0.9 < volume < 1.1 else 2.0, step=10_000.0)
    seen = break_even(Stepped(lambda volume: 1.0), cheap_around_one)
    assert seen is not None
    assert (seen.above, seen.below) == (pytest.approx(0.9), pytest.approx(1.1))


_RATES = st.floats(0.001, 100)
_TIMES = st.floats(0.001, 100)


@given(_RATES, _TIMES, _RATES, _TIMES, st.sampled_from(["use", "hour"]), st.none() | st.floats(60, 7200))
def test_a_break_even_has_the_endpoint_cheaper_above_it_and_dearer_below(
    rate: float, seconds: float, price: float, served: float, charge: str, idle_s: float | None
) -> None:
    card = LocalCost(rate, seconds, 0.0, charge)  # type: ignore[arg-type]
    endpoint = EndpointCost(price, served, 60.0, idle_s, 0.8)
    found = break_even(card, endpoint)
    if found is None:
        return
    inside = (found.above or 1e-4) * (1 + 1e-6)
    if found.below is None or inside < found.below:
        assert endpoint.per_hour(inside) <= card.per_hour(inside) * (1 + 1e-5)
    if found.above:
        outside = found.above * (1 - 1e-6)
        assert endpoint.per_hour(outside) >= card.per_hour(outside) * (1 - 1e-5)
    if found.below:
        beyond = found.below * (1 + 1e-6)
        assert endpoint.per_hour(beyond) >= card.per_hour(beyond) * (1 - 1e-5)


@given(st.floats(1e-3, 1e5), st.floats(0, 3600), st.floats(1, 36_000))
def test_more_requests_are_never_billed_for_less_of_the_time(volume: float, start_s: float, idle_s: float) -> None:
    share = billed_share(volume, start_s, idle_s)
    assert 0 <= share <= 1
    assert share <= billed_share(volume * 1.5, start_s, idle_s) + 1e-12
