"""The model of a call's time: its arithmetic by hand, and the figures that a fit comes to."""

from __future__ import annotations

import pytest
from observed import TRUTH, WORKS, a_gpu, all_observed, kernels, observed

from bench.analysis.speed.fit import LEAST, Model, fit
from bench.analysis.speed.parts import FORM, Form, Parts, parts
from bench.core.work import Kernels

NAMES = {"float16": "bfloat16", "float32": "float32"}
GPU = a_gpu(half=40, tf32=20, vector=25.6, gb_s=1000, sm=100, l2=8)
MIB = 2**20


def least(work: Kernels, dtype: str, gpu: object = GPU, form: Form = FORM) -> Parts:
    return parts(work, dtype, gpu, form)  # type: ignore[arg-type]


# The least time that the rates allow, by hand


def test_in_2_bytes_convolutions_and_linear_layers_run_on_tensor_cores() -> None:
    # 40 and 20 TFLOP at 40 TFLOP/s
    found = least(kernels(convolution_flops=40 * 10**12, product_flops=20 * 10**12), "float16")

    assert found.products_s == pytest.approx(1 + 0.5)


def test_in_float32_convolutions_are_of_tf32_and_linear_layers_are_not() -> None:
    # 40 TFLOP at 20 TFLOP/s, 25.6 at 25.6
    found = least(kernels(convolution_flops=40 * 10**12, product_flops=256 * 10**11), "float32")

    assert found.products_s == pytest.approx(2 + 1)


def test_a_card_without_tf32_computes_float32_at_its_vector_rate() -> None:
    found = least(kernels(convolution_flops=40 * 10**12), "float32", a_gpu(tf32=None, vector=10))

    assert found.products_s == pytest.approx(4)


@pytest.mark.parametrize(("dtype", "item_bytes"), [("float16", 2), ("bfloat16", 2), ("float32", 4)])
def test_a_tensor_that_the_cache_has_no_room_for_is_read_from_memory(dtype: str, item_bytes: int) -> None:
    # given 10 tensors of 250 million values of a convolution, and 20 of another kernel
    found = least(kernels(convolved={250 * 10**6: 10}, moved={250 * 10**6: 20}), dtype)

    # then all of them come from memory at 1000 GB/s
    assert found.memory_s == pytest.approx(30 * 250e6 * item_bytes / 1e12)
    # and pass the cache at 64 bytes a cycle, on 100 multiprocessors of 1 GHz
    assert found.cache_s == pytest.approx(30 * 250e6 * item_bytes / (64 * 100 * 1e9))


def test_a_tensor_stays_in_the_cache_if_it_is_smaller_than_half_of_it() -> None:
    # given tensors of 2 million values, of which two fill the cache of 8 MiB in float16, and one a little smaller
    whole, less = (least(kernels(moved={2 * MIB - smaller: 3}), "float16") for smaller in (0, 1))

    assert whole.memory_s == pytest.approx(3 * 4 * MIB / 1e12)
    assert less.memory_s == 0
    assert less.cache_s == pytest.approx(3 * (4 * MIB - 2) / (64 * 100 * 1e9))


@pytest.mark.parametrize(("rows", "multiprocessors", "busy"), [(32, 100, 32), (64, 100, 64), (128, 100, 100)])
def test_each_row_of_a_group_normalisation_keeps_one_multiprocessor_busy(
    rows: int, multiprocessors: int, busy: int
) -> None:
    # given 5 normalisations of rows of a million values, at 1 GHz
    found = least(kernels(normalised={(rows, 10**6): 5}), "float16", a_gpu(sm=multiprocessors))

    assert found.normalisation_s == pytest.approx(5 * rows * 1e6 / busy / 1e9)


def test_a_group_normalisation_reads_its_tensor_twice_and_writes_it_once() -> None:
    norm, copies = kernels(normalised={(32, 10**7): 1}), kernels(moved={32 * 10**7: 3})

    assert least(norm, "float16").memory_s == pytest.approx(least(copies, "float16").memory_s)


