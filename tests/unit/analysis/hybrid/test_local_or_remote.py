"""Local beside remote: what stands for an endpoint, what is quickest, and what is missing."""

from __future__ import annotations

import pytest
from endpoint_records import an_endpoint_record, endpoint_device, facts, remote
from factories import GIB, a_case, a_device, measured, out_of_memory, published, refusal
from sides import NETWORKS, compared, request

from bench.analysis.hybrid.local_or_remote import compare
from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.scenario import Wanted
from bench.analysis.hybrid.service import of_loopback, seconds, whole_card_s
from bench.errors import ConfigError
from bench.record import Failed, Record, Tile
from bench.workloads.labels import size_of

BIG, SMALL = (a_device(name=name, total_bytes=None) for name in ("NVIDIA Big", "NVIDIA Small"))
TILED = Tile(tile=512, overlap=128)


def encode(size: int = 1000, **fields: object) -> dict[str, object]:
    return {"case": a_case(**{"model": "sd-v1", "operation": "encode", "size": size, "dtype": "float16"} | fields)}


def only(records: list[Record], device: str = "NVIDIA Small", **fields: object) -> Row:
    (row,) = [row for row in compared(records, **fields).rows if row.device.name == device]
    return row


def test_the_quickest_card_stands_in_with_files_at_both_ends_and_the_network() -> None:
    # Given a card that takes 0.1 s and one that takes 5
    row = only([published(5.0, device=SMALL, **encode()), published(0.1, device=BIG, **encode())])
    # Then the endpoint takes 0.1, and 0.1 and 0.2 for a PNG of a megapixel
    service = row.remote.service
    assert service is not None
    assert service.by == "NVIDIA Big"
    assert service.off_network_s == pytest.approx(0.4)
    assert (service.sent_bytes, service.received_bytes) == (2_000_000, 125_000)
    assert row.remote.over_s["near"] == pytest.approx(service.over(NETWORKS["near"].path))
    assert row.remote.over_s["near"] < row.remote.over_s["far"]
    assert row.fastest is not None
    assert (row.fastest.way, row.fastest.kind, row.fastest.network) == ("remote", "simulated", "near")


def test_local_wins_where_it_takes_less_than_the_endpoint() -> None:
    row = only([published(0.2, device=SMALL, **encode()), published(0.1, device=BIG, **encode())])
    assert row.fastest is not None
    assert (row.fastest.way, row.fastest.seconds, row.fastest.kind) == ("untiled", 0.2, "published")
    assert row.crossover is not None
    assert row.crossover.verdict == "never"


def test_of_several_tiles_the_quickest_that_fits_counts() -> None:
    tiles = [Tile(tile=edge, overlap=0) for edge in (256, 512, 768)]
    records = [
        out_of_memory(device=SMALL, **encode()),
        published(3.0, device=SMALL, **encode(tiling=tiles[0])),
        published(2.0, device=SMALL, **encode(tiling=tiles[1])),
        out_of_memory(device=SMALL, **encode(tiling=tiles[2])),
    ]
    records = [record.model_copy(update={"kind": "published"}) for record in records]
    row = only(records)
    assert row.tiled is not None
    assert row.tiled.case.tile == tiles[1]
    assert (row.tiles, row.local_s, row.only_remote_fits) == (3, 2.0, False)


def test_where_nothing_fits_locally_remote_is_the_only_way() -> None:
    none = [out_of_memory(device=SMALL, **encode()), out_of_memory(device=SMALL, **encode(tiling=TILED))]
    row = only([*none, published(0.1, device=BIG, **encode())])
    assert row.only_remote_fits
    assert row.local_s is None
    assert row.fastest is not None
    assert row.fastest.way == "remote"
    assert row.crossover is not None
    assert row.crossover.verdict == "always"


def test_an_untiled_case_out_of_memory_alone_is_no_word_on_what_a_tile_would_do() -> None:
    found = compared([out_of_memory(device=SMALL, **encode()), published(0.1, device=BIG, **encode())])
    row = next(row for row in found.rows if row.device.name == "NVIDIA Small")
    assert (row.fits, row.only_remote_fits, row.crossover) == ("untiled: no", False, None)
    assert any("out of memory, and tiling was not tried" in gap for gap in found.gaps)


def test_a_tile_that_failed_is_no_word_on_whether_it_fits() -> None:
    tiles = [Tile(tile=edge, overlap=0) for edge in (256, 512)]
    broken = measured(device=SMALL, outcome=Failed(exception="ValueError"), timing=None, **encode(tiling=tiles[0]))
    row = only(
        [out_of_memory(device=SMALL, **encode()), broken, out_of_memory(device=SMALL, **encode(tiling=tiles[1]))]
    )
    assert row.fits == "unknown"


