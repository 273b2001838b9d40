"""oneDNN's scratch memory, each rule by hand."""

from __future__ import annotations

import pytest

from bench.traces.events import Attention, Convolution, Product, Upsampling
from bench.vram.onednn import OneDnn
from bench.vram.workspace import NOTHING, Scratch

FLOAT = 4


def test_a_convolution_copies_input_filter_and_output_into_blocks() -> None:
    # Given 32 channels of 64x64 into 64, which are multiples of 16 lanes
    kernel = Convolution((1, 32, 64, 64), (1, 64, 64, 64), (64, 32, 3, 3))
    # Then input and filter are copied and dropped before the output comes, and the output's own blocks live beside it
    assert OneDnn(lanes=16).scratch(kernel, FLOAT) == Scratch(
        before=(32 * 64 * 64 * 4, 64 * 32 * 9 * 4), across=(64 * 64 * 64 * 4,)
    )


def test_channels_are_padded_to_the_lanes_and_so_is_the_bias() -> None:
    # Given 20 channels into 10
    kernel = Convolution((1, 20, 64, 64), (1, 10, 64, 64), (10, 20, 3, 3))
    # Then with 16 lanes they count as 32 and 16; the bias, of 16, comes first
    assert OneDnn(lanes=16).scratch(kernel, FLOAT) == Scratch(
        before=(16 * 4, 32 * 64 * 64 * 4, 16 * 32 * 9 * 4), across=(16 * 64 * 64 * 4,)
    )
    # And with 8 lanes as 24 and 16
    assert OneDnn(lanes=8).scratch(kernel, FLOAT) == Scratch(
        before=(16 * 4, 24 * 64 * 64 * 4, 16 * 24 * 9 * 4), across=(16 * 64 * 64 * 4,)
    )


def test_an_image_s_three_channels_are_taken_as_they_lie() -> None:
    # Given an image of 128x128
    kernel = Convolution((1, 3, 128, 128), (1, 32, 128, 128), (32, 3, 3, 3))
    # Then there is no copy of the input, and the filter has three channels
    assert OneDnn().scratch(kernel, FLOAT) == Scratch(before=(32 * 3 * 9 * 4,), across=(32 * 128 * 128 * 4,))


def test_few_channels_through_one_pixel_are_padded_all_the_same() -> None:
    # Given quant_conv's 8 channels, 64x64, with a filter of one pixel
    kernel = Convolution((1, 8, 64, 64), (1, 8, 64, 64), (8, 8, 1, 1))
    # Then all are padded to 16
    assert OneDnn(lanes=16).scratch(kernel, FLOAT) == Scratch(
        before=(16 * 4, 16 * 64 * 64 * 4, 16 * 16 * 4), across=(16 * 64 * 64 * 4,)
    )


def test_a_small_image_is_left_to_torch_which_unfolds_it_into_columns() -> None:
    # Given 20 x 32 x 32 = 20480 values of one image, the most that torch keeps to itself
    kernel = Convolution((1, 20, 32, 32), (1, 8, 32, 32), (8, 20, 3, 3))
    # Then each of 32x32 places has a column of 20 x 3 x 3
    assert OneDnn().scratch(kernel, FLOAT) == Scratch(across=(20 * 9 * 32 * 32 * 4,))


@pytest.mark.parametrize(
    "kernel",
    [
        Convolution((2, 10, 32, 32), (2, 8, 32, 32), (8, 10, 3, 3)),  # as many values, but of two images
        Convolution((1, 20, 32, 33), (1, 8, 32, 33), (8, 20, 3, 3)),  # 660 values too many
        Convolution((1, 20, 32, 32), (1, 8, 32, 32), (8, 20, 5, 5)),  # too large a filter
    ],
    ids=["a batch", "more values", "a larger filter"],
)
def test_anything_else_goes_to_onednn(kernel: Convolution) -> None:
    assert OneDnn().scratch(kernel, FLOAT).before


def test_a_small_image_through_one_pixel_needs_no_columns() -> None:
    kernel = Convolution((1, 4, 32, 32), (1, 4, 32, 32), (4, 4, 1, 1))
    assert OneDnn().scratch(kernel, FLOAT) == NOTHING


@pytest.mark.parametrize(("queries", "rows"), [(1024, 256), (768, 256), (767, 64), (192, 64), (191, 32), (16, 16)])
def test_attention_has_a_block_a_thread_and_the_log_of_sums(queries: int, rows: int) -> None:
    # Given one head of 512; a block has so many rows of queries (no more than there are) and up to 512 of keys
    kernel = Attention(1, 1, queries, queries, 512)
    columns = min(512, queries)
    # Then each thread has scores, two sums a row, and results
    block = rows * columns + 2 * rows + rows * 512
    assert OneDnn(threads=3).scratch(kernel, FLOAT) == Scratch(buffers=(queries * 4, 3 * block * 4))


def test_small_upsampling_goes_by_way_of_channels_last() -> None:
    # Given 32x32 doubled: 64 + 64 is no more than 128
    kernel = Upsampling((1, 16, 32, 32), (1, 16, 64, 64))
    assert OneDnn().scratch(kernel, FLOAT) == Scratch(buffers=(16 * 32 * 32 * 4, 16 * 64 * 64 * 4))


def test_larger_upsampling_and_products_need_nothing() -> None:
    assert OneDnn().scratch(Upsampling((1, 16, 32, 33), (1, 16, 64, 66)), FLOAT) == NOTHING
    assert OneDnn().scratch(Product(1, 2, 3, 4), FLOAT) == NOTHING
