"""Composed operators as devices run them, where a dispatch mode of torch shows other parts or a whole.

Each function runs its parts on meta tensors; `trace` sees those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch

from bench.traces import strides as layouts

#: CUDA's normalisations need contiguous tensors; the CPU's also accept channels-last ones.
Device = Literal["cuda", "cpu"]

ATEN = torch.ops.aten
#: The root-mean-square normalisation as one operator; None in a torch that lacks it (before 2.9).
FUSED_RMS_NORM = packet.default if (packet := getattr(ATEN, "_fused_rms_norm", None)) else None
#: Place of the mask among the arguments of scaled_dot_product_attention.
_MASK = 3
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def layout_of(values: torch.Tensor) -> layouts.Layout:
    """Shape and strides of a tensor."""
    return tuple(values.shape), tuple(values.stride())


def of(func: Any, device: Device) -> Callable[..., Any] | None:
    """How a device runs this composed operator; None if it is not known here."""
    return _ON_DEVICE[device].get(func) or _EVERYWHERE.get(func)


def _group_norm_on_cuda(values: torch.Tensor, groups: int, *args: Any) -> torch.Tensor:
    """Normalise with a copy of the input if it is not contiguous (aten/src/ATen/native/group_norm.cpp).

    Up to torch 2.13 the composed operator makes the copy, from 2.14 on the kernel; its lifetime is the same.
    """
    return _normalised(values.contiguous(), groups, *args)


def _group_norm_on_cpu(values: torch.Tensor, groups: int, *args: Any) -> torch.Tensor:
    """As `_group_norm_on_cuda`, but without a copy of channels-last input."""
    last = layouts.suggests_channels_last(layout_of(values))
    memory_format = _CHANNELS_LAST[values.dim()] if last else torch.contiguous_format
    return _normalised(values.contiguous(memory_format=memory_format), groups, *args)


def _normalised(
    values: torch.Tensor,
    groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    _cudnn: bool = True,
) -> torch.Tensor:
    batch, channels, *sides = values.shape
    area = torch.Size(sides).numel()
    result, mean, deviation = ATEN.native_group_norm.default(values, weight, bias, batch, channels, area, groups, eps)
    del mean, deviation  # in the order in which torch frees them
    assert isinstance(result, torch.Tensor)  # noqa: S101 - for the type checker: operators are not typed
    return result


def _contiguous(values: torch.Tensor, *, memory_format: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    has_format = layouts.is_contiguous if memory_format is torch.contiguous_format else layouts.is_channels_last
    return values if has_format(layout_of(values)) else values.clone(memory_format=memory_format)


def _linear(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """at::linear (aten/src/ATen/native/Linear.cpp); under a dispatch mode torch would add the bias out of place."""
    if bias is not None and (values.dim() == 2 or values.is_contiguous()):
        flat = torch.addmm(bias, values.reshape(-1, values.shape[-1]), weight.t())
        return flat.view(*values.shape[:-1], weight.shape[0])
    product = values.matmul(weight.t())
    return product if bias is None else product.add_(bias)


def _rms_norm_on_cuda(
    values: torch.Tensor, sides: list[int], weight: torch.Tensor | None = None, eps: float | None = None
) -> torch.Tensor:
    """One kernel if weight and input have the same precision (aten/src/ATen/native/layer_norm.cpp, rms_norm_symint).

    torch has it from 2.9 on; it is what predictions assume.
    """
    if FUSED_RMS_NORM is None or (weight is not None and weight.dtype != values.dtype):
        result = ATEN.rms_norm.default.decompose(values, sides, weight, eps)
    else:
        result, deviation = FUSED_RMS_NORM(values, sides, weight, eps)
        del deviation
    assert isinstance(result, torch.Tensor)  # noqa: S101 - for the type checker: operators are not typed
    return result


def _pixels_from_channels(values: torch.Tensor, factor: int) -> torch.Tensor:
    """pixel_shuffle without a kernel of its own (aten/src/ATen/native/PixelShuffle.cpp, math_pixel_shuffle)."""
    *batch, channels, height, width = values.shape
    first = len(batch)
    parts = values.reshape(*batch, channels // factor**2, factor, factor, height, width)
    order = (*range(first), first, first + 3, first + 1, first + 4, first + 2)
    return parts.permute(order).reshape(*batch, channels // factor**2, height * factor, width * factor)


def _channels_from_pixels(values: torch.Tensor, factor: int) -> torch.Tensor:
    """pixel_unshuffle without a kernel of its own (PixelShuffle.cpp, math_pixel_unshuffle)."""
    *batch, channels, height, width = values.shape
    first = len(batch)
    parts = values.reshape(*batch, channels, height // factor, factor, width // factor, factor)
    order = (*range(first), first, first + 2, first + 4, first + 1, first + 3)
    return parts.permute(order).reshape(*batch, channels * factor**2, height // factor, width // factor)


def has_mask_of_truth_values(args: tuple[Any, ...]) -> bool:
    """Whether the arguments of attention have a mask that says which pairs count, and no values to add."""
    return len(args) > _MASK and args[_MASK] is not None and args[_MASK].dtype is torch.bool


def attention_with_values_as_mask(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, *args: Any, **kwargs: Any
) -> torch.Tensor:
    """Attention after its mask was made into values to add, which live as long as it runs
    (aten/src/ATen/native/transformers/attention.cpp, convert_boolean_attn_mask)."""
    values = torch.where(mask, 0.0, torch.scalar_tensor(-torch.inf, dtype=query.dtype))
    result = ATEN.scaled_dot_product_attention.default(query, key, value, values, *args, **kwargs)
    assert isinstance(result, torch.Tensor)  # noqa: S101 - for the type checker: operators are not typed
    return result


def _safe_softmax(values: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """The softmax of attention without a kernel of its own, which makes rows of minus infinity zero
    (aten/src/ATen/native/SoftMax.cpp)."""
    result = values.softmax(dim, dtype)
    masked = values == -torch.inf
    masked_rows = masked.all(dim, keepdim=True)
    return torch.where(masked_rows, 0.0, result)


_EVERYWHERE: dict[Any, Callable[..., Any]] = {
    ATEN._safe_softmax.default: _safe_softmax,
    ATEN.linear.default: _linear,
    ATEN.contiguous.default: _contiguous,
}
_ON_DEVICE: dict[Device, dict[Any, Callable[..., Any]]] = {
    "cuda": {
        ATEN.group_norm.default: _group_norm_on_cuda,
        ATEN.pixel_shuffle.default: _pixels_from_channels,
        ATEN.pixel_unshuffle.default: _channels_from_pixels,
        ATEN.rms_norm.default: _rms_norm_on_cuda,
    },
    "cpu": {ATEN.group_norm.default: _group_norm_on_cpu},
}
if FUSED_RMS_NORM is not None:  # only CUDA has a kernel of it
    _ON_DEVICE["cpu"][FUSED_RMS_NORM] = FUSED_RMS_NORM.decompose
