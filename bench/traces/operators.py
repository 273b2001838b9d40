"""Runs a model's operators on meta tensors with the strides of real devices, and says what they compute.

Composed operators are decomposed as on a device. Strides never come from torch's meta kernels, which differ between
versions although devices do not: in 2.13 the quotient of a single image has other strides than on devices, and 2.14
hides the copy that a normalisation makes. Unknown operators that allocate are refused. `strides` has the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import torch

from bench.errors import TraceError
from bench.traces import strides as layouts
from bench.traces.events import Attention, Convolution, Elementwise, Kernel, Normalisation, Product, Shape, Upsampling

#: CUDA's normalisations need contiguous tensors; the CPU's also accept channels-last ones.
Device = Literal["cuda", "cpu"]

ATEN = torch.ops.aten
_PRODUCTS = {ATEN.addmm.default, ATEN.mm.default, ATEN.bmm.default, ATEN.baddbmm.default}
#: Products to which their first argument is added.
_WITH_SUMMAND = {ATEN.addmm.default, ATEN.baddbmm.default}


def decomposition(func: Any, device: Device) -> Callable[..., Any] | None:
    """A function that runs a composed operator's parts; None if devices have a kernel for the whole."""
    if func is ATEN.group_norm.default:
        return _group_norm_on_cuda if device == "cuda" else _group_norm_on_cpu
    if func in _REPLACED or func in _ELEMENTWISE or not func._can_decompose():
        return None
    composed: Callable[..., Any] = _DECOMPOSED.get(func, func.decompose)
    return composed


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator's result on meta tensors. Raises TraceError if it is unknown and allocates."""
    if func in _REPLACED:
        return _REPLACED[func](*args, **kwargs)
    if func in _ELEMENTWISE:
        return _elementwise(args[: _ELEMENTWISE[func]])
    result = func(*args, **kwargs)
    if func not in _PRODUCTS and not _is_view(result, args):
        raise TraceError(f"the tracer does not know operator {func}, which allocates memory")
    return result


