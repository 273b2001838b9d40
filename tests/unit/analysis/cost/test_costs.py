"""Cards and endpoints with a price: whose time they have, and what their energy is."""

from __future__ import annotations

import pytest
from endpoint_records import a_load, an_endpoint_record, each, facts, remote, timing
from factories import a_case, a_device, measured, out_of_memory, published, refusal
from sides import compared, prices

from bench.analysis.cost.arithmetic import EndpointCost, LocalCost, per_1000
from bench.analysis.cost.image_costs import BUSY, VOLUMES, Costs, Remote, checked, compare
from bench.analysis.cost.outputs import output_of
from bench.errors import ConfigError
from bench.record import Exchange, Record, ServerTimes, Start, Telemetry, Tile
from bench.report.pages.cost_tables import endpoint_name
from bench.workloads import models
from bench.workloads.model_facts import Facts

NVIDIA = a_device(name="NVIDIA Test", total_bytes=None)


def costs(*records: Record, **fields: object) -> Costs:
    return compare(list(records), compared(list(records)), prices(**fields), VOLUMES)


def test_a_card_bought_pays_its_hours_and_board_power_and_one_rented_its_rent() -> None:
    # 0.5 s at 360 W are 180 J: 0.00005 kWh, 0.00001 in money. 0.05 an hour bought, 0.36 rented
    bought, rented = costs(published(0.5, device=NVIDIA)).images[0].local
    assert bought.energy is not None
    assert (bought.energy.joules, bought.energy.source) == (180, "board power")
    assert bought.cost is not None
    assert rented.cost is not None
    assert per_1000(bought.cost, 10) == pytest.approx(0.05 * 0.5 / 3.6 + 0.01)
    assert per_1000(rented.cost, 10) == pytest.approx(0.05)


def test_energy_that_the_driver_measured_goes_before_board_power() -> None:
    record = measured(0.5, device=NVIDIA, telemetry=Telemetry(energy_per_call_j=72.0))
    (bought, _) = costs(record).images[0].local
    assert bought.energy is not None
    assert (bought.energy.joules, bought.energy.source) == (72.0, "measured")


def test_a_batch_is_shared_by_its_images() -> None:
    record = measured(2.0, device=NVIDIA, case=a_case(batch=4), telemetry=Telemetry(energy_per_call_j=72.0))
    (bought, _) = costs(record).images[0].local
    assert bought.cost is not None
    assert bought.energy is not None
    assert (bought.cost.seconds, bought.energy.joules) == (0.5, 18.0)


def test_a_card_on_which_nothing_fits_has_no_cost() -> None:
    tiled = a_case(tiling=Tile(tile=64, overlap=16))
    local = costs(out_of_memory(device=NVIDIA), out_of_memory(device=NVIDIA, case=tiled)).images[0].local
    assert [one.cost for one in local] == [None, None]


def test_an_endpoint_s_accelerator_has_its_own_time_where_there_is_one() -> None:
    mine, public = costs(measured(0.5, device=NVIDIA)).images[0].remote
    assert (mine.seconds, mine.kind, mine.by) == (0.5, "simulated", "NVIDIA Test")  # locally: as if it served
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


def test_loads_that_say_nothing_of_what_the_endpoint_bears_do_not_count() -> None:
    device = a_device(name="NVIDIA Test", total_bytes=None)
    closed = {"kind": "closed", "rate_per_s": None, "share": None, "lag_p99_s": None}
    wrong = a_load(concurrency=8, errors={"503 busy": 3}, **closed)
    alone = a_load(concurrency=1, errors={}, **closed)
    good = a_load(concurrency=8, errors={}, **closed)
    here, away = facts(server_device=device), facts(server_device=device, url="https://example.org/vae")
    for endpoint, load in ((here, wrong), (here, alone), (away, good)):
        record = an_endpoint_record(remote=remote(0.05, endpoint=endpoint, loads=(load,)))
        assert costs(record).images[0].remote[0].seconds == pytest.approx(0.025)


def test_an_endpoint_s_own_time_goes_before_the_local_one_of_its_accelerator() -> None:
    device = a_device(name="NVIDIA Test", total_bytes=None)
    record = an_endpoint_record(remote=remote(0.05, endpoint=facts(server_device=device)))
    mine = costs(record, measured(0.001, device=NVIDIA, case=a_case(operation="decode"))).images[0].remote[0]
    assert (mine.seconds, mine.kind, mine.by) == (pytest.approx(0.025), "measured", None)


def test_a_batch_is_shared_on_an_endpoint_too() -> None:
    record = measured(4.5, device=NVIDIA, case=a_case(batch=9), telemetry=Telemetry(energy_per_call_j=90.0))
    image = costs(record).images[0]
    assert image.remote[0].seconds == 0.5
    assert image.local[0].energy is not None
    assert (image.local[0].energy.joules, image.local[0].cost and image.local[0].cost.seconds) == (10.0, 0.5)
    unmeasured = costs(published(4.5, device=NVIDIA, case=a_case(batch=9))).images[0].local[0]
    assert unmeasured.energy is not None
    assert unmeasured.energy.joules == 180


def test_a_server_that_says_it_computes_in_no_time_has_no_cost() -> None:
    device = a_device(name="NVIDIA Test", total_bytes=None)
    nothing = ServerTimes(compute_s=each(0.0))
    exchanged = (Exchange(client="bench", connection="new", timing=timing(0.05), server=nothing),)
    record = an_endpoint_record(remote=remote(0.05, endpoint=facts(server_device=device), exchanges=exchanged))
    assert costs(record).images[0].remote[0].cost is None


