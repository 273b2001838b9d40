"""The fitted model with its errors: a point within the fit, a range beyond it, and the figures that come with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from factories import a_case, a_device, measured
from observed import GPUS, TRUTH, WORKS, all_observed, kernels

from bench.analysis.speed import clock, shipped
from bench.analysis.speed.clock import Clock, Estimate
from bench.analysis.speed.extrapolation import Range, Scope
from bench.analysis.speed.fit import Model
from bench.analysis.speed.observation import Observation
from bench.config import load_gpus
from bench.errors import BenchError
from bench.predictions import time_model
from bench.store import published, read_latest

CASE = a_case(model="sd-v1", dtype="float16")
SCOPE = Scope.of(all_observed())
CLOCK = Clock(TRUTH, SCOPE, spread=1.5)
SECONDS = TRUTH.seconds(WORKS[0], "float16", GPUS["one"])


def of_two_architectures() -> list[Observation]:
    return [
        replace(one, gpu=one.gpu.model_copy(update={"compute_capability": "8.9", "architecture": "ada"}))
        if one.card == "three"
        else one
        for one in all_observed()
    ]


def test_within_the_fit_there_is_a_point_and_no_range() -> None:
    assert CLOCK.estimate(CASE, GPUS["one"], WORKS[0]) == Estimate(SECONDS)


def test_beyond_the_fit_there_is_a_range_around_it() -> None:
    found = CLOCK.estimate(a_case(model="sdxl", dtype="float16"), GPUS["one"], WORKS[0])

    expected = Range(pytest.approx(SECONDS / 1.5), pytest.approx(SECONDS * 1.5))  # type: ignore[arg-type]
    assert found == Estimate(SECONDS, ("SDXL (fitted on SD v1.5)",), expected)


def test_what_a_caller_knows_to_be_beyond_the_fit_makes_a_range_too() -> None:
    found = CLOCK.estimate(CASE, GPUS["one"], WORKS[0], ("a tight fit",))

    assert found is not None
    assert found.beyond == ("a tight fit",)
    assert found.between is not None


def test_a_variant_with_kernels_of_its_own_has_no_time_until_one_was_measured() -> None:
    case = a_case(model="sd-v1", dtype="float16", variant="channels-last")
    assert CLOCK.estimate(case, GPUS["one"], WORKS[0]) is None
    # then one by its own figures, and not a point
    own = Model.of([figure * 2 for figure in TRUTH.figures])
    found = replace(CLOCK, variants={"channels-last": own}).estimate(case, GPUS["one"], WORKS[0])
    assert found is not None
    assert found.seconds == pytest.approx(2 * SECONDS)
    assert found.beyond == ("channels-last",)
    assert found.between is not None


def test_measured_times_of_a_variant_give_it_figures_and_leave_the_default_s_alone() -> None:
    quick = [
        replace(one, seconds=one.seconds * 1.5, case=one.case.model_copy(update={"variant": "channels-last"}))
        for one in all_observed()
    ]
    found = clock.fitted([*all_observed(), *quick])

    assert found is not None
    assert found.model.figures == pytest.approx(TRUTH.figures, rel=1e-6)
    slower = found.variants["channels-last"].seconds(WORKS[1], "float16", GPUS["two"])
    assert slower == pytest.approx(1.5 * TRUTH.seconds(WORKS[1], "float16", GPUS["two"]))
    assert found.scope == SCOPE


def test_errors_and_spread_need_several_cards_and_architectures() -> None:
    assert clock.fitted([]) is None
    alone = clock.fitted([one for one in all_observed() if one.card == "one"])
    assert alone is not None
    assert (alone.errors, alone.architecture_errors, alone.spread) == (None, None, None)
    cards = clock.fitted(all_observed())
    assert cards is not None
    assert cards.errors is not None
    assert cards.errors.median < 0.01
    assert (cards.architecture_errors, cards.spread) == (None, None)
    both = clock.fitted(of_two_architectures())
    assert both is not None
    assert both.architecture_errors is not None
    assert both.spread == pytest.approx(1, abs=1e-3)


# The figures that come with the program


def test_the_shipped_figures_are_those_that_a_fit_to_the_shipped_times_gives() -> None:
    stale = "run `make time-model` and review the difference"
    again, kept = time_model.of_published(), shipped.load()

    assert again.times == kept.times, stale
    assert kept.clock.model.figures == pytest.approx(again.clock.model.figures, rel=1e-9), stale
    assert kept.clock.spread == pytest.approx(again.clock.spread, rel=1e-9), stale
    assert kept.clock.scope == again.clock.scope, stale
    for own, other in (
        (kept.clock.errors, again.clock.errors),
        (kept.clock.architecture_errors, again.clock.architecture_errors),
    ):
        assert own is not None
        assert other is not None
        assert (own.cells, own.worst.observed) == (other.cells, other.worst.observed), stale
        assert (own.median, own.worst.error) == pytest.approx((other.median, other.worst.error), rel=1e-9), stale


def test_figures_are_the_same_once_written_and_read() -> None:
    kept = shipped.load()
    assert shipped.PATH.read_bytes() == shipped.to_json(kept)


def test_with_the_published_times_alone_nothing_is_fitted_and_scipy_stays_out() -> None:
    code = (
        "import sys; from bench.predictions import time_model; from bench.store import published, read_latest; "
        "clock = time_model.of_records(read_latest([published()])[0]); "
        "assert clock.scope.times == 114; assert not {'scipy', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_measured_time_of_one_s_own_is_fitted_as_well() -> None:
    folder = published()
    assert folder is not None
    docs = read_latest([folder])[0]
    card = a_device(name="NVIDIA GeForce RTX 3070", total_bytes=None)
    case = a_case(model="sd-v1", operation="decode", size=512, dtype="float16")
    cpu = measured(3.0, case=case)
    own = measured(0.09, device=card, case=case)

    assert time_model.of_records([*docs, cpu]) is shipped.load().clock  # a CPU's time is none of a card
    found = time_model.of_records([*docs, own])
    assert found is not None
    assert found.scope.times == 115
    assert found.model != shipped.load().clock.model


def test_times_of_one_s_own_that_are_too_few_give_no_model() -> None:
    card = a_device(name="NVIDIA GeForce RTX 3070", total_bytes=None)
    assert time_model.of_records([measured(0.09, device=card, case=CASE)]) is None
    assert time_model.of_records([]) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"times": "x"}'])
def test_a_broken_file_of_figures_is_an_error_in_words(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fitted.json").write_bytes(content)
    monkeypatch.setattr(shipped, "PATH", tmp_path / "fitted.json")
    shipped.load.cache_clear()
    try:
        with pytest.raises(BenchError, match=r"fitted\.json"):
            shipped.load()
    finally:
        shipped.load.cache_clear()


def test_a_card_s_own_rates_are_needed() -> None:
    with pytest.raises(ValueError, match="not known"):
        CLOCK.estimate(CASE, load_gpus().cards["NVIDIA GH200 480GB"], kernels(convolution_flops=1))