def test_a_case_that_failed_is_no_word_on_whether_it_fits() -> None:
    broken = measured(device=SMALL, outcome=Failed(exception="ValueError"), timing=None, **encode())
    row = only([broken, published(0.1, device=BIG, **encode())])
    assert not row.only_remote_fits
    assert row.crossover is None


def test_a_loopback_endpoint_is_taken_whole_and_its_own_bytes_are_sent() -> None:
    record = an_endpoint_record(0.05, case={"operation": "decode", "size": 64, "transport": "jpg"})
    service = of_loopback(record)
    assert service is not None
    assert service.off_network_s == record.timing.median_s if record.timing else False
    assert (service.sent_bytes, service.received_bytes) == (32_768, 250_000)
    assert service.compute_s == pytest.approx(0.025)
    assert service.measured_as_whole


def test_an_endpoint_across_a_network_is_shown_as_measured_and_not_simulated() -> None:
    away = remote(0.05, endpoint=facts(url="https://example.org/vae"))
    record = an_endpoint_record(
        0.05, case={"operation": "decode", "transport": "jpg"}, remote=away, device=endpoint_device("mine")
    )
    local = measured(3.0, device=SMALL, case=a_case(operation="decode"))
    row = only([record, local])
    assert row.fastest is not None
    assert (row.fastest.way, row.fastest.endpoint, row.fastest.kind) == ("remote", "mine", "measured")
    assert (
        row.remote.service is not None
    )  # the card itself stands in, since the endpoint's own time has a network in it
    assert row.remote.service.by == "NVIDIA Small"


def test_what_is_on_loopback_is_never_the_quickest_as_it_was_measured() -> None:
    record = an_endpoint_record(0.001, case={"operation": "decode", "transport": "jpg"})
    row = only([record, measured(0.002, device=SMALL, case=a_case(operation="decode"))])
    assert row.fastest is not None
    assert row.fastest.endpoint is None
    assert row.fastest.kind == "measured"
    assert row.fastest.way == "untiled"


def test_a_processor_stands_in_for_nothing() -> None:
    cpu = a_device(kind="cpu", name="Test CPU")
    found = compared([measured(1.0, device=cpu, **encode())])
    assert found.card is None
    assert found.rows[0].remote.service is None
    assert any(str(found.rows[0].remote.reason) in gap for gap in found.gaps)


def test_a_limited_card_stands_in_for_nothing_either() -> None:
    found = compared([measured(1.0, device=BIG, vram_limit_bytes=8 * GIB, **encode())])
    assert found.card is None


def test_a_server_out_of_memory_is_said() -> None:
    found = compared([published(0.1, device=BIG, **encode(512)), out_of_memory(device=BIG, **encode(2048))])
    gap = next(gap for gap in found.gaps if "no remote figure" in gap)
    assert all(part in gap for part in ("encode at 2048x2048", "NVIDIA Big", "out of memory"))


def test_another_server_can_be_named_by_a_part_of_its_name() -> None:
    records = [published(5.0, device=SMALL, **encode()), published(0.1, device=BIG, **encode())]
    assert compared(records, server="small").card == "NVIDIA Small"
    several = refusal(ConfigError, lambda: compared(records, server="nvidia"))
    assert several.startswith("--server nvidia: ")
    assert "NVIDIA Small, NVIDIA Big" in several
    none = refusal(ConfigError, lambda: compared(records, server="NVIDIA Bug"))
    assert none.endswith("Known: Big, Small.")


@pytest.mark.parametrize("part", ["mall", "big2", "N"])
def test_a_part_of_a_word_names_no_server(part: str) -> None:
    records = [published(5.0, device=SMALL, **encode()), published(0.1, device=BIG, **encode())]
    assert refusal(ConfigError, lambda: compared(records, server=part)).startswith(f"--server {part}: ")


def test_another_transport_is_another_payload() -> None:
    row = only([published(5.0, device=SMALL, **encode())], transports={"encode": "pt", "decode": "jpg"})
    assert row.remote.service is not None
    assert row.remote.service.off_network_s == 5.0
    assert row.remote.service.sent_bytes == 6_000_000


