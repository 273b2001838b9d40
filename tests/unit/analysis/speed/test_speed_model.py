"""The model of a call's time: its arithmetic by hand, and the figures that a fit comes to."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from observed import TRUTH, WORKS, a_gpu, all_observed, observed

from bench.analysis.speed.fit import Model, fit
from bench.analysis.speed.observation import least
from bench.core.work import Work

NAMES = {"float16": "bfloat16", "float32": "float32"}
GPU = a_gpu(half=40, tf32=20, vector=10, gb_s=1000)


def flat(model: Model) -> list[float]:
    return [*astuple(model.half), *astuple(model.single), model.traffic, model.launch_s]


# The least time that the rates allow, by hand


def test_in_2_bytes_convolutions_and_linear_layers_run_on_tensor_cores() -> None:
    # 40 and 20 TFLOP at 40 TFLOP/s
    parts = least(Work(convolution_flops=40 * 10**12, product_flops=20 * 10**12), "float16", GPU)

    assert parts.products_s == pytest.approx(1 + 0.5)


def test_in_float32_convolutions_are_of_tf32_and_linear_layers_are_not() -> None:
    # 40 TFLOP at 20 TFLOP/s, 20 at 10
    parts = least(Work(convolution_flops=40 * 10**12, product_flops=20 * 10**12), "float32", GPU)

    assert parts.products_s == pytest.approx(2 + 2)


def test_a_card_without_tf32_computes_float32_at_its_vector_rate() -> None:
    parts = least(Work(convolution_flops=40 * 10**12), "float32", a_gpu(tf32=None, vector=10))

    assert parts.products_s == pytest.approx(4)


@pytest.mark.parametrize(("dtype", "seconds"), [("float16", 0.5), ("bfloat16", 0.5), ("float32", 1)])
def test_traffic_is_bytes_over_bandwidth(dtype: str, seconds: float) -> None:
    # 250 billion values of 2 or 4 bytes at 1000 GB/s
    assert least(Work(elements=250 * 10**9), dtype, GPU).traffic_s == pytest.approx(seconds)


def test_a_precision_without_a_place_in_the_model_is_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        least(Work(), "float64", GPU)


# A prediction, by hand


@pytest.mark.parametrize(
    ("dtype", "seconds"),
    [
        # 1 s of products x 2, 0.5 s of attention x 3, 0.2 s of traffic x 0.5, 1000 launches of 5 us
        pytest.param("float16", 2 + 1.5 + 0.1 + 0.005, id="2 bytes"),
        # 2 s x 1.5, 1 s x 4, 0.4 s x 0.5, and the launches
        pytest.param("float32", 3 + 4 + 0.2 + 0.005, id="4 bytes"),
    ],
)
def test_a_prediction_is_the_sum_of_its_parts(dtype: str, seconds: float) -> None:
    work = Work(convolution_flops=40 * 10**12, attention_flops=20 * 10**12, elements=100 * 10**9, launches=1000)

    assert TRUTH.seconds(work, dtype, GPU) == pytest.approx(seconds)


def test_twice_the_work_takes_twice_as_long() -> None:
    work = WORKS[3]

    assert TRUTH.seconds(work + work, "float16", GPU) == pytest.approx(2 * TRUTH.seconds(work, "float16", GPU))


# The fit


def test_times_without_error_give_back_the_figures_that_they_were_made_with() -> None:
    assert flat(fit(all_observed())) == pytest.approx(flat(TRUTH), rel=1e-6)


def test_a_figure_is_never_below_0() -> None:
    # given times that the traffic makes shorter: no model is of that kind
    work, more = Work(convolution_flops=10**13), Work(convolution_flops=10**13, elements=10**10)
    took = [(work, 2.0), (more, 1.0)]
    seen = [observed("one", one, dtype, seconds) for dtype in ("float16", "float32") for one, seconds in took]

    assert min(flat(fit(seen))) == 0


def test_errors_count_by_their_share_so_short_times_weigh_as_long_ones_do() -> None:
    # given convolutions alone, one at factor 1 and a hundred times as long a one at factor 2
    short, long = Work(convolution_flops=4 * 10**12), Work(convolution_flops=4 * 10**14)
    seen = [observed("one", short, "float16", 0.1), observed("one", long, "float16", 20)]
    seen.append(observed("one", short, "float32", 1))

    # by least squares of k/1 - 1 and k/2 - 1: k = (1 + 1/2) / (1 + 1/4)
    assert fit(seen).half.products == pytest.approx(1.2)


def test_bfloat16_shares_the_figures_of_float16() -> None:
    seen = [observed(one.card, one.work, NAMES[one.case.dtype], one.seconds) for one in all_observed()]

    assert flat(fit(seen)) == pytest.approx(flat(TRUTH), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_one_width_of_values_alone_is_no_ground_for_a_model(dtype: str) -> None:
    with pytest.raises(ValueError, match="both float32 and float16"):
        fit([one for one in all_observed() if one.case.dtype == dtype])


def test_a_fit_is_the_same_each_time() -> None:
    assert fit(all_observed()) == fit(all_observed())
