"""Runs a model's operators on meta tensors with the strides of real devices.

Composed operators are decomposed as on a device (`composed`). Strides never come from torch's meta kernels, which
differ between versions although devices do not: in 2.13 the quotient of a single image has other strides than on
devices, and 2.14 hides the copy that a normalisation makes. Unknown operators that allocate are refused. `strides` has
the rules, `kernels` what operators compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from bench.errors import TraceError
from bench.traces import composed
from bench.traces import strides as layouts
from bench.traces.composed import Device, layout_of
from bench.traces.events import Shape
from bench.traces.kernels import PRODUCTS, UPSAMPLINGS, convolved_channels_last, tensors_in

ATEN = torch.ops.aten
#: Attention of fewer dimensions has no kernel of its own (check_tensor_shapes in sdp_utils_cpp.h): it is two products
#: with a matrix of queries by keys between them.
_FUSED_DIMENSIONS = 4
#: Place of `transposed` among the arguments of a convolution after its weight.
_TRANSPOSED = 4


def decomposition(func: Any, args: tuple[Any, ...], device: Device) -> Callable[..., Any] | None:
    """A function that runs a composed operator's parts; None if devices have a kernel for the whole."""
    known = composed.of(func, device)
    if known is not None:
        return known
    if func is ATEN.scaled_dot_product_attention.default and composed.has_mask_of_truth_values(args):
        return composed.attention_with_values_as_mask
    has_kernel = func is not ATEN.scaled_dot_product_attention.default or args[0].dim() == _FUSED_DIMENSIONS
    if (has_kernel and func in _REPLACED) or func in _ELEMENTWISE or not func._can_decompose():
        return None
    parts: Callable[..., Any] = func.decompose
    return parts


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], device: Device) -> Any:
    """The operator's result on meta tensors. Raises TraceError if it is unknown and allocates.

    Operators on tensors in the host's memory are run as they are.
    """
    if func in _MADE or _is_on_host(args):
        return func(*args, **kwargs)
    if func is ATEN.convolution.default:
        return _convolution(device, *args)
    if func is ATEN.native_layer_norm.default:
        return _native_layer_norm(device, *args)
    if func in _REPLACED:
        return _REPLACED[func](*args, **kwargs)
    if func in _ELEMENTWISE:
        return _elementwise(func, args[: _ELEMENTWISE[func]])
    result = func(*args, **kwargs)
    if func not in PRODUCTS and not _is_view(result, args):
        raise TraceError(f"the tracer does not know operator {func}, which allocates memory")
    return result


