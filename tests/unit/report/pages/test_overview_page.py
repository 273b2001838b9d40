"""The index of the pages: the answers first, then the pages by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from documents import shown
from factories import a_device, published
from markdown_it import MarkdownIt

from bench.analysis.verdicts.questions import (
    NOTHING,
    REMOTE,
    Card,
    Figures,
    Model,
    OnCard,
    Question,
    Remote,
    Verdicts,
    Way,
)
from bench.core.units import GIB
from bench.record import Tile
from bench.report.document import Document, Links, Section
from bench.report.pages import overview_page
from bench.report.render import console, html_page, markdown

RTX, OURS = "NVIDIA GeForce RTX 3070", "Our CPU"
WAYS = (Way("untiled", "untiled", None, "float32"), Way("t", "tile 512", Tile(tile=512, overlap=128), "float32"))


def a_question(edge: int, *cards: OnCard, model: str = "sdxl", remote_s: float | None = 0.4) -> Question:
    remote = {} if remote_s is None else {"fibre": Remote(remote_s, remote_s, "simulated", "L40S")}
    return Question(model, "decode", edge, edge, None, "float32", "", WAYS, remote, cards)


def on_card(*figures: Figures, here: int = NOTHING, best: int | None = None) -> OnCard:
    return OnCard(figures, here, (here if best is None else best,))


def verdicts(*questions: Question, devices: Sequence[str] = (OURS,)) -> Verdicts:
    cards = (Card(RTX, 8 * GIB), *(Card(name, 16 * GIB, is_device=True) for name in devices))
    return Verdicts(cards, (Model("sdxl", "SDXL", (), "image", "image"),), {"fibre": "Fibre"}, None, "USD", questions)


TIGHT = Figures(0, "tight", 7 * GIB, 0.8, 0.8, "published", "published")
TILED = Figures(1, "fits", 2 * GIB, 1.1, 1.1, "predicted", "predicted")
SLOW = Figures(0, "fits", GIB // 16, 3.0, 3.0, "measured", "measured")
DOCS = [published(0.8, device=a_device(name=RTX))]
#: 1024 px on both cards, and 256 px on the measured one.
KNOWN = verdicts(
    a_question(1024, on_card(TIGHT, TILED, here=1, best=REMOTE), on_card(SLOW, here=0, best=REMOTE)),
    a_question(256, OnCard(), on_card(SLOW, here=0), remote_s=None),
)


def tables(page: Document) -> dict[str, list[dict[str, str]]]:
    """The rows of the first table of each section, by its title."""
    found = {block.title: Document("", block.blocks) for block in page.blocks if isinstance(block, Section)}
    return {title: shown(next(part.tables())) for title, part in found.items() if list(part.tables())}


def test_the_measured_device_and_the_docs_cards_come_first_with_the_kind_of_each_figure() -> None:
    found = tables(overview_page.page(KNOWN, DOCS, []))
    assert list(found) == ["Measured here", "The docs' cards, 1024x1024"]
    (ours,) = found["Measured here"]
    assert list(ours.values()) == [OURS, "SDXL decode at 1024x1024", "untiled, <1%, 3.00 s", "400 ms§", "remote"]
    (card,) = found["The docs' cards, 1024x1024"]
    assert (card["Card"], card["Memory"], card["SDXL decode"]) == (RTX, "8.00 GiB", "remote, 400 ms§")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (on_card(TIGHT, here=0), "untiled, 88% tight, 800 ms†"),
        (on_card(replace(TILED, peak_kind="published"), here=1), "tile 512, 25%†, 1.10 s‡"),
        (
            on_card(replace(TILED, least_s=0.1, most_s=None, verdict="unsure"), here=1),
            "tile 512, 25%?, at least 100 ms‡",
        ),
        (on_card(replace(TILED, least_s=None, most_s=None), here=1), "tile 512, 25%‡"),
        (on_card(replace(TILED, verdict="oom")), "nothing fits"),
    ],
)
def test_the_recommended_way_of_a_card_in_a_few_words(answer: OnCard, text: str) -> None:
    page = overview_page.page(verdicts(a_question(1024, answer)), DOCS, [])
    assert tables(page)["The docs' cards, 1024x1024"][0]["SDXL decode"] == text


def test_very_many_devices_are_counted_and_not_looked_up() -> None:
    names = [f"Device {number}" for number in range(3000)]
    many = verdicts(a_question(1024, OnCard(), *[on_card(SLOW, here=0)] * 3000), devices=names)
    page = overview_page.page(many, DOCS, [])
    assert len(tables(page)["Measured here"]) == 20
    assert "2980 more devices" in markdown.render(page)
    with_others = overview_page.page(replace(many, left_out=100), DOCS, [])
    assert "3080 more devices" in markdown.render(with_others)


def test_where_nothing_was_measured_it_says_how_to() -> None:
    page = overview_page.page(verdicts(a_question(1024, on_card(TIGHT, here=0)), devices=[]), DOCS, [])
    assert list(tables(page)) == ["The docs' cards, 1024x1024"]
    assert "`bench run`" in markdown.render(page)


def test_without_verdicts_it_is_a_list_of_pages() -> None:
    page = overview_page.page(None, DOCS, ["cost.md"])
    assert tables(page) == {}
    assert "(cost.md)" in markdown.render(page)


def test_pages_are_linked_in_the_order_of_use_and_no_other_file_is() -> None:
    # given pages in any order, a picture, the index itself, and a page that the list does not know
    files = ["video_vae_decode.md", "cost.md", "hybrid.png", "vae_encode.md", "README.md", "index.html", "hybrid.md"]
    page = overview_page.page(None, DOCS, files)
    # when
    (links,) = [block for part in page.blocks if isinstance(part, Section) for block in part.blocks]
    # then
    assert isinstance(links, Links)
    names = [file for file, _ in links.items]
    assert names == ["index.html", "vae_encode.md", "hybrid.md", "cost.md", "video_vae_decode.md"]
    for text in (MarkdownIt().render(markdown.render(page)), html_page.render(page)):
        assert [f'href="{name}"' in text for name in names] == [True] * 5
    assert "video_vae_decode.md" in console.render(page)


def test_a_hostile_name_is_shown_as_it_is() -> None:
    hostile = "<b>|*x*|"
    many = verdicts(a_question(1024, OnCard(), on_card(SLOW, here=0)), devices=[hostile])
    text = MarkdownIt("gfm-like", {"linkify": False}).render(markdown.render(overview_page.page(many, DOCS, [])))
    assert "&lt;b&gt;|*x*|" in text
