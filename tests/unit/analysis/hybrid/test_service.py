"""The time of a request at an endpoint without the network, worked by hand, and who serves."""

from __future__ import annotations

import pytest
from endpoint_records import an_endpoint_record, each, facts, remote, timing
from factories import GIB, a_case, a_device, measured, out_of_memory, published
from sides import FILES

from bench.analysis.hybrid.service import (
    EndpointTime,
    alike,
    carries,
    of_card,
    of_loopback,
    of_time,
    seconds,
    usual_server,
    whole_card_s,
)
from bench.core.network import Path
from bench.record import Exchange, Record, ServerTimes, Tile

BIG, SMALL = (a_device(name=name) for name in ("NVIDIA Big", "NVIDIA Small"))
#: A byte a microsecond, both ways, and a round trip of 10 ms.
PATH = Path(0.010, 8e6, 8e6)


# Over a network


def test_the_time_over_a_network_is_the_endpoint_s_and_each_part_of_the_way() -> None:
    # bodies of 10,000 and 5,000 bytes with their heads of 450 and 550. A round trip each to connect and for TLS, with
    # 600 + 4,000 bytes; half a one up and down
    service = EndpointTime(
        by="NVIDIA Test",
        kind="published",
        case=a_case(),
        transport="png",
        sent_bytes=9_550,
        received_bytes=4_450,
        compute_s=0.1,
        off_network_s=0.3,
        measured_as_whole=False,
    )
    way = service.over_network(PATH)
    assert (way.connect_s, way.tls_s) == (0.010, pytest.approx(0.0146))
    assert (way.upload_s, way.download_s) == (pytest.approx(0.015), pytest.approx(0.010))
    assert way.seconds == service.over(PATH) == pytest.approx(0.3 + 0.0496)
    assert way.kind == "simulated"


# An endpoint on loopback


def test_an_endpoint_on_loopback_takes_what_its_requests_took_and_computes_for_a_part_of_it() -> None:
    service = of_loopback(an_endpoint_record(0.05))
    assert service is not None
    assert (service.by, service.kind, service.transport) == ("loopback on Test CPU", "measured", "jpg")
    assert (service.sent_bytes, service.received_bytes) == (32_768, 250_000)
    assert (service.off_network_s, service.compute_s) == (pytest.approx(0.055), pytest.approx(0.025))
    assert service.measured_as_whole


def test_an_endpoint_that_does_not_tell_its_computing_is_taken_to_compute_all_the_time() -> None:
    silent = Exchange(client="bench", connection="new", timing=timing(0.05))
    service = of_loopback(an_endpoint_record(remote=remote(exchanges=(silent,))))
    assert service is not None
    assert service.compute_s == service.off_network_s == 0.05


def test_an_endpoint_that_computes_in_no_time_is_taken_at_its_word() -> None:
    silent = Exchange(client="bench", connection="new", timing=timing(0.05), server=ServerTimes(compute_s=each(0.0)))
    service = of_loopback(an_endpoint_record(remote=remote(exchanges=(silent,))))
    assert service is not None
    assert service.compute_s == 0


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(measured(0.05, case=a_case(transport="jpg")), id="a card"),
        pytest.param(an_endpoint_record(case={"transport": None}), id="without a transport"),
        pytest.param(an_endpoint_record(remote=remote(endpoint=facts(url="https://example.org"))), id="elsewhere"),
        pytest.param(an_endpoint_record(kind="predicted"), id="predicted"),
        pytest.param(an_endpoint_record(remote=remote(request_bytes=None)), id="without the bytes sent"),
        pytest.param(an_endpoint_record(remote=remote(response_bytes=None)), id="without the bytes received"),
    ],
)
def test_other_records_are_of_no_endpoint_on_loopback(record: Record) -> None:
    assert of_loopback(record) is None


# A card that stands in


def test_a_card_that_stands_in_computes_and_handles_a_file_at_both_ends() -> None:
    # 1,000 x 1,000 pixels as PNG: 2 bytes each, 0.1 s to write and 0.2 s to read; 4 x 125 x 125 values of 2 bytes
    record = published(0.5, device=BIG, case=a_case(model="sd-v1", size=1000, dtype="float16"))
    service = of_card(record, "png", FILES)
    assert service is not None
    assert (service.by, service.kind, service.case) == ("NVIDIA Big", "published", record.case)
    assert (service.sent_bytes, service.received_bytes) == (2_000_000, 125_000)
    assert service.compute_s == 0.5
    assert service.off_network_s == pytest.approx(0.8)
    assert (service.transport, service.measured_as_whole) == ("png", False)


