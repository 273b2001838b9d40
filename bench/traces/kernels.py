"""What the kernels of operators compute and copy, from their arguments on meta tensors, as a trace has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch

from bench.traces import strides as layouts
from bench.traces.composed import Device, layout_of
from bench.traces.events import Attention, Convolution, Elementwise, Kernel, Normalisation, Product, Upsampling

ATEN = torch.ops.aten
PRODUCTS = {ATEN.addmm.default, ATEN.mm.default, ATEN.bmm.default, ATEN.baddbmm.default}
#: Products to which their first argument is added.
_WITH_SUMMAND = {ATEN.addmm.default, ATEN.baddbmm.default}
#: The rows of a normalisation from its arguments.
_NORMALISED_ROWS: dict[Any, Callable[..., int]] = {
    ATEN.native_group_norm.default: lambda values, weight, bias, batch, channels, area, groups, eps: batch * groups,
    ATEN.native_layer_norm.default: lambda values, sides, *_: values.numel() // math.prod(sides),
}
UPSAMPLINGS = {
    ATEN.upsample_nearest2d.vec,
    ATEN.upsample_nearest3d.vec,
    ATEN._upsample_nearest_exact2d.vec,
    ATEN._upsample_nearest_exact3d.vec,
}
#: The mask of an attention lies in memory as CUDA's kernel takes it if all its strides are multiples of this (pad_bias
#: in aten/src/ATen/native/transformers/attention.cpp).
_MASK_ALIGNMENT = 16
#: Dimensions of a tensor of images; one of videos has another, for frames.
_IMAGES = 4
#: Place of the mask among the arguments of scaled_dot_product_attention.
_MASK_ARGUMENT = 3
#: Operators that copy a first argument that is not contiguous, on each device.
_NEED_CONTIGUOUS: dict[Device, set[Any]] = {
    "cuda": {
        ATEN.convolution.default,
        ATEN.avg_pool2d.default,
        ATEN.native_layer_norm.default,
        ATEN.reflection_pad3d.default,
        *UPSAMPLINGS,
    },
    "cpu": {
        ATEN.convolution.default,
        ATEN.avg_pool2d.default,
        ATEN.native_layer_norm.default,
        ATEN.pixel_shuffle.default,
        ATEN.pixel_unshuffle.default,
        ATEN.reflection_pad3d.default,
        ATEN.replication_pad3d.default,
    },
}


class InputCopy(NamedTuple):
    """A copy that a kernel makes of an input whose layout it does not take. It lives as long as the kernel runs."""

    operator: str
    elements: int
    item_bytes: int


def kernel(func: Any, args: tuple[Any, ...], output: torch.Tensor, item_bytes: int, device: Device) -> Kernel:
    """The operator's kernel. Elements that it moves are counted in units of `item_bytes`."""
    if func is ATEN.convolution.default:
        return Convolution(
            tuple(args[0].shape), tuple(output.shape), tuple(args[1].shape), convolved_channels_last(args[0], device)
        )
    if func is ATEN.scaled_dot_product_attention.default:
        query, key = args[0].shape, args[1].shape
        return Attention(query[0], query[1], query[2], key[2], query[3])
    if func in UPSAMPLINGS:
        return Upsampling(tuple(args[0].shape), tuple(output.shape))
    if func in _NORMALISED_ROWS:
        rows = _NORMALISED_ROWS[func](*args)
        return Normalisation(rows, args[0].numel() // rows)
    if func in PRODUCTS:
        left = args[1] if func in _WITH_SUMMAND else args[0]
        batch = left.shape[0] if left.dim() == 3 else 1
        return Product(batch, left.shape[-2], left.shape[-1], output.shape[-1])
    read = sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(args))
    return Elementwise(-(-read // item_bytes), -(-output.numel() * output.element_size() // item_bytes))


def flops(func: Any, args: tuple[Any, ...], output: torch.Tensor) -> int:
    """Operations of a convolution, matrix product or attention (a multiply-add is two); 0 for other operators."""
    if func is ATEN.convolution.default:
        return 2 * output.numel() * int(args[1][0].numel())
    if func is ATEN.scaled_dot_product_attention.default:
        query, key, value = args[:3]
        return int(2 * query[..., 0].numel() * key.shape[-2] * (key.shape[-1] + value.shape[-1]))
    if func in PRODUCTS:
        left = args[1] if func in _WITH_SUMMAND else args[0]
        return 2 * output.numel() * int(left.shape[-1])
    return 0


def copied_inputs(func: Any, args: tuple[Any, ...], device: Device) -> list[InputCopy]:
    """The copies that a kernel makes of its inputs: for most, one of a first input that is not contiguous."""
    if func is ATEN.scaled_dot_product_attention.default:
        return _padded_mask(args) if device == "cuda" else []
    if func not in _NEED_CONTIGUOUS[device] or args[0].is_contiguous():
        return []
    if _takes_channels_last(func, args[0], device):
        return []
    return [InputCopy("contiguous", args[0].numel(), args[0].element_size())]


def _takes_channels_last(func: Any, values: torch.Tensor, device: Device) -> bool:
    """Whether a kernel takes its input in this layout as channels-last."""
    if func is ATEN.convolution.default:
        return convolved_channels_last(values, device)
    if func in UPSAMPLINGS:
        # One image after attention is channels-last by one rule only. Upsampling it copies the smallest of all tensors,
        # which is left out.
        return layouts.is_channels_last(layout_of(values))
    return func is not ATEN.native_layer_norm.default and suggests_channels_last(values)


def _padded_mask(args: tuple[Any, ...]) -> list[InputCopy]:
    """The copy of attention's mask whose rows CUDA's kernel lengthens to whole multiples of its alignment."""
    mask = args[3] if len(args) > _MASK_ARGUMENT else None
    if mask is None or not any(stride % _MASK_ALIGNMENT for stride in mask.stride()[:-1]):
        return []
    *rows, length = mask.shape
    padded = length + _MASK_ALIGNMENT - length % _MASK_ALIGNMENT
    return [InputCopy("constant_pad_nd", math.prod(rows) * padded, mask.element_size())]


def convolved_channels_last(values: torch.Tensor, device: Device) -> bool:
    """Whether a convolution takes its input as channels-last (`_determine_backend_memory_format`). The CPU's does not
    for videos (aten/src/ATen/native/ConvUtils.h, mkldnn_conv_use_channels_last)."""
    return suggests_channels_last(values) and (device == "cuda" or values.dim() == _IMAGES)


def suggests_channels_last(values: torch.Tensor) -> bool:
    """Whether torch's kernels regard a tensor as channels-last."""
    return layouts.suggests_channels_last(layout_of(values))


def tensors_in(args: Iterable[Any]) -> Iterator[torch.Tensor]:
    for arg in args:
        if isinstance(arg, torch.Tensor):
            yield arg
        elif isinstance(arg, (tuple, list)):
            yield from tensors_in(arg)
