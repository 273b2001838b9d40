"""`reports/predicted.md`: what each card's cell says, and how a prediction stands beside a figure that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from factories import a_case, a_device, changed, measured, out_of_memory, published
from predictions import a_predicted_record

from bench.core.units import GIB, MIB
from bench.record import Memory, Record, Tile
from bench.report.document import Column
from bench.report.pages import predicted_page, predicted_tables
from bench.report.pages.known_peaks import KnownPeak, known_peaks
from bench.report.render import markdown

CARD = "NVIDIA Test 8GB"
CASE = a_case(model="sdxl", size=1024, dtype="float32")


def a_prediction(reserved: int = 1000 * MIB, **fields: Any) -> Any:
    return a_predicted_record(reserved, case=CASE, device=a_device(name=CARD, total_bytes=8 * GIB), **fields)


def known(**fields: Any) -> Any:
    return published(case=CASE, device=a_device(name=CARD, total_bytes=None), **fields)


def the_peak(prediction: Any, other: Any) -> KnownPeak:
    (peak,) = known_peaks([prediction], [other])
    return peak


def a_page(predictions: Sequence[Record], records: Sequence[Record]) -> str:
    return markdown.render(predicted_page.page(predictions, records))


def test_a_published_percentage_is_turned_back_into_bytes_by_the_docs_arithmetic() -> None:
    # Given 12.5% of 8 GiB, which are 1024 MiB, and 1000 MiB predicted
    peak = the_peak(a_prediction(), known(percent=12.5))
    # Then
    assert peak.known_bytes == 1024 * MIB
    assert peak.ratio == pytest.approx(1000 / 1024)


def test_a_peak_is_within_the_band_also_by_its_own_rounding() -> None:
    # Given a band of 900 to 1022 MiB: 1024 MiB of 8 GiB, printed to five decimals, are known to 2 MiB
    assert the_peak(a_prediction(band=(900 * MIB, 1022 * MIB)), known(percent=12.49999)).within
    assert not the_peak(a_prediction(band=(900 * MIB, 1021 * MIB)), known(percent=12.49999)).within


def test_a_peak_that_is_printed_to_one_decimal_is_known_to_half_of_it() -> None:
    # Given 0.05% of 8 GiB, which are 4 MiB
    assert the_peak(a_prediction(band=(900 * MIB, 1020 * MIB)), known(percent=12.5)).within
    assert not the_peak(a_prediction(band=(900 * MIB, 1019 * MIB)), known(percent=12.5)).within
    # And another case of the same page that shows more decimals
    other = known(percent=40.12345).model_copy(update={"case": a_case(size=4096)})
    (peak,) = known_peaks([a_prediction(band=(900 * MIB, 1020 * MIB))], [known(percent=12.5), other])
    assert not peak.within


def test_published_cases_without_a_prediction_are_told() -> None:
    elsewhere = published(device=a_device(name="NVIDIA Other"), case=CASE)
    page = a_page([a_prediction()], [known(), elsewhere])
    (line,) = [line for line in page.splitlines() if "no prediction" in line]
    assert "1 of NVIDIA Other" in line


def test_a_card_whose_memory_tells_it_from_another_of_its_name_is_found() -> None:
    card = a_device(name=f"{CARD} 12GB", total_bytes=12 * GIB)
    prediction = a_prediction().model_copy(update={"device": card})
    twelve = known().model_copy(update={"device": a_device(name=CARD, total_bytes=12 * GIB)})
    eight = known().model_copy(update={"device": a_device(name=CARD, total_bytes=8 * GIB)})
    assert [peak.known for peak in known_peaks([prediction], [eight, twelve])] == [twelve]


def test_torch_that_has_no_kernels_for_a_card_is_told_with_what_has() -> None:
    record = a_prediction(verdict="unsupported")
    page = a_page([record], [])
    assert "no torch" in page
    assert "no torch: for a test." in page


def test_tight_counts_as_fits_and_out_of_memory_does_not() -> None:
    assert the_peak(a_prediction(verdict="tight"), known()).right
    assert not the_peak(a_prediction(verdict="out_of_memory"), known()).right
    card = a_device(name=CARD, total_bytes=8 * GIB)
    assert the_peak(a_prediction(verdict="out_of_memory"), out_of_memory(case=CASE, device=card)).right


def test_a_limited_card_is_another_one() -> None:
    assert known_peaks([a_prediction()], [measured(case=CASE, vram_limit_bytes=4 * GIB)]) == []


def test_what_failed_says_nothing_of_memory() -> None:
    assert known_peaks([a_prediction()], [known(outcome={"status": "skipped", "reason": "x"})]) == []


def test_a_measured_peak_allocated_is_set_beside_the_predicted_one() -> None:
    # Given 640 MiB measured, and 800 MiB predicted: 4/5 of the 1000 MiB reserved
    memory = Memory(percent=12.2, peak_allocated_bytes=640 * MIB, peak_reserved_bytes=1000 * MIB)
    other = measured(case=CASE, device=a_device(name=CARD, total_bytes=8 * GIB), memory=memory)
    assert the_peak(a_prediction(), other).allocated_ratio == pytest.approx(800 / 640)


def test_the_page_says_how_many_verdicts_are_right_and_marks_the_wrong_one() -> None:
    page = a_page([a_prediction(verdict="out_of_memory")], [known(percent=12.5)])
    assert "Against 1 published case: 0 of 1 verdicts are right" in page
    assert "out of memory, high (wrong)" in page


def test_the_page_marks_a_peak_outside_of_the_band() -> None:
    page = a_page([a_prediction(band=(900 * MIB, 1000 * MIB))], [known(percent=12.5)])
    assert "900 to 1,000 MiB (outside)" in page
    assert "predicted over published peak reserved is 0.98 to 0.98" in page


def test_without_predictions_the_page_says_how_to_make_them() -> None:
    assert "bench predict docs --out" in a_page([], [known()])


@pytest.mark.parametrize(
    ("verdict", "confidence", "text"),
    [
        ("fits", "high", "12%"),
        ("fits", "low", "12%??"),
        ("tight", "medium", "tight 12%?"),
        ("out_of_memory", "high", "OOM"),
        ("out_of_memory", "low", "OOM??"),
    ],
)
def test_a_cell_is_share_verdict_and_confidence(verdict: str, confidence: str, text: str) -> None:
    # 1000 MiB of 8192 MiB are 12.2%
    assert Column("").text(predicted_tables.share(a_prediction(verdict=verdict, confidence=confidence))) == text


def test_cards_of_one_demand_share_a_row_that_names_their_architectures() -> None:
    # Given two cards of another architecture each, on which a call takes the same, and one on which it takes more
    records = [
        a_predicted_record(1000 * MIB, case=CASE, device=a_device(name=name), architecture=architecture)
        for name, architecture in (("A", "ada"), ("B", "ampere"))
    ]
    records.append(a_predicted_record(1200 * MIB, case=CASE, device=a_device(name="C"), architecture="hopper"))
    # When
    (group,) = predicted_tables.groups(records)
    rows = predicted_tables.demand_table(group).rows
    # Then
    assert [row[-1].value for row in rows] == ["published, ada, ampere", "published, hopper"]


def test_tiles_that_cover_the_image_have_no_row_of_their_own() -> None:
    tiled = a_case(model="sdxl", size=1024, dtype="float32", tiling={"tile": 1024, "overlap": 256})
    records = [a_prediction(), a_predicted_record(1000 * MIB, case=tiled, device=a_device(name=CARD), tiles=1)]
    (group,) = predicted_tables.groups(records)
    rows = predicted_tables.demand_table(group).rows
    assert [row[0].value for row in rows] == ["1024x1024"]


def test_cases_of_a_table_are_in_the_order_of_their_sizes_and_untiled_before_tiled() -> None:
    tile = {"tile": 512, "overlap": 128}
    cases = [a_case(model="sdxl", size=size, dtype="float32") for size in (2048, 256, 1024)]
    cases.append(a_case(model="sdxl", size=1024, dtype="float32", tiling=tile))
    records = [a_predicted_record(1000 * MIB, case=case, device=a_device(name=CARD)) for case in reversed(cases)]
    page = predicted_page.page(records, [])
    assert [column.name for column in next(page.tables()).columns] == ["Card", "256", "1024", "1024 tile 512", "2048"]


def test_a_prediction_for_expandable_segments_is_not_held_against_what_is_known() -> None:
    prediction = a_prediction()
    other = prediction.model_copy(
        update={"prediction": prediction.prediction.model_copy(update={"allocator": "expandable"})}
    )
    assert len(known_peaks([prediction], [known(percent=12.5)])) == 1
    assert known_peaks([other], [known(percent=12.5)]) == []
    page = markdown.render(predicted_page.page([prediction, other], []))
    assert "without expandable segments" in page
    assert "with expandable segments" in page


def test_a_video_has_a_column_for_each_number_of_frames(toy_video: str) -> None:
    # given two lengths of a clip, and one of them in tiles that are not square
    case = a_case(model=toy_video, operation="decode", size=512, frames=17, dtype="bfloat16")
    tile = Tile(tile=360, overlap=72, height=240, overlap_height=40)
    cases = [case, case.model_copy(update={"tiling": tile}), changed(case, frames=81)]
    # when
    groups = predicted_tables.groups(a_predicted_record(1000 * MIB, case=each) for each in cases)
    # then they are one table
    (group,) = groups
    columns = [column.name for column in predicted_tables.card_table(group).columns]
    assert columns == ["Card", "512 17 frames", "512 17 frames tile 360x240/72x40", "512 81 frames"]


def test_fitted_workspaces_of_another_class_say_that_they_were_not_checked() -> None:
    # Given predictions with fitted workspaces for the docs' class, and for two models of others
    of_docs = a_prediction()
    others = [of_docs.model_copy(update={"case": changed(CASE, model=model)}) for model in ("taesd", "sana")]
    # Then only the page with those names them, and the class that the fit is of
    alone, together = a_page([of_docs], []), a_page([of_docs, *others], [])
    assert "AutoencoderKL" not in alone
    assert "AutoencoderKL, and for taesd, sana" in together