def kernel(func: Any, args: tuple[Any, ...], output: torch.Tensor) -> Kernel:
    """The operator's kernel."""
    if func is ATEN.convolution.default:
        return Convolution(
            tuple(args[0].shape), tuple(output.shape), tuple(args[1].shape), suggests_channels_last(args[0])
        )
    if func is ATEN.scaled_dot_product_attention.default:
        query, key = args[0].shape, args[1].shape
        return Attention(query[0], query[1], query[2], key[2], query[3])
    if func is ATEN.upsample_nearest2d.vec:
        return Upsampling(tuple(args[0].shape), tuple(output.shape))
    if func is ATEN.native_group_norm.default:
        batch, _channels, _area, groups = args[3:7]
        return Normalisation(batch * groups, args[0].numel() // (batch * groups))
    if func in _PRODUCTS:
        left = args[1] if func in _WITH_SUMMAND else args[0]
        batch = left.shape[0] if left.dim() == 3 else 1
        return Product(batch, left.shape[-2], left.shape[-1], output.shape[-1])
    return Elementwise(sum(tensor.numel() for tensor in _tensors(args)), output.numel())


def _tensors(args: Iterable[Any]) -> Iterator[torch.Tensor]:
    for arg in args:
        if isinstance(arg, torch.Tensor):
            yield arg
        elif isinstance(arg, (tuple, list)):
            yield from _tensors(arg)


def flops(func: Any, args: tuple[Any, ...], output: torch.Tensor) -> int:
    """Operations of a convolution, matrix product or attention (a multiply-add is two); 0 for other operators."""
    if func is ATEN.convolution.default:
        return 2 * output.numel() * int(args[1][0].numel())
    if func is ATEN.scaled_dot_product_attention.default:
        query, key, value = args[:3]
        return int(2 * query[..., 0].numel() * key.shape[-2] * (key.shape[-1] + value.shape[-1]))
    if func in _PRODUCTS:
        left = args[1] if func in _WITH_SUMMAND else args[0]
        return 2 * output.numel() * int(left.shape[-1])
    return 0


def suggests_channels_last(values: torch.Tensor) -> bool:
    """Whether torch's kernels regard a tensor as channels-last."""
    return layouts.suggests_channels_last(_layout(values))


def _layout(values: torch.Tensor) -> layouts.Layout:
    return tuple(values.shape), tuple(values.stride())


def _new(shape: Shape, strides: layouts.Strides) -> torch.Tensor:
    return torch.empty_strided(shape, strides, device="meta")


def _is_view(result: Any, args: tuple[Any, ...]) -> bool:
    """Whether the result has no new storage, as for views and in-place operators."""
    given = {arg.untyped_storage()._cdata for arg in args if isinstance(arg, torch.Tensor)}
    results = result if isinstance(result, (tuple, list)) else (result,)
    return all(part.untyped_storage()._cdata in given for part in results if isinstance(part, torch.Tensor))


def _elementwise(operands: Sequence[Any]) -> torch.Tensor:
    """A Python number is an operand without dimensions."""
    given = [_layout(operand) if isinstance(operand, torch.Tensor) else ((), ()) for operand in operands]
    return _new(layouts.broadcast([shape for shape, _ in given]), layouts.elementwise(given))


def _group_norm_on_cuda(values: torch.Tensor, groups: int, *args: Any) -> torch.Tensor:
    """Normalise with a copy of the input if it is not contiguous (aten/src/ATen/native/group_norm.cpp).

    Up to torch 2.13 the composed operator makes the copy, from 2.14 on the kernel; its lifetime is the same.
    """
    return _normalised(values.contiguous(), groups, *args)


def _group_norm_on_cpu(values: torch.Tensor, groups: int, *args: Any) -> torch.Tensor:
    """As `_group_norm_on_cuda`, but without a copy of channels-last input."""
    last = suggests_channels_last(values)
    memory_format = torch.channels_last if last else torch.contiguous_format
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


def _native_group_norm(values: torch.Tensor, *args: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, mean and reciprocal deviation of native_group_norm(values, weight, bias, N, C, HxW, groups, eps).

    torch's meta kernel is slow and makes temporaries that no device allocates.
    """
    statistics = (args[2], args[5])
    mean, deviation = (_new(statistics, layouts.contiguous(statistics)) for _ in range(2))
    return _new(tuple(values.shape), layouts.preserved(_layout(values))), mean, deviation


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    """A result of (batch, heads, queries, size of values) with the strides of torch's kernels: heads inside queries."""
    batch, heads, queries, _size = query.shape
    return torch.empty(batch, queries, heads, value.shape[-1], device="meta").transpose(1, 2)


def _as_suggested(func: Any) -> Callable[..., torch.Tensor]:
    """An operator whose result has the memory format that its first argument suggests.

    Convolution (`_determine_backend_memory_format`), upsampling and padding do. Only the shape comes from torch.
    """

    def run_as_suggested(values: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        shape = tuple(func(values, *args, **kwargs).shape)
        return _new(shape, layouts.suggested(shape, _layout(values)))

    return run_as_suggested


def _clone(values: torch.Tensor, *, memory_format: torch.memory_format | None = None) -> torch.Tensor:
    shape = tuple(values.shape)
    if memory_format is torch.contiguous_format:
        return _new(shape, layouts.contiguous(shape))
    if memory_format is torch.channels_last:
        return _new(shape, layouts.channels_last(shape))
    return _new(shape, layouts.preserved(_layout(values)))


def _cat(parts: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
    shape = list(parts[0].shape)
    shape[dim] = sum(part.shape[dim] for part in parts)
    return _new(tuple(shape), layouts.concatenated(tuple(shape), [_layout(part) for part in parts]))


def _contiguous(values: torch.Tensor, *, memory_format: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    has_format = layouts.is_channels_last if memory_format is torch.channels_last else layouts.is_contiguous
    return values if has_format(_layout(values)) else values.clone(memory_format=memory_format)


def _linear(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """at::linear (aten/src/ATen/native/Linear.cpp); under a dispatch mode torch would add the bias out of place."""
    if bias is not None and (values.dim() == 2 or (values.dim() == 3 and values.is_contiguous())):
        flat = torch.addmm(bias, values.reshape(-1, values.shape[-1]), weight.t())
        return flat.view(*values.shape[:-1], weight.shape[0])
    product = values.matmul(weight.t())
    return product if bias is None else product.add_(bias)


def _dropout(values: torch.Tensor, *_: Any) -> torch.Tensor:
    """Return the input, as dropout does outside training."""
    return values


#: Operators that devices decompose differently from a dispatch mode.
_DECOMPOSED: dict[Any, Callable[..., Any]] = {ATEN.linear.default: _linear, ATEN.contiguous.default: _contiguous}
#: Elementwise operators, and how many of their arguments are operands.
_ELEMENTWISE: dict[Any, int] = {
    ATEN.add.Tensor: 2,
    ATEN.clamp.default: 1,
    ATEN.div.Tensor: 2,
    ATEN.exp.default: 1,
    ATEN.gelu.default: 1,
    ATEN.mish.default: 1,
    ATEN.mul.Tensor: 2,
    ATEN.relu.default: 1,
    ATEN.silu.default: 1,
    ATEN.sub.Tensor: 2,
}
#: Replacements for operators whose meta kernels differ between versions of torch, or from devices.
_REPLACED: dict[Any, Callable[..., Any]] = {
    ATEN.cat.default: _cat,
    ATEN.clone.default: _clone,
    ATEN.constant_pad_nd.default: _as_suggested(ATEN.constant_pad_nd.default),
    ATEN.convolution.default: _as_suggested(ATEN.convolution.default),
    ATEN.dropout.default: _dropout,
    ATEN.native_group_norm.default: _native_group_norm,
    ATEN.scaled_dot_product_attention.default: _attention,
    ATEN.upsample_nearest2d.vec: _as_suggested(ATEN.upsample_nearest2d.vec),
}
