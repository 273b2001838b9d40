"""Strides by rule, against what torch's own kernels give on the CPU, of tensors with odd strides as well."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import torch

from bench.traces import strides as layouts
from bench.traces.strides import Layout

#: What attention leaves of one image: the stride of the batch is smaller than those inside it.
AMBIGUOUS: Layout = ((1, 64, 32, 32), (64, 1, 2048, 64))


FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def laid(values: torch.Tensor) -> Layout:
    return tuple(values.shape), tuple(values.stride())


def tensors(count: int) -> list[torch.Tensor]:
    """Tensors of images and videos: permuted, channels-last, sliced, and with any stride where the size is 1."""
    draw = random.Random(0)
    made = []
    for number in range(count):
        rank = 4 + number * 2 // count
        shape = [draw.choice([1, 1, 2, 3, 4]) for _ in range(rank)]
        order = draw.sample(range(rank), rank)
        values = torch.empty([shape[place] for place in order]).permute([order.index(place) for place in range(rank)])
        if draw.random() < 0.4:
            values = torch.empty(shape).contiguous(memory_format=FORMATS[rank])
        if draw.random() < 0.4:
            strides = [
                draw.choice([1, 2, 7, 64]) if size == 1 else step for size, step in zip(*laid(values), strict=True)
            ]
            values = values.as_strided(values.shape, strides)
        made.append(values[:, : max(1, values.shape[1] - 1)] if draw.random() < 0.3 else values)
    return made


MANY = tensors(800)


def test_one_operand_lies_as_torch_lays_it() -> None:
    for values in MANY:
        assert layouts.elementwise([laid(values)]) == torch.nn.functional.silu(values).stride()
        assert layouts.elementwise([laid(values), ((), ())]) == (values * 2).stride()
        assert layouts.preserved(laid(values)) == values.clone().stride()


def test_two_operands_lie_as_torch_lays_them() -> None:
    compared = 0
    for one, two in pairwise(MANY):
        try:
            added = one + two
        except RuntimeError:  # they do not broadcast
            continue
        compared += 1
        assert layouts.elementwise([laid(one), laid(two)]) == added.stride()
    assert compared > 20


def test_memory_formats_are_told_as_torch_tells_them() -> None:
    for values in MANY:
        assert layouts.is_contiguous(laid(values)) == values.is_contiguous()
        assert layouts.is_channels_last(laid(values)) == values.is_contiguous(memory_format=FORMATS[values.dim()])
        padded = torch.constant_pad_nd(values, (0, 1, 0, 1))  # lies as its input suggests
        assert layouts.suggested(tuple(padded.shape), laid(values)) == padded.stride()


def test_joined_tensors_lie_as_torch_lays_them() -> None:
    for values in MANY:
        joined = torch.cat([values, values], 3)
        assert layouts.concatenated(tuple(joined.shape), [laid(values)] * 2) == joined.stride()


def test_one_image_can_be_channels_last_by_one_rule_and_not_by_the_other() -> None:
    assert layouts.is_channels_last(AMBIGUOUS)
    assert not layouts.suggests_channels_last(AMBIGUOUS)


@pytest.mark.parametrize(
    ("operands", "strides"),
    [
        ([AMBIGUOUS], (65536, 1, 2048, 64)),
        ([AMBIGUOUS, ((), ())], (64, 1, 2048, 64)),  # with a number: a quotient keeps the batch's stride
        ([AMBIGUOUS, ((1, 64, 32, 32), (65536, 1024, 32, 1))], (64, 1, 2048, 64)),
    ],
)
def test_the_stride_of_one_image_is_that_of_the_devices(operands: list[Layout], strides: layouts.Strides) -> None:
    assert layouts.elementwise(operands) == strides