def test_a_card_without_a_time_stands_in_for_nothing() -> None:
    assert of_card(out_of_memory(device=BIG, case=a_case()), "png", FILES) is None


@pytest.mark.parametrize(
    ("fields", "transport", "known"),
    [
        ({}, "png", True),
        ({"model": "gone"}, "png", False),
        ({"dtype": "float8"}, "png", False),
        ({"batch": 2}, "png", False),
        ({"batch": 2}, "pt", True),
    ],
)
def test_a_time_is_of_a_service_if_the_payload_is_known(fields: dict[str, object], transport: str, known: bool) -> None:
    service = of_time(a_case(**fields), 0.5, "predicted", "NVIDIA Big", transport, FILES)  # type: ignore[arg-type]
    assert (service is not None) == known


def test_a_file_carries_one_image_and_a_tensor_any_number() -> None:
    one, two, frames = a_case(), a_case(batch=2), a_case(frames=2)
    for transport in ("jpg", "png"):
        assert [carries(transport, case) for case in (one, two, frames)] == [True, False, False]
    for transport in ("pt", "pt-partial"):
        assert [carries(transport, case) for case in (one, two, frames)] == [True, True, True]


def test_cases_that_a_server_may_compute_in_its_own_way_are_alike() -> None:
    case = a_case(operation="decode", transport="jpg")
    own_ways = ({"dtype": "float16"}, {"tiling": Tile(tile=64, overlap=16)}, {"weights": "hub"}, {"transport": "pt"})
    assert {alike(case.model_copy(update=own_way)) for own_way in own_ways} == {alike(case)}
    others = ({"operation": "encode"}, {"model": "sdxl"}, {"size": 128}, {"batch": 2})
    assert alike(case) not in {alike(a_case(**{"operation": "decode"} | other)) for other in others}


# Times that are known


@pytest.mark.parametrize(("median_s", "known_s"), [(0.0, None), (0.9e-9, None), (1e-9, 1e-9), (0.25, 0.25)])
def test_a_time_that_was_printed_as_0_is_not_known(median_s: float, known_s: float | None) -> None:
    record = published(median_s)
    assert seconds(record) == whole_card_s(record) == known_s


def test_without_a_record_a_timing_or_a_success_no_time_is_known() -> None:
    assert seconds(None) is None
    assert seconds(measured(timing=None)) is None
    assert seconds(out_of_memory(timing=timing(0.05))) is None


# Who serves


def of(device: str, median_s: float, size: int = 64, kind: str = "cuda", limit: int | None = None) -> Record:
    return measured(median_s, case=a_case(size=size), device=a_device(name=device, kind=kind), vram_limit_bytes=limit)


def test_the_card_that_is_quickest_for_most_shared_images_serves() -> None:
    # given two images that Big is quicker at, one that Small is, and two that Small alone has
    shared = ((64, 0.1), (128, 0.1), (256, 0.3))
    records = [of(name, time_s, size) for size, big_s in shared for name, time_s in (("Big", big_s), ("Small", 0.2))]
    assert usual_server([*records, of("Small", 0.2, 512), of("Small", 0.2, 1024)]) == "Big"


def test_if_no_image_is_shared_the_card_with_the_most_serves() -> None:
    assert usual_server([of("Big", 0.1, 64), of("Small", 9.0, 128), of("Small", 9.0, 256)]) == "Small"


def test_of_several_times_of_a_card_for_an_image_the_shortest_counts() -> None:
    # given Big in two precisions, whichever comes first
    tried = [of("Big", 0.1), of("Small", 0.2), of("Big", 0.3)]
    assert usual_server(tried) == usual_server(tried[::-1]) == "Big"


def test_neither_processors_nor_limited_cards_nor_untimed_ones_serve() -> None:
    idle = [of("Test CPU", 0.01, kind="cpu"), of("Big", 0.01, limit=8 * GIB), of("Zero", 0.0)]
    assert usual_server(idle) is None
    assert usual_server([*idle, of("Small", 0.2)]) == "Small"
    assert usual_server([]) is None
