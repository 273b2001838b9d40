"""The page that compares what decodes the same latents: which VAEs, on which cards, and what it says is not known."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import columns_of, section, shown
from factories import GIB, a_case, a_device, published
from sides import NETWORKS, compared
from ways import a_place

from bench.analysis.advise import decoders as values
from bench.analysis.advise.decoders import Decoders
from bench.analysis.hybrid.scenario import Wanted
from bench.commands.files import table_records
from bench.predictions import decoders, time_model
from bench.predictions.advice import Evidence
from bench.predictions.target_cards import choose_cards
from bench.record import PictureComparison, PictureFigures
from bench.report.document import Document
from bench.report.pages import decoders_page
from bench.report.render import markdown
from bench.workloads import models

PUBLISHED = Path(__file__).parents[3] / "results" / "published"
FLUX = Wanted(("flux",), (), ((512, 512), (1024, 1024)))


@pytest.fixture(scope="module")
def found() -> list[Decoders]:
    """The comparison of Flux's latents on the docs' cards, with `tiny` in place of a smaller VAE."""
    records = table_records([PUBLISHED])
    cards, _ = choose_cards([], None, PUBLISHED.parent)
    evidence = Evidence(records, time_model.of_records(records), compared(records), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "smaller_alike", lambda key: ("sd-v1",) if key == "flux" else ())
        return [compare() for compare in decoders.comparisons(FLUX, cards, evidence)]


@pytest.fixture(scope="module")
def page(found: list[Decoders]) -> Document:
    return decoders_page.page(found, ("left-out",), NETWORKS)


def test_the_full_vae_its_tiles_the_smaller_one_and_remote_are_side_by_side(page: Document) -> None:
    (large, small) = section(page, "Flux, 1024x1024").tables()
    assert [row["With"] for row in shown(small)] == ["Flux, untiled", "SD v1.5, untiled", "remote"]
    # 1024 px are one tile of Flux's own, so tiles change nothing
    assert [row["With"] for row in shown(large)] == ["Flux, untiled", "SD v1.5, untiled", "remote"]
    assert [row["Precision"] for row in shown(large)] == ["bfloat16", "float16", "its own"]


def test_the_cards_are_those_with_known_times_the_smallest_first(page: Document) -> None:
    names = [name for name in columns_of(page)[0] if name.startswith("RTX")]
    assert names == ["RTX 3070", "RTX 4080 SUPER", "RTX 4090"]


def test_every_figure_is_marked_with_its_kind(page: Document) -> None:
    first = next(section(page, "Flux, 1024x1024").tables())
    for row in shown(first)[:2]:
        assert row["RTX 4090"].endswith(("‡", "†"))
        assert row["Time"] == "-" or row["Time"].endswith(("‡", "†", "§"))
    assert shown(first)[-1]["RTX 4090"] == "none"


def test_what_is_not_known_is_said(page: Document) -> None:
    first = next(section(page, "Flux, 1024x1024").tables())
    quality = [row["Quality"] for row in shown(first)]
    assert "not known" in quality[1]
    assert "not known" not in quality[0]
    text = markdown.render(page)
    assert "left-out" in text
    assert "fitted to" in text  # bfloat16 and Flux were never timed


@pytest.mark.parametrize(("weights", "text"), [("hub", "31.5 dB, SSIM 0.912"), ("random", "not known")])
def test_quality_that_was_measured_with_real_weights_is_shown(found: list[Decoders], weights: str, text: str) -> None:
    # Given a comparison of another VAE with Flux's at 1024 px
    reference = a_case(model="flux", operation="decode", size=1024, weights=weights)
    measured_pictures = PictureComparison(
        changed=reference.model_copy(update={"model": "sd-v1"}),
        reference=reference,
        image="cat.png",
        image_digest="0" * 16,
        outcome="compared",
        figures=PictureFigures(psnr_db=31.5, ssim=0.912, mean=0.01, largest=0.1),
    )
    # When the page is made, then it is in the row of that VAE and size alone
    page = decoders_page.page(found, (), NETWORKS, [measured_pictures])
    large, small = section(page, "Flux, 1024x1024").tables()
    assert text in shown(large)[1]["Quality"]
    assert "not known" in shown(small)[1]["Quality"]


def test_only_models_with_shipped_traces_are_compared_if_none_is_named() -> None:
    everything = Wanted((), (), ((512, 512),))
    images = [image.model for image in decoders._images(everything)]
    assert {"sd-v1", "sdxl", "flux"} <= set(images)
    assert not set(images) & set(decoders.left_out(everything))
    assert all(models.get(key).hub_id for key in images)
    assert decoders.left_out(FLUX) == ()


def test_an_operation_other_than_decode_has_no_page() -> None:
    assert list(decoders._images(Wanted(("flux",), ("encode",), ((512, 512),)))) == []


def test_of_cards_with_known_times_the_smallest_one_between_and_the_largest_are_shown() -> None:
    places = [a_place(card=f"NVIDIA {gib}", total_bytes=gib * GIB) for gib in (8, 10, 12, 16, 24, 80)]
    records = [
        published(0.1, device=a_device(name=f"NVIDIA {gib}", total_bytes=gib * GIB)) for gib in (8, 10, 12, 16, 24)
    ]
    assert [place.card for place in values.shown_places(places, records)] == ["NVIDIA 8", "NVIDIA 12", "NVIDIA 24"]
    assert len(values.shown_places(places, [])) == 3
    assert [place.card for place in values.shown_places(places[:1], [])] == ["NVIDIA 8"]
