"""What the terminal, the page and JSON say of changes, hazards, ranges and of Windows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import GIB, changed
from sides import NETWORKS
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise import local_ways
from bench.analysis.advise.ranking import rank
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.variants import Variant
from bench.analysis.advise.ways import Advice, Change, Local
from bench.config import load_gpus
from bench.report.pages import advice_changes, advice_figures, advice_page, advice_words
from bench.report.render import markdown

VARIANT = Variant("channels-last", True, ("sdxl",), "decode", (9, 0), "2 s without, 1 s with", "a pull request")


def advised(ways: list[Local], far: RemoteWay | None = None, **fields: Any) -> Advice:
    return rank(fields.pop("image", IMAGE), a_place(**fields), ways, far or away())


def shown(advice: Advice) -> dict[str, Any]:
    found: dict[str, Any] = advice_figures.figures([advice], None).model_dump(mode="json")["advice"][0]
    return found


def with_changes(advice: Advice, *changes: Change) -> Advice:
    return replace(advice, changes=changes)


def spilling(way: Local, gib: int) -> Local:
    return replace(way, peak=replace(way.peak, verdict="spills", spilled_bytes=gib * GIB, reserved_bytes=9 * GIB))


def test_a_predicted_peak_is_told_with_its_range() -> None:
    way = a_way(0, 1.0)
    ranged = advised([replace(way, peak=replace(way.peak, band=(GIB, 3 * GIB)))])
    assert "2.00 GiB of 8.00 GiB (predicted, 1.00 GiB to 3.00 GiB)" in advice_words.headline(ranged, NETWORKS)
    assert shown(ranged)["recommendation"]["peak"]["range"] == {"least_bytes": GIB, "most_bytes": 3 * GIB}
    # and one without a range has none
    assert shown(advised([way]))["recommendation"]["peak"]["range"] is None


def test_each_change_is_a_line_with_what_it_depends_on() -> None:
    advice = advised([a_way(0, 1.0), a_way(1, 2.0)], away(0.9))
    untiled, tile, remote = advice.ranked
    found = advice_changes.lines(
        with_changes(
            advice,
            Change("more_memory", untiled, 7 * GIB),
            Change("more_memory", untiled, 12 * GIB, is_other_card=True),
            Change("less_memory", tile, 3 * GIB),
            Change("less_memory", None, 2 * GIB),
            Change("round_trip_below", remote, at_s=0.05),
            Change("measured", tile),
        )
    )
    parts = [
        *(("7.00 GiB", "untiled"), ("12.0 GiB", "4.00 GiB more", "untiled"), ("3.00 GiB", "tile 1024/256")),
        *(("2.00 GiB", "nothing"), ("below 50 ms", "remote"), ("tile 1024/256", "`bench run ")),
    ]
    assert all(all(part in line for part in each) for line, each in zip(found, parts, strict=True))


def test_the_memory_under_a_limit_is_more_of_the_limit() -> None:
    advice = advised([a_way(0, 1.0)], limit_bytes=4 * GIB)
    (line,) = advice_changes.lines(with_changes(advice, Change("more_memory", advice.ranked[0], 6 * GIB)))
    assert "limit of 6.00 GiB (2.00 GiB more)" in line


def test_json_has_each_change_with_its_figures() -> None:
    advice = advised([a_way(0, 1.0)], away(0.9))
    changes = (Change("more_memory", advice.ranked[0], 12 * GIB, is_other_card=True), Change("less_memory", None, 9))
    remote = Change("round_trip_below", advice.ranked[1], at_s=0.05)
    found = shown(with_changes(advice, *changes, remote))["would_change"]
    empty = dict.fromkeys(("at_bytes", "round_trip_s", "way", "dtype", "verdict")) | {"other_card": False}
    assert found == [
        empty
        | {"condition": "more_memory", "at_bytes": 12 * GIB, "other_card": True}
        | {"way": "untiled", "dtype": "float32", "verdict": "fits"},
        empty | {"condition": "less_memory", "at_bytes": 9},
        empty | {"condition": "round_trip_below", "round_trip_s": 0.05, "way": "remote", "verdict": "remote"},
    ]


def test_a_variant_is_told_with_its_source_and_the_command_if_there_is_one() -> None:
    advice = replace(advised([a_way(1, 1.0)]), variants=(VARIANT, replace(VARIANT, name="x", is_measurable=False)))
    lines = advice_changes.worth_measuring(advice)
    assert all("a pull request" in line and "2 s without" in line for line in lines)
    variants = shown(advice)["worth_measuring"]
    assert [variant["variant"] for variant in variants] == ["channels-last", "x"]
    assert "[default, channels-last]" in variants[0]["command"]
    assert variants[1]["command"] is None


def test_the_command_keeps_the_precision_the_tile_the_batch_and_the_limit() -> None:
    case = changed(IMAGE, batch=4, dtype="float16")
    advice = advised([a_way(0, 1.0, case=case)], limit_bytes=6 * GIB)
    command = shown(advice)["measure"]
    assert command.split(" --")[1:] == [
        *("model sdxl", "operation decode", "resolution 2048x2048", "set dtypes=float16", "set 'tiling=\"off\"'"),
        *("set batch=4", f"vram-limit {6 * GIB}"),
    ]
    assert shown(advised([a_way(0, None, "out_of_memory")], away(1.0)))["measure"] is None


def test_what_spills_is_named_so_in_the_headline_the_table_and_json() -> None:
    advice = advised([spilling(a_way(0, None), 2)], os="windows")
    assert "on Windows: untiled: spills, 9.00 GiB of 8.00 GiB" in advice_words.headline(advice, NETWORKS)
    assert "spills 112%" in markdown.render(advice_page.page([advice], None, NETWORKS))
    figures = shown(advice)
    assert (figures["card"]["os"], figures["recommendation"]["verdict"]) == ("windows", "spills")
    assert figures["recommendation"]["peak"]["spilled_bytes"] == 2 * GIB


def test_only_advice_for_windows_tells_what_windows_does() -> None:
    windows, linux = (advised([a_way(0, 1.0)], os=os) for os in ("windows", "linux"))
    assert len(advice_words.system_notes([windows])) == 1
    assert advice_words.system_notes([linux]) == []
    texts = [advice_figures.figures([advice], None).assumptions for advice in (windows, linux)]
    assert texts[0].startswith(texts[1])
    assert "--free" in texts[0]


def test_expandable_segments_on_windows_are_told_to_be_of_wsl_alone() -> None:
    segments = advised([a_way(0, 1.0)], os="windows", allocator="expandable")
    assert "WSL alone" in advice_figures.figures([segments], None).assumptions
    assert shown(segments)["card"]["allocator"] == "expandable"
    linux, native = (advised([a_way(0, 1.0)], **fields) for fields in ({"allocator": "expandable"}, {"os": "windows"}))
    assert not any("WSL alone" in note for each in (linux, native) for note in advice_words.place_notes([each]))


def turing(dtype: str, **choices: bool) -> Advice:
    card = "NVIDIA GeForce RTX 2080 Ti"
    image = changed(IMAGE, model="flux", dtype=dtype)
    place = a_place(card=card, gpu=load_gpus().cards[card])
    options = local_ways.of(image, place, **choices)
    return rank(image, place, [replace(a_way(0, 1.0), option=option) for option in options], away())


def test_a_precision_that_takes_the_place_of_another_is_named_with_the_reason() -> None:
    advice = turing("bfloat16")
    assert ": float32, untiled (its own precision is bfloat16): " in advice_words.headline(advice, NETWORKS)
    page = markdown.render(advice_page.page([advice], None, NETWORKS))
    assert "| float32, untiled |" in page
    assert "NVIDIA GeForce RTX 2080 Ti: compute capability 7.5 has no bfloat16" in page
    assert "compute capability 7.5 has no bfloat16" in advice.reason


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_precision_that_was_asked_for_is_recommended_with_its_risk_unless_the_card_lacks_it(dtype: str) -> None:
    advice = turing(dtype, fixed=True)
    if dtype == "float16":
        assert "black images" in advice_words.headline(advice, NETWORKS)
        return
    assert advice.best is None
    assert advice_words.nothing(advice) == "no bfloat16 here"
    assert "| no bfloat16 here |" in markdown.render(advice_page.page([advice], None, NETWORKS))
    assert shown(advice)["recommendation"] is None
    assert shown(advice)["recommended"] is False
