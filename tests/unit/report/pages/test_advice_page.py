"""The page of advice, and the words that it shares with the terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from factories import GIB, changed
from observed import all_observed
from sides import NETWORKS
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise import local_ways, peaks, times
from bench.analysis.advise.ranking import rank
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Advice, Local
from bench.analysis.speed import clock as speed_clock
from bench.analysis.speed.extrapolation import Range
from bench.analysis.speed.held_out import Cell, errors
from bench.report.document import Section
from bench.report.pages import advice_figures, advice_page, advice_words
from bench.report.render import markdown, short_pages
from bench.workloads import models

SMALL = changed(IMAGE, width=512, height=512)


def advised(ways: list[Local], far: RemoteWay | None = None, **fields: object) -> Advice:
    return rank(fields.pop("image", IMAGE), a_place(**fields), ways, far or away())  # type: ignore[arg-type]


def beyond(way: Local, *told: str) -> Local:
    assert way.time is not None
    return replace(way, time=replace(way.time, kind="predicted", beyond=told))


def a_page() -> str:
    big = {"card": "NVIDIA Big", "total_bytes": 24 * GIB}
    none = a_way(0, None, "out_of_memory")
    advice = [
        advised([a_way(0, 0.1, kind="published")], image=SMALL, **big),
        advised([a_way(0, 0.3)], image=SMALL),
        advised([beyond(a_way(0, 1.0), "decode (fitted on encode alone)", "turing (fitted on ada)")], **big),
        advised([none, a_way(1, 3.0, "tight", confidence="medium")], away(2.0)),
        advised([none], image=SMALL, card="NVIDIA Old", total_bytes=2 * GIB),
        advised([none, beyond(a_way(2, 3.0), "volta (fitted on ada)")], card="NVIDIA Old", total_bytes=2 * GIB),
    ]
    return a_page_of(*advice)


def a_page_of(*advice: Advice) -> str:
    return markdown.render(advice_page.page(advice, None, NETWORKS))


def as_json(*advice: Advice) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = advice_figures.figures(advice, None).model_dump(mode="json")["advice"]
    return shown


def rows(page: str, title: str) -> list[list[str]]:
    """The cells of the rows under this heading, or in these details."""
    table = re.split(r"\n## |<summary>", page.partition(title)[2])[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "GiB" in line]


def test_a_row_is_a_card_with_way_share_and_time_of_each_image_and_each_figure_is_marked() -> None:
    page = a_page()
    assert rows(page, "## 512x512") == [
        ["NVIDIA Old", "2.00 GiB", "nothing fits"],
        ["NVIDIA GeForce RTX 3070", "8.00 GiB", "untiled, 25%‡, 300 ms†"],
        ["NVIDIA Big", "24.0 GiB", "untiled, 8%, 100 ms†"],
    ]
    assert rows(page, "## 2048x2048") == [
        ["NVIDIA Old", "2.00 GiB", "tile 512, 100%, 3.00 s°‡"],
        ["NVIDIA GeForce RTX 3070", "8.00 GiB", "**remote, 2.00 s§**"],
        ["NVIDIA Big", "24.0 GiB", "untiled, 8%, 1.00 s°‡"],
    ]
    assert rows(page, "<summary>SDXL decode") == [
        ["NVIDIA Old", "2.00 GiB", "nothing fits", "-", "-", "tile 512", "100%", "3.00 s°‡"],
        ["NVIDIA GeForce RTX 3070", "8.00 GiB", "untiled", "25%‡", "300 ms", "**remote**", "-", "2.00 s§"],
        ["NVIDIA Big", "24.0 GiB", "untiled", "8%†", "100 ms", "untiled", "8%", "1.00 s°‡"],
    ]


def test_of_many_cards_one_size_is_on_the_page_and_the_others_are_details() -> None:
    # given two sizes on more cards than a page can show twice
    names = [f"NVIDIA {number}" for number in range(9)]
    images = [changed(IMAGE, width=edge, height=edge) for edge in (512, 1024, 2048)]
    advice = [advised([a_way(0, 0.1)], image=image, card=name) for image in images for name in names]
    # when
    page = short_pages.shortened(advice_page.page(advice, None, NETWORKS))
    # then the docs' size is shown, with the precision of each column
    (table,) = page.tables()
    assert [block.title for block in page.blocks if isinstance(block, Section)] == ["1024x1024"]
    assert [column.name for column in table.columns] == ["Card", "Memory", "SDXL decode, float32"]
    assert len(table.rows) == len(names)


def test_what_times_go_beyond_is_told_under_the_table() -> None:
    (line,) = [line for line in a_page().splitlines() if line.startswith("- ° ")]
    assert line.endswith(": decode (fitted on encode alone); turing, volta (fitted on ada).")


def test_the_page_tells_what_is_assumed_and_what_changes_the_picture() -> None:
    page = a_page()
    assert "Assumed: batch 1, nothing else on the card" in page
    assert "<summary>What changes the picture</summary>" in page
    assert "Near &#124; by" in page


def test_a_headline_has_peak_and_time_with_what_they_are() -> None:
    found = advice_words.headline(advised([a_way(0, 1.5)]), NETWORKS)
    assert found == (
        "SDXL decode 2048x2048 on NVIDIA GeForce RTX 3070: untiled: "
        "2.00 GiB of 8.00 GiB (predicted), 1.50 s (published)"
    )


def test_an_error_of_the_time_model_is_none_of_what_goes_beyond_it() -> None:
    found = errors([Cell(all_observed()[0], all_observed()[0].seconds * 1.1)])
    way = a_way(0, 1.5)
    known = replace(way, time=Time(1.5, "predicted", found))
    assert advice_words.headline(advised([known]), NETWORKS).endswith("(predicted, median error 10%, worst 10%)")
    for predicted in (known, way):
        told = advice_words.headline(advised([beyond(predicted, "decode")]), NETWORKS)
        assert told.endswith(", error unknown)")
        assert "10%" not in told


def ranged(way: Local, least_s: float, most_s: float | None) -> Local:
    return replace(way, time=Time(None, "predicted", None, ("hopper (fitted on ada)",), Range(least_s, most_s)))


def test_a_range_stands_as_one_in_the_headline_the_page_and_json() -> None:
    # Given a card whose time is between two, and one of which only the least is known
    both = advised([ranged(a_way(0, 1.0), 0.01, 0.245)])
    least = advised([ranged(a_way(0, 1.0), 0.5, None)])
    # Then no output gives one figure for it
    assert "between 10 ms and 245 ms (a predicted range, " in advice_words.headline(both, NETWORKS)
    assert "at least 500 ms (predicted, " in advice_words.headline(least, NETWORKS)
    page = a_page_of(both)
    assert "10 ms to 245 ms°" in page
    times = [advice["ways"][0]["time"] for advice in as_json(both, least)]
    assert [time["seconds"] for time in times] == [None, None]
    assert [time["range"] for time in times] == [{"least_s": 0.01, "most_s": 0.245}, {"least_s": 0.5, "most_s": None}]


def test_a_headline_of_remote_says_who_computes_it_and_one_of_nothing_says_so() -> None:
    none = a_way(0, None, "out_of_memory")
    assert advice_words.headline(advised([none], away(2.0)), NETWORKS).endswith(
        "remote over Near | by: none of its memory, about 2.00 s (simulated), computed by NVIDIA Big"
    )
    assert "3070: nothing fits" in advice_words.headline(advised([none]), NETWORKS)
    predicted = RemoteWay("near", Time(2.0, "predicted"), "NVIDIA Big", "")
    assert advice_words.headline(advised([none], predicted), NETWORKS).endswith(
        "remote over Near | by: none of its memory, about 2.00 s (predicted, error unknown), computed by NVIDIA Big"
    )
    measured = RemoteWay("near", Time(2.0, "measured"), "mine", "")
    assert "remote at mine: none of its memory, 2.00 s (measured)" in advice_words.headline(
        advised([none], measured), NETWORKS
    )


def test_tight_and_less_than_sure_is_said() -> None:
    found = advice_words.headline(advised([a_way(0, None, "tight", confidence="medium")]), NETWORKS)
    assert "untiled: tight, 2.00 GiB of 8.00 GiB (predicted, medium confidence), time not known" in found


def test_what_a_range_and_a_least_time_of_a_tight_fit_are_is_told_where_there_is_one() -> None:
    clock = speed_clock.fitted(all_observed())
    tight = replace(a_way(0, 1.0, "tight"), time=Time(None, "predicted", None, (times.TIGHT,), Range(1.0, None)))
    emulated = ranged(a_way(0, 1.0), 0.01, None)
    emulated = replace(emulated, time=replace(emulated.time, beyond=(times.EMULATED,)))  # type: ignore[type-var]
    ways = (a_way(0, 1.0), a_way(0, 1.0, time_kind="predicted"), ranged(a_way(0, 1.0), 0.01, 0.245), tight, emulated)
    lines = [len(advice_words.time_notes(clock, [advised([way])])) for way in ways]
    assert lines == [0, 1, 2, 2, 2]
    spills = replace(tight, time=replace(tight.time, beyond=(peaks.SPILLED,)))  # type: ignore[type-var]
    assert len(advice_words.time_notes(clock, [advised([spills])])) == 1  # the note on Windows tells the rest
    both = advice_words.time_notes(clock, [advised([ranged(a_way(0, 1.0), 0.01, 0.245), tight])])
    assert len(both) == 3


def test_the_summary_counts_ways() -> None:
    ways = [a_way(0, 1.0)]
    found = advice_page.summary(
        [advised(ways), advised(ways, card="NVIDIA Big"), advised([a_way(0, None, "out_of_memory")], away(1.0))]
    )
    assert found == "1 image on 2 cards: 2 untiled, 1 remote"


def in_precision(model: str, dtype: str) -> Advice:
    """What is advised of an image whose precision was named."""
    image = changed(IMAGE, model=model, dtype=dtype)
    (option, *_) = local_ways.of(image, lower=False)
    return advised([replace(a_way(0, 1.0), option=option)], image=image)


@pytest.mark.parametrize(
    ("model", "dtype", "own"),
    [("sdxl", "float16", "float32"), ("flux", "float16", "bfloat16"), ("sd-v1", "bfloat16", "float16")],
)
def test_a_precision_that_is_not_the_model_s_own_is_named_with_its_risk(model: str, dtype: str, own: str) -> None:
    found = in_precision(model, dtype)
    risk = models.get(model).risk(dtype)
    assert risk
    headline = advice_words.headline(found, NETWORKS)
    assert f"untiled in {dtype} (its own precision is {own}): " in headline
    assert headline.endswith(f"Risk of {dtype}: {risk}")
    assert f"Risk of {dtype}: " in a_page_of(found)
    (shown,) = as_json(found)
    assert (shown["own_dtype"], shown["ways"][0]["risk"]) == (own, risk)


def test_a_higher_precision_is_named_and_risks_nothing() -> None:
    headline = advice_words.headline(in_precision("sd-v1", "float32"), NETWORKS)
    assert "in float32 (its own precision is float16)" in headline
    assert "Risk" not in headline


def test_the_model_s_own_precision_is_not_named() -> None:
    headline = advice_words.headline(in_precision("flux", "bfloat16"), NETWORKS)
    assert "bfloat16" not in headline


def test_json_has_the_same_keys_for_every_local_way_and_fewer_for_remote() -> None:
    # given a way that fits and a remote one
    (shown,) = as_json(advised([a_way(1, 1.0)], away(2.0)))
    local, remote = shown["ways"]
    # then programs find each field where it was
    assert list(local) == [
        *(
            "way",
            "case",
            "dtype",
            "risk",
            "tiling",
            "variant",
            "verdict",
            "confidence",
            "peak",
            "time",
            "reason",
            "hazard",
        )
    ]
    assert list(remote) == ["way", "network", "by", "verdict", "time", "reason"]
    assert (local["tiling"], local["risk"]) == ({"tile": 1024, "overlap": 256}, None)
    assert (remote["way"], remote["verdict"], remote["by"]) == ("remote", "remote", "NVIDIA Big")
    assert shown["image"] == {"model": "sdxl", "operation": "decode", **IMAGE.axes, "dtype": "float32"}
    assert shown["card"]["pool_bytes"].keys() == {"low", "middle", "high"}


def test_json_has_the_errors_of_the_time_model_or_null() -> None:
    clock = speed_clock.fitted(all_observed())
    assert clock is not None
    assert clock.errors is not None
    shown = advice_figures.figures([advised([a_way(0, 1.0)])], clock).model_dump(mode="json")
    assert shown["time_model"] == {
        "times": clock.errors.cells,
        "median_error": clock.errors.median,
        "worst_error": abs(clock.errors.worst.error),
    }
    assert advice_figures.figures([], None).time_model is None
