"""oneDNN's scratch memory, each rule by hand."""

from __future__ import annotations

from dataclasses import replace

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
    assert OneDnn(threads=2, lanes=16).scratch(kernel, FLOAT) == Scratch(
        before=(16 * 4, 16 * 64 * 64 * 4, 16 * 16 * 4), across=(16 * 64 * 64 * 4,)
    )
    # And on one thread torch keeps single pixels to itself, unless they are far apart or of many images
    assert OneDnn(threads=1).scratch(kernel, FLOAT) == NOTHING
    apart, many = replace(kernel, output=(1, 8, 32, 32)), replace(kernel, input=(16, 8, 8, 8), output=(16, 8, 8, 8))
    assert OneDnn(threads=1).scratch(apart, FLOAT).before
    assert OneDnn(threads=1).scratch(many, FLOAT).before


def test_a_video_is_copied_into_blocks_like_an_image() -> None:
    # Given 16 channels of 3 padded frames of 130x130 into 24
    kernel = Convolution((1, 16, 3, 1302, 130), (1, 24, 1, 1300, 128), (24, 16, 3, 3, 3))
    # Then input and filter are copied, and the output's blocks live beside it
    assert OneDnn(lanes=8).scratch(kernel, FLOAT) == Scratch(
        before=(16 * 3 * 1302 * 130 * 4, 24 * 16 * 27 * 4), across=(24 * 1300 * 128 * 4,)
    )


def test_whether_a_video_is_small_does_not_depend_on_its_width() -> None:
    # Given 16 channels x 10 frames x 128 rows = 20480, which is the most that torch keeps to itself, and very wide
    kernel = Convolution((1, 16, 10, 128, 5000), (1, 4, 8, 126, 4998), (4, 16, 3, 3, 3))
    # Then each place of the output has a column of 16 x 3 x 3 x 3
    assert OneDnn().scratch(kernel, FLOAT) == Scratch(across=(16 * 27 * 8 * 126 * 4998 * 4,))
    # And with one more row it is oneDNN's
    taller = replace(kernel, input=(1, 16, 10, 129, 5000), output=(1, 4, 8, 127, 4998))
    assert OneDnn().scratch(taller, FLOAT).before


def test_a_small_video_through_one_pixel_needs_no_columns_unless_pixels_are_left_out() -> None:
    kernel = Convolution((1, 16, 4, 32, 32), (1, 8, 4, 32, 32), (8, 16, 1, 1, 1))
    assert OneDnn(threads=2).scratch(kernel, FLOAT) == NOTHING
    strided = replace(kernel, output=(1, 8, 2, 16, 16))
    assert OneDnn(threads=2).scratch(strided, FLOAT) == Scratch(across=(16 * 2 * 16 * 16 * 4,))


def test_a_channels_last_convolution_copies_its_filter_alone() -> None:
    # Given 20 channels of 64x64 into 20
    kernel = Convolution((1, 20, 64, 64), (1, 20, 64, 64), (20, 20, 3, 3), channels_last=True)
    # Then the filter is copied, and again into 24 channels of blocks after the output is there, beside oneDNN's own
    assert OneDnn(threads=2, lanes=8).scratch(kernel, FLOAT) == Scratch(
        across=(20 * 20 * 9 * 4,), buffers=(4096 + 2 * (4096 + 24), 24 * 20 * 9 * 4)
    )


def test_a_small_channels_last_image_has_its_filter_turned_round_and_a_video_itself() -> None:
    image = Convolution((1, 16, 32, 32), (1, 8, 32, 32), (8, 16, 3, 3), channels_last=True)
    assert OneDnn().scratch(image, FLOAT) == Scratch(across=(8 * 16 * 9 * 4, 16 * 9 * 32 * 32 * 4))
    video = Convolution((1, 16, 3, 32, 32), (1, 8, 1, 30, 30), (8, 16, 3, 3, 3), channels_last=True)
    assert OneDnn().scratch(video, FLOAT) == Scratch(across=(16 * 3 * 32 * 32 * 4, 16 * 27 * 30 * 30 * 4))


def test_groups_of_one_channel_or_of_whole_blocks_are_copied_and_others_only_written_twice() -> None:
    # Given 20 channels, each by itself: padded to 24, and the filter's other side is not
    alone = Convolution((1, 20, 64, 64), (1, 20, 64, 64), (20, 1, 3, 3))
    assert OneDnn(lanes=8).scratch(alone, FLOAT) == Scratch(
        before=(24 * 4, 24 * 64 * 64 * 4, 24 * 9 * 4), across=(24 * 64 * 64 * 4,)
    )
    # And three groups of 32, then three of 12
    whole = Convolution((1, 96, 64, 64), (1, 96, 64, 64), (96, 32, 1, 1))
    assert OneDnn(threads=2, lanes=8).scratch(whole, FLOAT) == Scratch(
        before=(96 * 64 * 64 * 4, 96 * 32 * 4), across=(96 * 64 * 64 * 4,)
    )
    uneven = Convolution((1, 36, 64, 64), (1, 36, 64, 64), (36, 12, 1, 1))
    assert OneDnn(threads=2, lanes=8).scratch(uneven, FLOAT) == Scratch(across=(36 * 64 * 64 * 4,))


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
