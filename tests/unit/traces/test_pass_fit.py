"""Templates of passes: what is found in captured passes, what is refused, and what a template says at other sizes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from bench.errors import TraceError
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
    Upsampling,
)
from bench.traces.pass_fit import fit
from bench.traces.pass_template import LaunchTemplate, Layout, PassTemplate, Size

LAYOUT = Layout(is_batch=False, is_pixel=False, is_cut=False)
BATCHES = Layout(is_batch=True, is_pixel=False, is_cut=False)
SIZES = [Size(1, 1, 2), Size(1, 2, 1), Size(1, 2, 2), Size(1, 3, 5), Size(1, 4, 7)]
#: Enough for polynomials with the batch in them: two batches of five sizes.
BATCH_SIZES = [Size(batch, *size[1:]) for batch in (2, 3) for size in SIZES]


def a_pass(
    size: Size, elements: Callable[[Size], int] = lambda size: 3 * size.batch * size.height * size.width
) -> Pass:
    """A convolution of an image twice the latent's size, then an activation in place of it."""
    batch, height, width = size
    shape = (batch, 3, 2 * height, 2 * width)
    convolution = Convolution(shape, (batch, 8, 2 * height, 2 * width), (8, 3, 3, 3), channels_last=True)
    events = (
        Launch("convolution", "conv_in", convolution),
        Birth(0, 8 * batch * 4 * height * width),
        Launch("silu", "act", Elementwise(elements(size), elements(size))),
        Birth(1, elements(size)),
        Death(0),
    )
    return Pass(events, 0, 1, shape)


def fitted(sizes: list[Size], *more: Size, layout: Layout = LAYOUT) -> PassTemplate:
    return fit(layout, {size: a_pass(size) for size in (*sizes, *more)})


@pytest.mark.parametrize(
    ("layout", "sizes", "others"),
    [
        (LAYOUT, SIZES, [Size(1, 151, 173), Size(1, 1, 4096), Size(1, 7, 5)]),
        (BATCHES, BATCH_SIZES, [Size(2, 64, 64), Size(7, 151, 173), Size(1000, 1, 3)]),
    ],
    ids=["one image", "a batch"],
)
def test_a_template_is_exact_at_sizes_that_it_was_not_fitted_to(
    layout: Layout, sizes: list[Size], others: list[Size]
) -> None:
    template = fitted(sizes, layout=layout)
    for size in (*sizes, *others):
        expected = a_pass(size)
        assert template.at(size, expected.shape) == expected


def test_a_template_survives_being_written_and_read() -> None:
    template = fitted(SIZES)
    assert msgspec.json.decode(msgspec.json.encode(template), type=PassTemplate) == template


def test_each_polynomial_and_each_launch_is_kept_once() -> None:
    # Given a pass in which two kernels and a birth have the same number, and all launches are twice there
    def twice(size: Size) -> Pass:
        once = a_pass(size)
        return Pass((*once.events[:4], *(replaced(event, 2) for event in once.events[:4])), 0, 1, once.shape)

    template = fit(LAYOUT, {size: twice(size) for size in SIZES})
    # Then they are shared: n, 3, 8, 2h and 2w, the birth's 32hw and the activation's 3hw
    assert len(template.launches) == 2
    assert len(template.polynomials) == len(set(template.polynomials)) == 7
    assert template.events == "L0 B5 L1 B6 L0 B5 L1 B6"


def replaced(event: Launch | Birth | Death, shift: int) -> Launch | Birth | Death:
    return Birth(event.key + shift, event.elements) if isinstance(event, Birth) else event


def test_coefficients_follow_the_order_of_powers() -> None:
    # Given births of n*h*w + 2*n*h + 3*n*w + 4*n + 5*h*w + 6*h + 7*w + 8 elements
    coefficients = (1, 2, 3, 4, 5, 6, 7, 8)

    def elements(size: Size) -> int:
        return sum(map(int.__mul__, coefficients, size.powers))

    template = fit(BATCHES, {size: a_pass(size, elements) for size in BATCH_SIZES})
    # Then they are found
    assert Size(2, 3, 5).powers == (30, 6, 10, 2, 15, 3, 5, 1, 450, 225)
    assert coefficients in template.polynomials


def test_passes_with_events_in_another_order_are_refused() -> None:
    # Given one size at which the first storage dies earlier
    passes = {size: a_pass(size) for size in SIZES}
    *others, death = passes[SIZES[2]].events
    passes[SIZES[2]] = Pass((*others[:-1], death, others[-1]), 0, 1, passes[SIZES[2]].shape)
    with pytest.raises(TraceError, match="order"):
        fit(LAYOUT, passes)


