"""What is said of a call that goes beyond what was fitted."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from factories import a_case
from observed import GPUS, TRUTH, WORKS, a_gpu, all_observed

from bench.analysis.speed import extrapolation
from bench.analysis.speed.clock import Clock
from bench.analysis.speed.extrapolation import Range, Scope, around, beyond
from bench.config import load_gpus

SCOPE = Scope.of(all_observed())
CASE = a_case(model="sd-v1", dtype="float16")


# The range


def test_the_range_reaches_twice_as_far_as_the_worst_architecture_left_out_in_logarithms() -> None:
    # given two architectures, whose worst errors are a third too little and a quarter too much
    log_errors = [("a", math.log(1.1)), ("a", math.log(0.75)), ("b", math.log(1.25)), ("b", math.log(0.9))]

    assert extrapolation.spread(log_errors) == pytest.approx((4 / 3) ** 2)


def test_the_error_of_one_architecture_alone_is_no_ground_for_a_spread() -> None:
    assert extrapolation.spread([("a", 0.1), ("a", 0.2)]) is None
    assert extrapolation.spread([]) is None


def test_a_range_is_the_time_divided_and_multiplied_by_the_spread() -> None:
    assert around(0.3, 0.01, 1.5) == Range(pytest.approx(0.2), pytest.approx(0.45))  # type: ignore[arg-type]


def test_a_range_begins_no_earlier_than_the_products_at_the_rated_rates() -> None:
    assert around(0.3, 0.25, 1.5) == Range(0.25, pytest.approx(0.45))  # type: ignore[arg-type]


def test_without_a_spread_the_products_at_the_rated_rates_are_all_that_is_known() -> None:
    assert around(0.3, 0.01, None) == Range(0.01, None)


# What goes beyond the fit


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ()),
        ({"size": 4096}, ()),
        ({"operation": "decode"}, ("decode (fitted on encode alone)",)),
        ({"dtype": "bfloat16"}, ("bfloat16 (fitted on float16, float32)",)),
        ({"model": "sdxl"}, ("SDXL (fitted on SD v1.5)",)),
        ({"batch": 4}, ("batch 4",)),
        ({"variant": "channels-last"}, ("channels-last",)),
        ({"variant": "sliced"}, ()),
        ({"model": "flux", "dtype": "bfloat16"}, ("bfloat16 (fitted on float16, float32)", "Flux (fitted on SD v1.5)")),
    ],
)
def test_what_no_time_was_observed_of_is_told(fields: dict[str, Any], told: tuple[str, ...]) -> None:
    case = a_case(**{"model": "sd-v1", "dtype": "float16"} | fields)

    assert beyond(case, GPUS["one"], SCOPE, 1.0) == told


def test_a_model_in_a_precision_that_only_another_was_observed_in_is_told() -> None:
    seen = [one for one in all_observed() if one.case.dtype == "float16"]
    seen += [type(seen[0])("published", "one", a_case(model="sdxl", dtype="float32"), 1.0, GPUS["one"], WORKS[0])]

    assert beyond(a_case(model="sdxl", dtype="float16"), GPUS["one"], Scope.of(seen), 1.0) == ("SDXL in float16",)


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ("NVIDIA H200", "hopper (fitted on ampere)"),
        ("NVIDIA GeForce RTX 4090", "ada (fitted on ampere)"),
        ("NVIDIA A100-SXM4-80GB", "compute capability 8.0 (fitted on 8.6)"),
    ],
)
def test_another_architecture_is_told(card: str, told: str) -> None:
    assert beyond(CASE, load_gpus().cards[card], SCOPE, 1.0) == (told,)


def test_an_architecture_of_which_only_half_precision_was_observed_is_told_for_float32() -> None:
    # Given times in 2 bytes a value on Hopper, and in both widths on Ampere
    hopper = load_gpus().cards["NVIDIA H200"]
    seen = [*all_observed(), replace(all_observed()[0], card="NVIDIA H200", gpu=hopper)]
    assert seen[-1].case.dtype == "float16"
    scope = replace(Scope.of(seen), tensor_ratios=((2, 14.8), (4, 7.4)))  # an H200's
    # Then Hopper's time in 4 bytes is beyond the fit, as other kernels compute it
    assert beyond(a_case(model="sd-v1", dtype="float32"), hopper, scope, 1.0) == ("hopper in float32",)
    assert beyond(a_case(model="sd-v1", dtype="float16"), hopper, scope, 1.0) == ()


def test_a_card_of_another_ratio_of_its_tensor_cores_to_its_fp32_units_is_told() -> None:
    # given cards of 1.6, 1.7 and 2.2 times the FP32 rate, and one of 4 times
    (told,) = beyond(CASE, a_gpu(half=102.4), SCOPE, 1.0)
    assert told.startswith("tensor cores at 4.0 times the FP32 rate")
    assert beyond(CASE, a_gpu(half=42), SCOPE, 1.0) == ()


def test_times_below_those_that_can_be_fitted_are_told() -> None:
    assert beyond(CASE, GPUS["one"], SCOPE, 0.0099) == ("times below 10 ms",)
    assert TRUTH.seconds(WORKS[0], "float16", GPUS["one"]) > 0.01


def test_a_model_of_another_class_is_told_by_its_class_and_has_a_wider_range(toy_video: str) -> None:
    # given a model of a class that was never timed, and one of the fitted class
    clip, image = a_case(model=toy_video, dtype="float16", frames=17), a_case(model="sdxl", dtype="float16")
    clock = Clock(TRUTH, SCOPE, spread=1.5)
    # when
    estimates = [clock.estimate(case, GPUS["one"], WORKS[0]) for case in (image, clip)]
    # then
    assert any("ToyVideo" in word for word in beyond(clip, GPUS["one"], SCOPE, 1.0))
    assert not any("class" in word for word in beyond(image, GPUS["one"], SCOPE, 1.0))
    widths = [each.between.most_s / each.seconds for each in estimates if each and each.between and each.between.most_s]
    assert widths == [pytest.approx(1.5), pytest.approx(1.5**2)]
