"""Cards and endpoints with a price: whose time they have, and what their energy is."""

from __future__ import annotations

import pytest
from endpoint_records import a_load, an_endpoint_record, facts, remote
from factories import a_case, a_device, measured, out_of_memory, published, refusal
from sides import compared, prices

from bench.cost.arithmetic import per_1000
from bench.cost.comparison import BUSY, VOLUMES, Costs, checked, compare
from bench.errors import ConfigError
from bench.record import Record, Telemetry

NVIDIA = a_device(name="NVIDIA Test", total_bytes=None)


def costs(*records: Record, **fields: object) -> Costs:
    return compare(list(records), compared(list(records)), prices(**fields), VOLUMES)


def test_a_card_bought_pays_its_hours_and_board_power_and_one_rented_its_rent() -> None:
    # 0.5 s at 360 W are 180 J: 0.00005 kWh, 0.00001 in money. 0.05 an hour bought, 0.36 rented
    bought, rented = costs(published(0.5, device=NVIDIA)).images[0].local
    assert bought.energy is not None
    assert (bought.energy.joules, bought.energy.found_by) == (180, "board power")
    assert bought.cost is not None
    assert rented.cost is not None
    assert per_1000(bought.cost, 10) == pytest.approx(0.05 * 0.5 / 3.6 + 0.01)
    assert per_1000(rented.cost, 10) == pytest.approx(0.05)


def test_energy_that_the_driver_measured_goes_before_board_power() -> None:
    record = measured(0.5, device=NVIDIA, telemetry=Telemetry(energy_per_call_j=72.0))
    (bought, _) = costs(record).images[0].local
    assert bought.energy is not None
    assert (bought.energy.joules, bought.energy.found_by) == (72.0, "measured")


def test_a_batch_is_shared_by_its_images() -> None:
    record = measured(2.0, device=NVIDIA, case=a_case(batch=4), telemetry=Telemetry(energy_per_call_j=72.0))
    (bought, _) = costs(record).images[0].local
    assert bought.cost is not None
    assert bought.energy is not None
    assert (bought.cost.seconds, bought.energy.joules) == (0.5, 18.0)


def test_a_card_on_which_nothing_fits_has_no_cost() -> None:
    local = costs(out_of_memory(device=NVIDIA)).images[0].local
    assert [one.cost for one in local] == [None, None]


def test_an_endpoint_s_accelerator_has_its_own_time_where_there_is_one() -> None:
    mine, public = costs(measured(0.5, device=NVIDIA)).images[0].remote
    assert (mine.seconds, mine.kind, mine.by) == (0.5, "measured", None)
    assert mine.cost is not None
    assert mine.cost.busy == BUSY
    assert public.cost is not None
    assert per_1000(public.cost, 1) == 0


def test_a_time_of_what_stands_in_is_simulated() -> None:
    endpoint = {"accelerator": "NVIDIA Other", "stand_in": "NVIDIA Test", "stand_in_reason": "the same chip"}
    sourced = {"price": 1.0, "unit": "USD/hour", "source": "made up", "date": "2026-01-31"}
    (found,) = costs(measured(0.5, device=NVIDIA), endpoints={"mine": endpoint | sourced}).images[0].remote
    assert (found.seconds, found.kind, found.by) == (0.5, "simulated", "NVIDIA Test")


def test_an_endpoint_that_was_put_under_load_bears_what_it_answered() -> None:
    # Given an endpoint that computes for 25 ms and answers 16 a second
    device = a_device(name="NVIDIA Test", total_bytes=None)
    closed = a_load(kind="closed", concurrency=8, rate_per_s=None, share=None, lag_p99_s=None, errors={})
    answers = remote(0.05, endpoint=facts(server_device=device), loads=(closed, a_load()))
    record = an_endpoint_record(0.05, remote=answers)
    # When its cost is asked for
    mine = costs(record).images[0].remote[0]
    # Then what counts is the throughput
    assert mine.seconds == pytest.approx(1 / closed.throughput_per_s)
    # and without load its computing
    unloaded = costs(an_endpoint_record(0.05, remote=remote(0.05, endpoint=facts(server_device=device))))
    assert unloaded.images[0].remote[0].seconds == pytest.approx(0.025)


def test_a_device_without_a_price_and_an_endpoint_without_a_time_are_told() -> None:
    found = costs(measured(0.5, device=a_device(name="NVIDIA Unknown")))
    assert found.images[0].local == ()
    assert "NVIDIA Unknown: no price of it: add it to `cards` of prices.yaml, or of a file for --prices" in found.gaps
    assert any(gap.startswith("mine (NVIDIA Test): nobody has a time of it") for gap in found.gaps)


@pytest.mark.parametrize("volume", [0.0, -5.0, float("nan"), float("inf")])
def test_what_is_no_volume_is_refused(volume: float) -> None:
    assert "give images per hour, more than 0" in refusal(ConfigError, lambda: checked([1.0, volume]))


def test_volumes_stand_once_and_rising() -> None:
    assert checked([100, 1, 100]) == (1, 100)