@pytest.mark.parametrize("change", ["operator", "module", "kernel", "layout", "output", "fewer"])
def test_passes_that_differ_in_more_than_numbers_are_refused(change: str) -> None:
    passes = {size: a_pass(size) for size in SIZES}
    last = passes[SIZES[-1]]
    launch, *others = last.events
    assert isinstance(launch, Launch)
    assert isinstance(launch.kernel, Convolution)
    kernel = launch.kernel
    plain = Convolution(kernel.input, kernel.output, kernel.filter)
    changed = {
        "operator": Launch("cat", launch.module, kernel),
        "module": Launch(launch.operator, "other", kernel),
        "kernel": Launch(launch.operator, launch.module, Upsampling(kernel.input, kernel.output)),
        "layout": Launch(launch.operator, launch.module, plain),
    }
    events = (changed.get(change, launch), *(others[:-1] if change == "fewer" else others))
    passes[SIZES[-1]] = Pass(events, 0, 0 if change == "output" else 1, last.shape)
    with pytest.raises(TraceError):
        fit(LAYOUT, passes)


def test_numbers_that_are_no_polynomials_are_refused() -> None:
    # Given what grows with the cube of the area
    with pytest.raises(TraceError, match="polynomials"):
        fit(
            LAYOUT,
            {size: a_pass(size, lambda size: (size.height * size.width) ** 3) for size in (*SIZES, Size(1, 5, 7))},
        )


def test_an_attention_matrix_and_its_mask_of_single_bytes_are_polynomials_rounded_up() -> None:
    # Given a mask that takes half a value, or a quarter, for each pair of pixels
    for divisor in (1, 2, 4):

        def mask(size: Size, divisor: int = divisor) -> int:
            return -(-((size.height * size.width) ** 2 + size.height * size.width) // divisor)

        sizes = [Size(1, *sides) for sides in ((2, 2), (8, 5), (12, 7), (16, 16), (16, 24), (1, 2), (3, 2))]
        template = fit(LAYOUT, {size: a_pass(size, mask) for size in sizes})
        # Then it is found, also where it is rounded up
        for size in (Size(1, 3, 5), Size(1, 7, 9), Size(1, 47, 64)):
            expected = a_pass(size, mask)
            assert template.at(size, expected.shape) == expected


def test_a_size_off_by_one_element_is_refused_however_large() -> None:
    # Given sizes that fit, and another with one element too many among 10^6
    large = Size(1, 1_000, 1_000)
    passes = {size: a_pass(size) for size in (*SIZES, large)}
    fit(LAYOUT, passes)
    passes[large] = a_pass(large, lambda size: 3 * size.height * size.width + 1)
    with pytest.raises(TraceError, match="polynomials"):
        fit(LAYOUT, passes)


@pytest.mark.parametrize(
    ("layout", "sizes"),
    [
        (LAYOUT, SIZES[:3]),
        (LAYOUT, [Size(1, side, side) for side in range(2, 12)]),  # squares can't tell height from width
        (LAYOUT, [Size(1, side, 2) for side in range(1, 9)]),
        (BATCHES, [Size(2, *size[1:]) for size in (*SIZES, Size(1, 8, 9))]),  # one batch
        (BATCHES._replace(is_pixel=True), [Size(2, 1, 1)]),
    ],
    ids=["too few", "squares", "one width", "one batch", "one pixel, one batch"],
)
def test_sizes_that_do_not_determine_the_polynomials_are_refused(layout: Layout, sizes: list[Size]) -> None:
    with pytest.raises(TraceError, match="independent"):
        fitted(sizes, layout=layout)


def test_one_size_is_enough_for_a_single_pixel() -> None:
    pixel = Size(1, 1, 1)
    template = fitted([pixel], layout=Layout.of(pixel, is_cut=False))
    assert template.at(pixel, a_pass(pixel).shape) == a_pass(pixel)


@pytest.mark.parametrize(
    "kernel",
    [
        None,
        Convolution((1, 3, 8, 8), (1, 4, 8, 8), (4, 3, 3, 3)),
        Convolution((1, 3, 8, 8), (1, 4, 8, 8), (4, 3, 3, 3), channels_last=True),
        Convolution((1, 3, 5, 8, 8), (1, 4, 5, 8, 8), (4, 3, 3, 3, 3), channels_last=True),
        Attention(1, 2, 3, 4, 5),
        Upsampling((1, 4, 8, 8), (1, 4, 16, 16)),
        Upsampling((1, 4, 2, 8, 8), (1, 4, 4, 16, 16)),
        Product(1, 2, 3, 4),
        Normalisation(32, 64),
        Elementwise(7, 8),
    ],
    ids=lambda kernel: type(kernel).__name__,
)
def test_a_launch_is_its_template_and_its_numbers(kernel: Kernel | None) -> None:
    launch = Launch("operator", "module.path", kernel)
    template, numbers = LaunchTemplate.of(launch)
    assert template.at(numbers) == launch
    assert len(numbers) == len(template.sides)


def test_layout_follows_from_the_size() -> None:
    assert Layout.of(Size(1, 1, 1), is_cut=False) == Layout(is_batch=False, is_pixel=True, is_cut=False)
    assert Layout.of(Size(2, 1, 2), is_cut=True) == Layout(is_batch=True, is_pixel=False, is_cut=True)