def test_only_what_was_asked_for_is_compared_and_what_of_it_is_missing_is_told() -> None:
    records = [published(0.1, device=BIG, **encode(size)) for size in (512, 1024)]
    found = compared(records, Wanted(models=("sd-v1", "flux"), operations=("encode",), sizes=((512, 512),)))
    assert [size_of(row.case) for row in found.rows] == ["512x512"]
    (gap,) = found.without
    assert "Flux encode 512x512" in gap
    assert "`bench run --model flux --operation encode --resolution 512x512`" in gap
    assert "`bench advise --gpu NAME --model flux --operation encode --resolution 512x512`" in gap


def test_a_device_that_has_nothing_of_what_was_chosen_is_told() -> None:
    records = [published(0.1, device=BIG, **encode(512)), published(0.1, device=SMALL, **encode(1024))]
    found = compared(records, Wanted(sizes=((1024, 1024),), devices=(BIG.name,)))
    assert found.rows == ()
    assert any(BIG.name in gap and "1024x1024" in gap for gap in found.without)


def test_only_what_was_measured_or_published_is_a_time_that_is_known() -> None:
    record = measured(0.1)
    kinds = ("measured", "published", "predicted", "simulated")
    assert [seconds(record.model_copy(update={"kind": kind})) for kind in kinds] == [0.1, 0.1, None, None]
    assert whole_card_s(record) == 0.1
    assert whole_card_s(record.model_copy(update={"vram_limit_bytes": 2**30})) is None


def test_a_device_is_narrowed_to_and_the_server_still_stands_in() -> None:
    records = [published(5.0, device=SMALL, **encode()), published(0.1, device=BIG, **encode())]
    found = compared(records, Wanted(devices=("small",)))
    assert [row.device.name for row in found.rows] == ["NVIDIA Small"]
    assert found.card == "NVIDIA Big"


def test_rows_stand_by_size_within_a_device_and_measured_ones_first() -> None:
    records = [published(0.1, device=BIG, **encode(size)) for size in (1024, 256, 512)]
    records += [measured(0.1, device=SMALL, **encode(512))]
    found = [(row.device.name, row.case.axes["width"]) for row in compared(records).rows]
    assert found == [("NVIDIA Small", 512), ("NVIDIA Big", 256), ("NVIDIA Big", 512), ("NVIDIA Big", 1024)]


def test_a_user_s_own_slow_card_does_not_stand_in_for_the_models_that_it_alone_measured() -> None:
    # Given one image that both have, and three that only the slow one has
    records = [published(0.1, device=BIG, **encode(512)), measured(0.5, device=SMALL, **encode(512))]
    records += [measured(0.5, device=SMALL, **encode(size, operation="decode")) for size in (256, 512, 1024)]
    assert compared(records).card == "NVIDIA Big"


def test_a_card_under_a_limit_does_not_serve_although_the_whole_one_does() -> None:
    whole = measured(0.5, device=BIG, **encode())
    limited = measured(0.1, device=BIG, vram_limit_bytes=8 * GIB, **encode())
    service = compared([whole, limited]).remote_images[0].service
    assert service is not None
    assert service.compute_s == 0.5


def test_an_endpoint_on_loopback_can_be_named_as_the_server() -> None:
    # Given an endpoint that is slower than the card
    slow = an_endpoint_record(3.0, case={"operation": "encode", "size": 1000, "model": "sd-v1", "transport": "png"})
    records = [slow, published(0.1, device=BIG, **encode())]
    assert compared(records).remote_images[0].service.by == "NVIDIA Big"  # type: ignore[union-attr]
    named = compared(records, server="loopback")
    assert named.card is None
    assert named.remote_images[0].service.by == "loopback on Test CPU"  # type: ignore[union-attr]


def test_an_endpoint_that_was_measured_over_another_transport_is_told() -> None:
    record = an_endpoint_record(case={"operation": "decode", "transport": "pt"})
    found = compared([record, measured(1.0, device=a_device(kind="cpu", name="CPU"), case=a_case(operation="decode"))])
    (gap,) = found.gaps
    assert all(name in gap for name in ("over pt", "over jpg", "--transport"))


def test_what_was_measured_across_a_network_is_no_gap() -> None:
    away = remote(0.05, endpoint=facts(url="https://example.org/vae"))
    record = an_endpoint_record(case={"operation": "decode", "transport": "jpg"}, remote=away)
    cpu = measured(3.0, device=a_device(kind="cpu", name="CPU"), case=a_case(operation="decode"))
    assert not compared([record, cpu]).gaps


