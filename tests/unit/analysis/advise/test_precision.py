"""Precisions that a card lacks or that give black images: each way says so, and none comes before a safe one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import a_case
from hypothesis import given
from hypothesis import strategies as st
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise import local_ways
from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import Option
from bench.analysis.advise.precision import Hazard, lack
from bench.analysis.advise.ranking import rank
from bench.analysis.advise.ways import Local
from bench.config import load_gpus
from bench.record import Case

TURING, AMPERE, GTX_16 = "NVIDIA GeForce RTX 2080 Ti", "NVIDIA GeForce RTX 3070", "NVIDIA GeForce GTX 1660"
FLUX = a_case(model="flux", operation="decode", size=1024, dtype="bfloat16")
HALF = IMAGE.model_copy(update={"dtype": "float16"})


def on(card: str) -> Place:
    return a_place(card=card, gpu=load_gpus().cards[card])


def hazards(case: Case, card: str, **choices: bool) -> dict[str, Hazard | None]:
    """The hazard of each precision that is looked at."""
    return {option.case.dtype: option.hazard for option in local_ways.of(case, on(card), **choices)}


def hazardous(hazard: Hazard, change: int = 5, verdict: str = "fits", seconds: float = 0.1) -> Local:
    way = a_way(change, seconds, verdict, case=HALF, risk="a risk")
    return replace(way, option=replace(way.option, hazard=hazard))


def test_bfloat16_is_emulated_by_every_card_before_ampere() -> None:
    cards = load_gpus().cards
    emulating = {name for name in cards if (found := lack("bfloat16", on(name))) and found.hazard == "emulated"}
    assert emulating == {name for name, gpu in cards.items() if gpu.architecture in {"pascal", "volta", "turing"}}


def test_a_card_of_the_results_that_gpus_yaml_lacks_is_judged_by_its_compute_capability() -> None:
    def unlisted(capability: str | None) -> Place:
        return a_place(card="NVIDIA Tesla X", gpu=None, compute_capability=capability)

    assert lack("bfloat16", unlisted("7.5")) is not None
    assert lack("bfloat16", unlisted("12.0")) is None
    # and of one that is not known nothing is claimed
    assert [lack("bfloat16", unlisted(text)) for text in (None, "", "seven", "7", "7.5.1")] == [None] * 5
    assert lack("bfloat16", a_place(card=None, gpu=None)) is None


@pytest.mark.parametrize(
    ("card", "hazard"), [(GTX_16, "black_images"), ("NVIDIA GeForce GTX 1080 Ti", None), (TURING, None)]
)
def test_float16_without_tensor_cores(card: str, hazard: Hazard | None) -> None:
    found = lack("float16", on(card))
    assert (found.hazard if found else None) == hazard
    assert (found is None) == (card == TURING)
    assert lack("float32", on(card)) is None


def test_float32_replaces_the_model_s_own_precision_on_a_card_that_lacks_it() -> None:
    assert hazards(FLUX, TURING) == {"bfloat16": "emulated", "float32": None, "float16": "black_images"}
    assert hazards(FLUX, AMPERE) == {"bfloat16": None}
    labels = [option.label for option in local_ways.of(FLUX, on(TURING)) if option.is_substitute]
    assert labels == [
        f"float32, {way}" for way in ("untiled", "tile 768/192", "tile 512/128", "tile 384/96", "tile 256/64")
    ]
    # on the page too, which has no lower precisions
    assert hazards(FLUX, TURING, lower=False) == {"bfloat16": "emulated", "float32": None}
    half = a_case(model="sd-v1", operation="decode", size=512, dtype="float16")
    assert hazards(half, GTX_16) == {"float16": "black_images", "float32": None, "bfloat16": "emulated"}


def test_a_precision_that_was_asked_for_is_the_only_one_and_is_refused_only_if_the_card_lacks_it() -> None:
    assert hazards(FLUX, TURING, fixed=True) == {"bfloat16": "emulated"}
    assert hazards(FLUX.model_copy(update={"dtype": "float16"}), TURING, fixed=True) == {"float16": None}


@pytest.mark.parametrize("card", [TURING, AMPERE, GTX_16])
@pytest.mark.parametrize("model", ["sd-v1", "sdxl", "flux"])
def test_every_way_in_a_float16_that_the_model_was_not_made_for_has_its_risk(model: str, card: str) -> None:
    for dtype in ("float16", "bfloat16", "float32"):
        options = local_ways.of(a_case(model=model, operation="decode", size=1024, dtype=dtype), on(card))
        black = [option for option in options if option.case.dtype == "float16" and model != "sd-v1"]
        assert all(option.risk for option in black)
        assert all(option.hazard for option in black if option.case.dtype != dtype)


def order(ways: list[Local]) -> list[str]:
    return [
        each.way.option.label if isinstance(each.way, Local) else "remote"
        for each in rank(IMAGE, a_place(), ways, away()).ranked
    ]


def test_what_may_give_black_images_comes_after_everything_that_runs_safely() -> None:
    bands = a_way(4, 3.0, case=IMAGE.model_copy(update={"dtype": "bfloat16"}), risk="bands")
    ways = [a_way(0, 5.0, "tight"), a_way(1, 4.0), bands, hazardous("black_images")]
    assert order(ways)[:4] == ["tile 1024/256", "bfloat16, untiled", "untiled", "float16, untiled"]
    assert order([a_way(0, 5.0, "tight"), hazardous("black_images")])[:2] == ["untiled", "float16, untiled"]


def test_what_may_give_black_images_is_recommended_only_if_nothing_else_is_known() -> None:
    ways = [a_way(0, None, "out_of_memory"), hazardous("black_images")]
    alone = rank(IMAGE, a_place(), ways, away())
    assert alone.best is not None
    assert alone.best.reason == "a risk"
    beside = rank(IMAGE, a_place(), ways, away(60.0))
    assert beside.best is not None
    assert beside.best.standing == "remote"


def test_a_precision_that_the_card_emulates_is_never_recommended() -> None:
    assert rank(IMAGE, a_place(), [hazardous("emulated")], away()).best is None
    with_remote = rank(IMAGE, a_place(), [hazardous("emulated")], away(60.0))
    assert with_remote.best is not None
    assert with_remote.best.standing == "remote"
    assert "a risk" in with_remote.reason
    assert order([hazardous("emulated", 0), a_way(1, 9.0, "tight")])[0] == "tile 1024/256"


def test_where_the_precision_that_takes_its_place_is_out_of_memory_both_are_told() -> None:
    found = rank(IMAGE, a_place(), [hazardous("emulated", 0), a_way(1, None, "out_of_memory")], away())
    assert found.best is None
    assert "a risk" in found.reason
    assert "needs 12 GiB" in found.reason


def test_what_would_be_quicker_in_black_images_says_so() -> None:
    found = rank(IMAGE, a_place(), [a_way(0, 5.0), hazardous("black_images")], away()).quicker
    assert found is not None
    assert "black images" in found
    emulated = rank(IMAGE, a_place(), [a_way(0, 5.0), hazardous("emulated")], away())
    assert emulated.quicker is None


def test_an_option_of_the_requested_precision_names_none() -> None:
    assert Option(IMAGE, 0).label == "untiled"


_WAYS = st.lists(
    st.tuples(
        st.sampled_from(["fits", "tight", "spills", "out_of_memory"]),
        st.sampled_from([None, "black_images", "emulated"]),
        st.booleans(),
        st.one_of(st.none(), st.floats(0.01, 100)),
    ),
    min_size=1,
    max_size=8,
)


@given(_WAYS, st.one_of(st.none(), st.floats(0.01, 100)))
def test_whatever_the_ways_an_unsafe_one_is_never_recommended_beside_a_safe_one_that_runs(
    drawn: list[tuple[str, Hazard | None, bool, float | None]], remote_s: float | None
) -> None:
    ways = []
    for change, (verdict, hazard, is_lower, seconds) in enumerate(drawn):
        way = a_way(change, seconds, "tight" if verdict == "spills" else verdict, risk="a risk" if is_lower else "")
        peak = replace(way.peak, verdict=verdict)  # type: ignore[arg-type]
        option = replace(way.option, hazard=hazard, risk="a risk" if hazard else way.option.risk)
        ways.append(replace(way, option=option, peak=peak))

    advice = rank(IMAGE, a_place(os="windows"), ways, away(remote_s))

    best = advice.best.way if advice.best else None
    safe = [way for way in ways if way.peak.verdict in {"fits", "tight"} and way.option.hazard is None]
    if isinstance(best, Local):
        assert best.peak.runs
        assert best.option.hazard != "emulated"
        assert not safe or (best.option.hazard is None and best.peak.verdict != "spills")
    assert (best is None) <= (remote_s is None and not safe)
    assert len(advice.ranked) == len(ways) + 1
    assert all(each.reason and not each.reason.endswith("; ") for each in advice.ranked)
