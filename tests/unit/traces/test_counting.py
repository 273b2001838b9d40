"""What the kernels of a trace compute and move, counted in one made by hand."""

from __future__ import annotations

from dataclasses import astuple

from factories import a_case

from bench.core.work import Work
from bench.record import Tile
from bench.traces import counting, tracing
from bench.traces.events import (
    Attention,
    Birth,
    Convolution,
    Death,
    Elementwise,
    Kernel,
    Launch,
    Normalisation,
    Pass,
    Product,
    Trace,
    Upsampling,
)

KERNELS = (
    Convolution((1, 3, 8, 8), (1, 4, 8, 8), (4, 3, 3, 3)),
    Product(2, 5, 7, 11),
    Attention(1, 2, 6, 9, 4),
    Normalisation(32, 10),
    Upsampling((1, 4, 8, 8), (1, 4, 16, 16)),
    Elementwise(100, 50),
)


def a_trace(*kernels: Kernel | None, passes: int = 0, lines: int = 0) -> Trace:
    """A trace with these launches, alone or in as many equal passes."""
    launches = tuple(Launch("operator", "", kernel) for kernel in kernels)
    events = (*launches, Birth(0, 1), Death(0))
    once = [Pass(events, shift, 0, (1, 3, 8, 8)) for shift in range(passes)]
    return Trace(tuple(once) or events, 192, (108,), lines)


def test_each_kind_of_kernel_is_counted() -> None:
    kernels = counting.kernels_of(a_trace(*KERNELS))
    assert kernels.convolution_flops == 2 * (4 * 64) * (3 * 9)
    assert kernels.product_flops == 2 * 2 * 5 * 7 * 11
    assert kernels.attention_flops == 4 * 1 * 2 * 6 * 9 * 4
    assert kernels.convolved == {3 * 64: 1, 4 * 64: 1, 108: 1}
    # a product's three tensors; queries, keys, values and the result; the upsampled image before and after; the rest
    assert kernels.moved == {70: 1, 154: 1, 110: 1, 48: 2, 72: 2, 256: 1, 1024: 1, 100: 1, 50: 1}
    assert kernels.normalised == {(32, 10): 1}
    assert kernels.launches == len(KERNELS)


def test_a_launch_without_a_kernel_only_counts_as_a_launch() -> None:
    kernels = counting.kernels_of(a_trace(None))
    assert kernels.launches == 1
    assert kernels.work == Work()


def test_equal_passes_count_each() -> None:
    once, thrice = (counting.kernels_of(a_trace(*KERNELS, passes=passes)) for passes in (1, 3))
    assert thrice.work == Work(*(3 * count for count in astuple(once.work)))
    assert thrice.moved == {size: 3 * count for size, count in once.moved.items()}
    assert thrice.normalised == {(32, 10): 3}
    assert thrice.launches == 3 * once.launches


def test_blended_lines_are_four_small_kernels_each() -> None:
    assert counting.kernels_of(a_trace(lines=7)).work == Work(launches=28)


def test_tiles_compute_what_their_passes_do() -> None:
    # Given 128 pixels in nine tiles, and the same as passes of their own
    case = a_case(operation="decode", size=128, tiling=Tile(tile=64, overlap=16))
    tiled = tracing.kernels_of(case).work
    sides = (64, 64, 32)
    alone = [
        tracing.kernels_of(a_case(operation="decode", width=width, height=height)).work
        for height in sides
        for width in sides
    ]
    # Then they have as many operations, and the blending adds launches: 32 rows or columns of 3 tiles each way
    assert tiled.flops == sum(work.flops for work in alone)
    assert tiled.launches == 4 * 2 * 3 * (16 + 16)
