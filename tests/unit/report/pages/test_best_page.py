"""The page of the fastest settings: what it says of the default, the picture and the code, and in each form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import a_case, a_device

from bench.analysis.best.answer import Answer, Finding
from bench.analysis.best.trials import Trial
from bench.record import PictureComparison, PictureFigures, Tile
from bench.report.pages import best_page
from bench.report.render import console, html_page, markdown

IMAGE = a_case(model="sdxl", operation="decode", size=1024)
DEFAULT = Trial(IMAGE, "fits", (0.2, 0.2), 3 * 2**30)
BEST = Trial(IMAGE.model_copy(update={"variant": "compiled"}), "fits", (0.1, 0.1), 2 * 2**30, compile_s=40.0)
TILED = replace(DEFAULT, case=IMAGE.model_copy(update={"tiling": Tile.of(512)}))
OUT = Trial(IMAGE.model_copy(update={"dtype": "bfloat16"}), "out_of_memory", reason="asked for more")


def finding(best: Trial | None = BEST, default: Trial | None = DEFAULT, **fields: Any) -> Finding:
    tried = tuple(dict.fromkeys(trial for trial in (best, default, OUT) if trial is not None))
    return Finding(IMAGE, a_device(), None, Answer(best, default, None, (), tried, 108, 7), **fields)


def said(found: Finding) -> str:
    return " ".join(best_page.sentences(found))


def a_picture(**fields: Any) -> PictureComparison:
    figures = PictureFigures(psnr_db=48.25, ssim=0.9987, mean=0.001, largest=0.02)
    return PictureComparison(
        **{"changed": BEST.case, "reference": IMAGE, "image": "synthetic", "image_digest": "x", "figures": figures}
        | fields
    )


def test_the_best_and_the_default_are_said_with_how_much_faster_it_is() -> None:
    text = said(finding())
    assert "100 ms, peak 2.00 GiB, compiled in 40" in text
    assert "2.00 times as fast" in text
    assert "3 of 108 settings tried" in text
    assert "ruled out 7" in text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (finding(best=DEFAULT), "That is the docs' default."),
        (finding(default=None), "does not fit"),
        (finding(default=TILED), "Untiled the docs' default does not fit"),
        (finding(best=None, default=None), "No setting fits."),
        (finding(), "not known with random weights"),
        (finding(picture=a_picture()), "PSNR 48.2 dB, SSIM 0.9987, at most 5 of 255 levels"),
        (finding(picture=a_picture(figures=None, reason="the picture ran out of memory")), "ran out of memory"),
    ],
)
def test_each_kind_of_answer_has_its_sentence(found: Finding, words: str) -> None:
    assert words in said(found)


def test_the_code_is_whole_in_every_form() -> None:
    page = best_page.page([finding()])
    assert page is not None
    code = best_page.code_of(BEST, finding())
    assert f"```py\n{code.rstrip()}\n```" in markdown.render(page)
    assert "torch.compile(vae.decoder, fullgraph=True)" in html_page.render(page)
    lines = console.render(best_page.terminal(finding())).splitlines()
    assert set(code.splitlines()) <= set(lines), "neither wrapped nor indented"


def test_without_findings_there_is_no_page() -> None:
    assert best_page.page([]) is None


def test_a_hostile_weights_path_stays_inside_its_string() -> None:
    case = BEST.case.model_copy(update={"weights": 'vae"); import os #```'})
    code = best_page.code_of(replace(BEST, case=case), finding())
    compile(code, "pasted", "exec")
    assert "import os" not in [line.strip() for line in code.splitlines()]
    assert markdown.render(best_page.page([finding(best=replace(BEST, case=case))])).count("\n```") >= 2