@pytest.mark.parametrize("fields", [{"model": "nope"}, {"operation": "text_encode"}, {"dtype": "float8"}])
def test_what_this_program_does_not_know_is_compared_without_a_service(fields: dict[str, object]) -> None:
    found = compared([published(0.5, device=BIG, **encode(**fields))])
    assert found.rows[0].local_s == 0.5
    assert found.rows[0].remote.service is None
    assert any(str(found.rows[0].remote.reason) in gap for gap in found.gaps)


def test_a_time_that_was_printed_as_0_is_none() -> None:
    found = compared([published(0.0, device=BIG, **encode())])
    assert (found.rows[0].local_s, found.rows[0].fits, found.card) == (None, "unknown", None)
    assert any("no time: it was printed as 0" in gap for gap in found.gaps)


def test_devices_of_one_name_and_other_memory_are_told_apart() -> None:
    cards = [a_device(name="NVIDIA Twin", total_bytes=size * GIB) for size in (10, 12)]
    found = compared([measured(0.5, device=card, **encode()) for card in cards])
    assert [row.label for row in found.rows] == ["NVIDIA Twin (10.0 GiB)", "NVIDIA Twin (12.0 GiB)"]


def test_a_model_that_only_an_endpoint_has_lacks_local_figures() -> None:
    assert "no local figures: Tiny decode" in compared([an_endpoint_record()]).without


def test_a_machine_whose_memory_differs_by_pages_is_one_device() -> None:
    sizes = (8 * GIB, 8 * GIB - 12 * 1024)
    records = [
        measured(0.5, device=a_device(name="NVIDIA Twin", total_bytes=size), **encode(tiling=tiling))
        for size, tiling in zip(sizes, ("off", TILED), strict=True)
    ]
    (row,) = compared(records).rows
    assert row.untiled is not None
    assert row.tiled is not None
    assert row.label == "NVIDIA Twin"


def test_a_file_carries_one_image_and_a_tensor_more() -> None:
    batch = [published(0.5, device=BIG, **encode(batch=4))]
    found = compared(batch)
    assert found.rows[0].remote.service is None
    assert any("--transport pt" in gap for gap in found.gaps)
    assert compared(batch, transports={"encode": "pt"}).rows[0].remote.service is not None


def test_an_endpoint_that_was_named_and_not_measured_on_an_image_is_the_reason() -> None:
    records = [an_endpoint_record(case={"operation": "decode", "transport": "jpg"}), published(0.5, **encode())]
    gaps = compared(records, server="loopback").gaps
    assert any("no remote figure" in gap and "loopback on Test CPU" in gap for gap in gaps)


def test_what_kept_a_verdict_from_being_made_is_named() -> None:
    tiles = [Tile(tile=edge, overlap=0) for edge in (128, 256)]
    broken = measured(device=SMALL, outcome=Failed(exception="ValueError"), timing=None, **encode(tiling=tiles[0]))
    out = [out_of_memory(device=SMALL, **encode()), out_of_memory(device=SMALL, **encode(tiling=tiles[1]))]
    gaps = compared([*out, broken]).gaps
    assert [gap for gap in gaps if "no time: failed: ValueError" in gap]
    assert not [gap for gap in gaps if "no time: out of memory" in gap]


def test_nothing_at_all_is_no_error() -> None:
    found = compare([], request())
    assert (found.rows, found.remote_images, found.card) == ((), (), None)
    assert any("no figures, neither" in gap and "SDXL decode" in gap for gap in found.without)


def test_images_that_lack_a_remote_figure_for_one_reason_share_a_sentence() -> None:
    # Given two models of which no card that could stand in has a time
    cpu = a_device(kind="cpu", name="Test CPU")
    records = [measured(1.0, device=cpu, **encode(512, model=model)) for model in ("sd-v1", "sdxl")]
    (gap,) = (gap for gap in compared(records).gaps if "no remote figure" in gap)
    assert all(f"{title} encode at 512x512" in gap for title in ("SD v1.5", "SDXL"))


def test_a_video_travels_as_a_tensor_because_it_is_no_image_file(toy_video: str) -> None:
    # given a card that serves images and clips, and no choice of transports
    clip = a_case(model=toy_video, operation="decode", size=64, frames=17, dtype="float16")
    records = [measured(2.0, case=clip), measured(0.5, case=a_case(operation="decode"))]
    # when
    by_model = {image.case.model: image.service for image in compared(records).remote_images}
    # then
    video, image = by_model[toy_video], by_model["tiny"]
    assert video is not None
    assert image is not None
    assert (video.transport, image.transport) == ("pt", "jpg")
    assert video.sent_bytes == 16 * 5 * 8 * 8 * 2
    assert video.received_bytes == 17 * 3 * 64 * 64 * 2