def _new(shape: Shape, strides: layouts.Strides, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_strided(shape, strides, dtype=dtype, device="meta")


def _is_on_host(args: Iterable[Any]) -> bool:
    given = list(tensors_in(args))
    return bool(given) and not any(tensor.is_meta for tensor in given)


def _is_view(result: Any, args: tuple[Any, ...]) -> bool:
    """Whether the result has no new storage, as for views and in-place operators."""
    given = {arg.untyped_storage()._cdata for arg in args if isinstance(arg, torch.Tensor)}
    results = result if isinstance(result, (tuple, list)) else (result,)
    return all(part.untyped_storage()._cdata in given for part in results if isinstance(part, torch.Tensor))


def _elementwise(func: Any, operands: Sequence[Any]) -> torch.Tensor:
    """A Python number is an operand without dimensions."""
    given = [layout_of(operand) if isinstance(operand, torch.Tensor) else ((), ()) for operand in operands]
    shape = layouts.broadcast([shape for shape, _ in given])
    return _new(shape, layouts.elementwise(given), _dtype(func, operands))


def _dtype(func: Any, operands: Sequence[Any]) -> torch.dtype:
    if func in _COMPARISONS:
        return torch.bool
    values = operands[1:] if func is ATEN.where.self else operands
    if len(values) == 1:
        own: torch.dtype = values[0].dtype
        return own
    dtype = torch.result_type(*values)
    is_quotient = func is ATEN.div.Tensor and not dtype.is_floating_point
    return torch.get_default_dtype() if is_quotient else dtype


def _native_group_norm(values: torch.Tensor, *args: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, mean and reciprocal deviation of native_group_norm(values, weight, bias, N, C, HxW, groups, eps).

    torch's meta kernel is slow and makes temporaries that no device allocates.
    """
    statistics = (args[2], args[5])
    mean, deviation = (_new(statistics, layouts.contiguous(statistics), values.dtype) for _ in range(2))
    return _new(tuple(values.shape), layouts.preserved(layout_of(values)), values.dtype), mean, deviation


def _native_layer_norm(
    device: Device, values: torch.Tensor, sides: Sequence[int], *_: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, mean and reciprocal deviation. CUDA has the latter two in float32
    (aten/src/ATen/native/cuda/layer_norm_kernel.cu)."""
    shape = tuple(values.shape)
    statistics = shape[: len(shape) - len(sides)] + (1,) * len(sides)
    precision = torch.float32 if device == "cuda" else values.dtype
    mean, deviation = (_new(statistics, layouts.contiguous(statistics), precision) for _ in range(2))
    return _new(shape, layouts.contiguous(shape), values.dtype), mean, deviation


def _fused_rms_norm(values: torch.Tensor, sides: Sequence[int], *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Output, and reciprocal root mean square in float32 (layer_norm_kernel.cu, _fused_rms_norm_cuda)."""
    shape = tuple(values.shape)
    statistics = shape[: len(shape) - len(sides)] + (1,) * len(sides)
    deviation = _new(statistics, layouts.contiguous(statistics), torch.float32)
    return _new(shape, layouts.contiguous(shape), values.dtype), deviation


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    """A result of (batch, heads, queries, size of values) with the strides of torch's kernels: heads inside queries."""
    batch, heads, queries, _size = query.shape
    shape = batch, queries, heads, value.shape[-1]
    return torch.empty(shape, dtype=query.dtype, device="meta").transpose(1, 2)


def _as_suggested(func: Any) -> Callable[..., torch.Tensor]:
    """An operator whose result has the memory format that its first argument suggests.

    Pooling and padding do. Only shape and precision come from torch.
    """

    def run_as_suggested(values: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        result = func(values, *args, **kwargs)
        shape = tuple(result.shape)
        return _new(shape, layouts.suggested(shape, layout_of(values)), result.dtype)

    return run_as_suggested


def _as_contiguous(func: Any) -> Callable[..., torch.Tensor]:
    """An operator whose result is contiguous whatever it is given, as those of reductions and `repeat` are."""

    def run_as_contiguous(*args: Any, **kwargs: Any) -> torch.Tensor:
        result = func(*args, **kwargs)
        shape = tuple(result.shape)
        return _new(shape, layouts.contiguous(shape), result.dtype)

    return run_as_contiguous


def _convolution(device: Device, values: torch.Tensor, weight: torch.Tensor, *args: Any) -> torch.Tensor:
    if args[_TRANSPOSED]:
        raise TraceError("the tracer does not know transposed convolutions")
    result = ATEN.convolution.default(values, weight, *args)
    shape = tuple(result.shape)
    strides = layouts.channels_last if convolved_channels_last(values, device) else layouts.contiguous
    return _new(shape, strides(shape), result.dtype)


def _upsampled(
    values: torch.Tensor, size: Sequence[int] | None = None, scales: Sequence[float] | None = None
) -> torch.Tensor:
    """A result of the given size, or as many times larger as `scales` says, in the memory format of the input."""
    sides = size or [int(side * scale) for side, scale in zip(values.shape[2:], scales or (), strict=True)]
    shape = *values.shape[:2], *sides
    return _new(shape, layouts.suggested(shape, layout_of(values)), values.dtype)


def _padded(values: torch.Tensor, widths: Sequence[int], *_: Any) -> torch.Tensor:
    """A result in the memory format of the input; a clone of the input, or a part of it, if no width is positive
    (aten/src/ATen/native/PadNd.cpp, constant_pad_nd)."""
    shape = list(values.shape)
    for index, width in enumerate(widths):
        shape[-1 - index // 2] += width
    source = layout_of(values)
    if any(width > 0 for width in widths):
        return _new(tuple(shape), layouts.suggested(tuple(shape), source), values.dtype)
    return _new(tuple(shape), layouts.preserved((tuple(shape), source[1])), values.dtype)


def _clone(values: torch.Tensor, *, memory_format: torch.memory_format | None = None) -> torch.Tensor:
    shape = tuple(values.shape)
    if memory_format is torch.contiguous_format:
        strides = layouts.contiguous(shape)
    elif memory_format in (torch.channels_last, torch.channels_last_3d):
        strides = layouts.channels_last(shape)
    else:
        strides = layouts.preserved(layout_of(values))
    return _new(shape, strides, values.dtype)


def _to_copy(values: torch.Tensor, *, dtype: torch.dtype | None = None, **_: Any) -> torch.Tensor:
    """A copy in another precision, or on the device. Its strides are those of `empty_like` and `clone`
    (aten/src/ATen/native/TensorConversions.cpp, _to_copy)."""
    return _new(tuple(values.shape), layouts.preserved(layout_of(values)), dtype or values.dtype)


def _like(values: torch.Tensor, *_: Any, dtype: torch.dtype | None = None, **__: Any) -> torch.Tensor:
    return _to_copy(values, dtype=dtype)


def _cat(tensors: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
    """torch leaves out tensors of one dimension without values, whatever the others are (TensorShape.cpp)."""
    parts = [tensor for tensor in tensors if tuple(tensor.shape) != (0,)]
    shape = list(parts[0].shape)
    shape[dim] = sum(part.shape[dim] for part in parts)
    strides = layouts.concatenated(tuple(shape), [layout_of(part) for part in parts])
    return _new(tuple(shape), strides, parts[0].dtype)


def _host_number(value: complex, *, dtype: torch.dtype | None = None, **_: Any) -> torch.Tensor:
    """A number that is written into a tensor. Devices take it from the host's memory."""
    return torch.scalar_tensor(value, dtype=dtype)


def _dropout(values: torch.Tensor, *_: Any) -> torch.Tensor:
    """Return the input, as dropout does outside training."""
    return values


#: Elementwise operators, and how many of their arguments are operands.
_ELEMENTWISE: dict[Any, int] = {
    ATEN.abs.default: 1,
    ATEN.add.Tensor: 2,
    ATEN.bitwise_and.Tensor: 2,
    ATEN.clamp.default: 1,
    ATEN.clamp_min.default: 1,
    ATEN.cos.default: 1,
    ATEN.div.Tensor: 2,
    ATEN.eq.Scalar: 2,
    ATEN.exp.default: 1,
    ATEN.ge.Scalar: 2,
    ATEN.gelu.default: 1,
    ATEN.gt.Scalar: 2,
    ATEN.gt.Tensor: 2,
    ATEN.le.Tensor: 2,
    ATEN.log.default: 1,
    ATEN.lt.Scalar: 2,
    ATEN.minimum.default: 2,
    ATEN.mish.default: 1,
    ATEN.mul.Scalar: 2,
    ATEN.mul.Tensor: 2,
    ATEN.neg.default: 1,
    ATEN.pow.Scalar: 2,
    ATEN.pow.Tensor_Scalar: 1,
    ATEN.reciprocal.default: 1,
    ATEN.relu.default: 1,
    ATEN.rsqrt.default: 1,
    ATEN.rsub.Scalar: 2,
    ATEN.sigmoid.default: 1,
    ATEN.silu.default: 1,
    ATEN.sin.default: 1,
    ATEN.sqrt.default: 1,
    ATEN.sub.Tensor: 2,
    ATEN.tanh.default: 1,
    ATEN.where.self: 3,
}
_COMPARISONS = {ATEN.eq.Scalar, ATEN.ge.Scalar, ATEN.gt.Scalar, ATEN.gt.Tensor, ATEN.le.Tensor, ATEN.lt.Scalar}
#: Operators that make a contiguous tensor from nothing.
_MADE = {
    ATEN.arange.default,
    ATEN.arange.start,
    ATEN.arange.start_step,
    ATEN.full.default,
    ATEN.new_empty.default,
    ATEN.new_full.default,
    ATEN.new_ones.default,
    ATEN.new_zeros.default,
    ATEN.ones.default,
    ATEN.randn.default,
    ATEN.randn.generator,
    ATEN.zeros.default,
}
#: Replacements for operators whose meta kernels differ between versions of torch, or from devices.
_REPLACED: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(UPSAMPLINGS, _upsampled),
    ATEN._to_copy.default: _to_copy,
    ATEN._softmax.default: _as_contiguous(ATEN._softmax.default),
    ATEN.all.default: _as_contiguous(ATEN.all.default),
    ATEN.all.dim: _as_contiguous(ATEN.all.dim),
    ATEN.argmax.default: _as_contiguous(ATEN.argmax.default),
    ATEN.avg_pool2d.default: _as_suggested(ATEN.avg_pool2d.default),
    ATEN.cat.default: _cat,
    ATEN.clone.default: _clone,
    ATEN.constant_pad_nd.default: _padded,
    ATEN.dropout.default: _dropout,
    ATEN.empty_like.default: _like,
    ATEN.embedding.default: _as_contiguous(ATEN.embedding.default),
    ATEN.full_like.default: _like,
    ATEN.index.Tensor: _as_contiguous(ATEN.index.Tensor),
    ATEN.linalg_vector_norm.default: _as_contiguous(ATEN.linalg_vector_norm.default),
    ATEN.mean.dim: _as_contiguous(ATEN.mean.dim),
    ATEN.native_group_norm.default: _native_group_norm,
    ATEN.ones_like.default: _like,
    ATEN.pixel_shuffle.default: _as_suggested(ATEN.pixel_shuffle.default),
    ATEN.pixel_unshuffle.default: _as_suggested(ATEN.pixel_unshuffle.default),
    ATEN.reflection_pad3d.default: _as_suggested(ATEN.reflection_pad3d.default),
    ATEN.repeat.default: _as_contiguous(ATEN.repeat.default),
    ATEN.replication_pad3d.default: _as_suggested(ATEN.replication_pad3d.default),
    ATEN.scalar_tensor.default: _host_number,
    ATEN.scaled_dot_product_attention.default: _attention,
    ATEN.stack.default: _as_contiguous(ATEN.stack.default),
    ATEN.sum.default: _as_contiguous(ATEN.sum.default),
    ATEN.sum.dim_IntList: _as_contiguous(ATEN.sum.dim_IntList),
    ATEN.zeros_like.default: _like,
}
if composed.FUSED_RMS_NORM is not None:
    _REPLACED[composed.FUSED_RMS_NORM] = _fused_rms_norm