def test_a_card_without_a_price_is_told_by_the_name_that_prices_go_by() -> None:
    found = costs(measured(0.5, device=a_device(name="NVIDIA Unknown"), vram_limit_bytes=2**33))
    assert any("no price" in gap and "NVIDIA Unknown:" in gap for gap in found.gaps)


def test_what_lacks_the_same_is_told_in_one_sentence() -> None:
    devices = [a_device(name=name) for name in ("NVIDIA One", "NVIDIA Two")]
    found = costs(*(measured(0.5, device=device) for device in devices))
    (gap,) = (gap for gap in found.gaps if "no price" in gap)
    assert all(device.name in gap for device in devices)


def test_a_card_under_a_limit_serves_nothing() -> None:
    limited = measured(0.1, device=NVIDIA, vram_limit_bytes=2**33)
    assert costs(limited, measured(0.5, device=NVIDIA)).images[0].remote[0].seconds == 0.5


def test_energy_is_told_of_a_rented_card_too_and_not_paid_twice() -> None:
    (_, rented) = costs(measured(0.5, device=NVIDIA, telemetry=Telemetry(energy_per_call_j=72.0))).images[0].local
    assert rented.energy is not None
    assert rented.energy.joules == 72
    assert rented.cost is not None
    assert rented.cost.energy == 0


def test_a_device_without_a_price_and_an_endpoint_without_a_time_are_told() -> None:
    found = costs(measured(0.5, device=a_device(name="NVIDIA Unknown")))
    assert found.images[0].local == ()
    price = next(gap for gap in found.gaps if "no price" in gap)
    assert all(name in price for name in ("NVIDIA Unknown", "`cards`", "prices.yaml", "--prices"))
    assert any("no time" in gap and "mine (NVIDIA Test)" in gap for gap in found.gaps)
    assert any("no figures, neither" in gap and "Flux encode" in gap for gap in found.gaps)


@pytest.mark.parametrize("volume", [0.0, -5.0, float("nan"), float("inf")])
def test_what_is_no_volume_is_refused(volume: float) -> None:
    assert "give images per hour, more than 0" in refusal(ConfigError, lambda: checked([1.0, volume]))


def test_volumes_stand_once_and_rising() -> None:
    assert checked([100, 1, 100]) == (1, 100)


# Videos


def test_a_video_costs_by_the_second_of_video_and_an_image_by_the_image(toy_video: str) -> None:
    # given 17 frames of 8 a second, which are 2.125 s, computed in 4.25 s on a card of 0.36 an hour
    clip = a_case(model=toy_video, operation="decode", size=512, frames=17)
    # when
    output = output_of(clip)
    # then
    assert (output.unit, output.count) == ("second of video", pytest.approx(2.125))
    assert (output_of(a_case(batch=4)).unit, output_of(a_case(batch=4)).count) == ("image", 4)
    card = LocalCost(rate=0.36, seconds=4.25 / output.count, energy=0.0)
    assert per_1000(card, 1) == pytest.approx(0.2)  # 2 s of computing a second of video, at 0.0001 a second


def test_a_video_of_unknown_frame_rate_costs_by_the_frame(toy_video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(models.workload(toy_video)), "facts", lambda self, key: Facts())
    output = output_of(a_case(model=toy_video, frames=17, batch=2))
    assert (output.unit, output.count) == ("frame", 34)


def test_a_clip_is_one_request_that_wakes_an_endpoint() -> None:
    # 1 image an hour wakes it once an hour; 10 seconds of video an hour in clips of 10 s do as well
    by_image = EndpointCost(rate=2.0, seconds=1.0, idle_s=3600)
    by_second = EndpointCost(rate=2.0, seconds=1.0, idle_s=3600, images_per_request=10)
    assert by_second.per_hour(10) == pytest.approx(by_image.per_hour(1))


def test_the_costs_of_a_clip_are_those_of_its_seconds(toy_video: str) -> None:
    # given
    clip = a_case(model=toy_video, operation="decode", size=512, frames=17)
    records = [measured(4.25, case=clip, device=a_device(name="NVIDIA Test", total_bytes=None))]
    # when
    (image,) = compare(records, compared(records), prices(), VOLUMES).images
    # then
    assert [local.cost.seconds for local in image.local if local.cost] == [pytest.approx(2.0)] * 2


def test_a_measured_start_goes_before_the_assumed_one_and_one_that_a_request_began_before_all() -> None:
    # Given an endpoint that is assumed to take 180 s to start, and one on its accelerator that measured its starts
    sourced = {"price": 1.0, "unit": "USD/hour", "source": "made up", "date": "2026-01-31"}
    endpoint = {"accelerator": "NVIDIA Test", "start_s": 180, "idle_s": 600, **sourced}

    def served(*starts: Start | None) -> Remote:
        records = [
            an_endpoint_record(
                remote=remote(endpoint=facts(url=f"http://127.0.0.1:{place}", server_device=NVIDIA, start=start))
            )
            for place, start in enumerate(starts, 1)
        ]
        (priced,) = costs(*records, endpoints={"own": endpoint}).images[0].remote
        return priced

    def start_s(priced: Remote) -> float:
        assert isinstance(priced.cost, EndpointCost)
        return priced.cost.start_s

    process = Start(seconds=20, since="process")
    assert start_s(served(None)) == 180
    assert start_s(served(process)) == 20
    woken = served(process, Start(seconds=12, since="request"), Start(seconds=15, since="request"))
    assert (start_s(woken), woken.start) == (15, Start(seconds=15, since="request"))
    # then the page says which
    assert "measured start: 15.0 s" in endpoint_name(woken)
    assert "start" not in endpoint_name(served(None))
