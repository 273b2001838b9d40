"""The page and the table of pictures' errors, and the file that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import NOON, a_case, a_device, an_environment

from bench import store
from bench.record import Case, PictureComparison, PictureComparisons, PictureFigures, SeamFigures, Tile
from bench.report.document import Document
from bench.report.pages import quality_page
from bench.report.render import markdown


def case(**fields: Any) -> Case:
    return a_case(**{"model": "sd-v1", "operation": "decode", "size": 1024, "weights": "hub"} | fields)


def figures(psnr_db: float | None = 38.12, **fields: Any) -> PictureFigures:
    given = {"psnr_db": psnr_db, "ssim": 0.98214, "mean": 0.01, "largest": 0.2, "no_lpips": "it is not installed"}
    return PictureFigures(**given | fields)


def comparison(changed: Case | None = None, **fields: Any) -> PictureComparison:
    changed = changed or case(tiling=Tile(tile=512, overlap=128))
    reference = changed.model_copy(update={"model": "sd-v1", "tiling": "off", "dtype": "float32"})
    given = {"image": "cat.png", "image_digest": "0" * 16, "outcome": "compared", "figures": figures()}
    return PictureComparison(changed=changed, reference=reference, **given | fields)


def text_of(document: Document | None) -> str:
    assert document is not None
    return markdown.render(document)


def test_each_row_names_what_was_changed_with_its_figures() -> None:
    seams = SeamFigures(near=0.03, elsewhere=0.02, share=0.3)
    rows = [
        comparison(figures=figures(seams=seams)),
        comparison(case(dtype="float16"), figures=figures(None, ssim=1.0, largest=0.0)),
        comparison(case(model="taesd"), figures=None, outcome="out_of_memory", reason="the picture ran out of memory"),
    ]
    text = text_of(quality_page.page([("Card", row) for row in rows]))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    tiled, half, small = lines[2:5]
    assert all(word in tiled for word in ("tiles 512/128", "38.1 dB", "0.9821", "1.50x", "51.0"))
    assert all(word in half for word in ("float16", "identical"))
    assert "TAESD" in small
    assert "the picture ran out of memory" in text
    assert "it is not installed" in text


def test_random_weights_are_marked_and_kept_out_of_the_page() -> None:
    random = comparison(case(weights="random", dtype="float16"), figures=figures(11.1))
    assert quality_page.page([("Card", random)]) is None
    text = text_of(quality_page.page([("Card", random), ("Card", comparison())]))
    assert "11.1" not in text
    assert "1 comparison" in text
    assert "andom weights" in text_of(quality_page.terminal([random]))
    assert "andom weights" not in text_of(quality_page.terminal([comparison()]))


def test_devices_sizes_and_images_have_sections_of_their_own() -> None:
    page = quality_page.page(
        [("Card", comparison()), ("CPU", comparison()), ("Card", comparison(image_digest="1" * 16))]
    )
    assert page is not None
    assert len(page.blocks) == 3


def pictures(at: str, *comparisons: PictureComparison) -> PictureComparisons:
    return PictureComparisons(device=a_device(), comparisons=comparisons, environment=an_environment(), recorded_at=at)


def test_of_the_same_comparison_the_newest_is_read(tmp_path: Path) -> None:
    # Given two files of a device, of which one has a comparison of its own
    newer, other = comparison(figures=figures(40.0)), comparison(case(dtype="float16"))
    store.write_pictures(tmp_path, pictures("2026-02-01T00:00:00.000000Z", newer), "quality-1.json")
    store.write_pictures(tmp_path, pictures(NOON, comparison(), other), "quality-2.json")
    # When they are read, by their folder or beside a run
    for path in (tmp_path, tmp_path / "run.jsonl"):
        read, warnings = store.read_pictures([path])
        # Then
        assert not warnings
        assert sorted(each.figures.psnr_db or 0 for _, each in read if each.figures) == [38.12, 40.0]
        assert {device for device, _ in read} == {"NVIDIA Test"}


def test_a_file_that_is_broken_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "quality-1.json").write_text("{}")
    read, warnings = store.read_pictures([tmp_path])
    assert read == []
    assert "bench quality" in warnings[0]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (figures(), "38.1 dB, SSIM 0.982"),
        (figures(None, ssim=1.0, largest=0.0), "identical"),
        (figures(ssim=None), "38.1 dB"),
    ],
)
def test_a_summary_is_a_few_words(given: PictureFigures, text: str) -> None:
    assert quality_page.summary(comparison(figures=given)) == text