def test_a_line_of_a_blended_tile_is_four_launches() -> None:
    assert least(kernels(blended_lines=7, launches=100), "float16").launches == 28
    assert least(kernels(blended_lines=7, launches=100), "float16", form=Form(every_launch=True)).launches == 128


def test_another_share_of_the_cache_keeps_other_tensors() -> None:
    # given tensors of 5 MiB beside a cache of 8
    kept = [least(kernels(moved={5 * MIB // 2: 1}), "float16", form=Form(share)).memory_s == 0 for share in (0.5, 0.75)]
    assert kept == [False, True]


def test_a_precision_without_a_place_in_the_model_is_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        least(kernels(), "float64")


@pytest.mark.parametrize("rate", ["sm_count", "l2_mib", "bandwidth_gb_s", "vector_tflops", "tensor_tflops"])
def test_a_card_of_which_a_rate_is_not_known_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="not known"):
        least(kernels(convolution_flops=1), "float16", GPU.model_copy(update={rate: None}))


# A prediction, by hand


@pytest.mark.parametrize(
    ("dtype", "seconds"),
    [
        # 1 s of products x 2, 0.5 s of attention x 3; 1.6 s of moments x 0.5; 4000 launches of 5 us
        pytest.param("float16", 2 + 1.5 + 0.8 + 0.02, id="2 bytes"),
        # 2 s x 1.5, 1 s x 4, the moments, and the launches
        pytest.param("float32", 3 + 4 + 0.8 + 0.02, id="4 bytes"),
    ],
)
def test_a_prediction_is_the_sum_of_its_parts(dtype: str, seconds: float) -> None:
    counts = {"convolution_flops": 40 * 10**12, "attention_flops": 20 * 10**12, "blended_lines": 1000}
    work = kernels(**counts, normalised={(100, 10**6): 1600})
    traffic = TRUTH.seconds(kernels(normalised={(100, 10**6): 1600}), dtype, GPU) - 0.8

    assert TRUTH.seconds(work, dtype, GPU) - traffic == pytest.approx(seconds)
    # and the traffic is 3 passes over 1600 tensors of 10**8 values, none of which stays in the cache
    moved_bytes = 3 * 1600 * 1e8 * (2 if dtype == "float16" else 4)
    assert traffic == pytest.approx(1.25 * moved_bytes / 1e12 + 3 * moved_bytes / (64 * 100 * 1e9))


def test_no_prediction_is_below_the_products_at_the_rated_rates() -> None:
    for work in WORKS:
        assert LEAST.seconds(work, "float16", GPU) >= LEAST.parts(work, "float16", GPU).rated_s


# The fit


def test_times_without_error_give_back_the_figures_that_they_were_made_with() -> None:
    assert fit(all_observed()).figures == pytest.approx(TRUTH.figures, rel=1e-6)


def test_a_figure_is_never_below_what_the_hardware_allows() -> None:
    # given times of half the rated ones
    half = Model.of([figure / 2 for figure in LEAST.figures])

    assert fit(all_observed(half)).figures == LEAST.figures


def test_errors_count_by_their_share_so_short_times_weigh_as_long_ones_do() -> None:
    # given convolutions alone, one at factor 1 and a hundred times as long a one at factor 2
    short, long = kernels(convolution_flops=4 * 10**12), kernels(convolution_flops=4 * 10**14)
    seen = [observed("one", short, "float16", 0.1), observed("one", long, "float16", 20)]
    seen.append(observed("one", short, "float32", 1))

    # by least squares of k/1 - 1 and k/2 - 1: k = (1 + 1/2) / (1 + 1/4)
    assert fit(seen).half.products == pytest.approx(1.2)


def test_bfloat16_shares_the_figures_of_float16() -> None:
    seen = [observed(one.card, one.kernels, NAMES[one.case.dtype], one.seconds) for one in all_observed()]

    assert fit(seen).figures == pytest.approx(TRUTH.figures, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_one_width_of_values_alone_is_no_ground_for_a_model(dtype: str) -> None:
    with pytest.raises(ValueError, match="both float32 and float16"):
        fit([one for one in all_observed() if one.case.dtype == dtype])


def test_a_fit_is_the_same_each_time() -> None:
    assert fit(all_observed()) == fit(all_observed())
