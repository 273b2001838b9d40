"""Counts what a VAE's call computes and moves, on meta tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.core.work import Work
from bench.record import Case
from bench.workloads.image_vae import module as vae
from bench.workloads.image_vae import tiles, zoo

#: Edge of the counted image in latent pixels.
_EDGE = 8
#: Kernels with which diffusers blends one row or column of two tiles: two products, their sum, and a copy.
_LAUNCHES_PER_LINE = 4
#: Times that a normalisation moves its tensor: read for the moments, read again, written.
_NORM_MOVES = 3
#: Times that padding moves its tensor: the result is filled, the tensor read and written into it.
_PAD_MOVES = 3


def of_case(case: Case) -> Work:
    """The work of one call of the case, including the blending of tiles; passes follow diffusers' tiling rule."""
    passes = of_call(case.model, case.operation, tiles.passes(case))
    return passes + Work(launches=_LAUNCHES_PER_LINE * tiles.blended_lines(case))


def of_call(model: str, operation: str, passes: Iterable[tuple[int, ...]]) -> Work:
    """The work of one call that makes these passes, without the blending of tiles.

    `passes` are input shapes (batch, channels, height, width), in image pixels for encode and latent pixels for decode.
    Convolutions, linear layers and moved elements are linear in a pass's area, attention is quadratic, and filters are
    read once per pass. One small count therefore gives every size, exactly for sides that the model's factor divides.
    The rows of zeros that encoders pad with do not count.
    """
    factor = zoo.get(model).spatial_factor if operation == "encode" else 1
    counted = _counted(model, operation)
    linear = quadratic = Fraction(0)
    filters = 0
    for batch, _, height, width in passes:
        area = Fraction(height * width, (factor * _EDGE) ** 2)
        linear += batch * area
        quadratic += batch * area * area
        filters += counted.filter_elements
    return Work(
        convolution_flops=round(linear * counted.convolution_flops),
        product_flops=round(linear * counted.product_flops),
        attention_flops=round(quadratic * counted.attention_flops),
        elements=round(linear * counted.elements) + filters,
    )


@dataclass(slots=True)
class Count:
    """Counts of one pass. `elements` leaves out the filters, which do not grow with the area."""

    convolution_flops: int = 0
    product_flops: int = 0
    attention_flops: int = 0
    elements: int = 0
    filter_elements: int = 0


@cache
def _counted(model: str, operation: str) -> Count:
    return count(model, operation, 1, _EDGE, _EDGE)


def count(model: str, operation: str, batch: int, height: int, width: int) -> Count:
    """Count one whole pass for a latent of this size, operation by operation."""
    spec = zoo.get(model)
    factor = spec.spatial_factor
    module = vae.on_meta(model)
    with torch.device("meta"):
        image = torch.empty(batch, 3, height * factor, width * factor)
        latent = torch.empty(batch, spec.latent_channels, height, width)
    counter = _Counter()
    with torch.inference_mode(), counter:
        if operation == "encode":
            moments = module.encoder(image)
            _ = moments if module.quant_conv is None else module.quant_conv(moments)
        else:
            _ = module.decoder(latent if module.post_quant_conv is None else module.post_quant_conv(latent))
    return counter.count


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is not typed
    """Counts each operation of a module as torch dispatches it: convolution, normalisation, activation, sum, ..."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Count = Count()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.group_norm.default:  # its meta kernel takes most of the time
            result = torch.empty_like(args[0])
        else:
            result = func(*args, **(kwargs or {}))
        tensors = [argument for argument in args if isinstance(argument, torch.Tensor)]
        # Factory functions take no tensor, and views share memory with their input: neither moves anything.
        if tensors and isinstance(result, torch.Tensor) and not any(_share_memory(result, each) for each in tensors):
            _COUNTERS.get(func.overloadpacket, _other)(self.count, args, tensors, result)
        return result


def _share_memory(first: torch.Tensor, second: torch.Tensor) -> bool:
    return bool(first.untyped_storage()._cdata == second.untyped_storage()._cdata)


_Tensors = Sequence[torch.Tensor]


def _convolution(count: Count, args: Sequence[Any], tensors: _Tensors, result: torch.Tensor) -> None:
    filters, stride = tensors[1], args[3] if len(args) > 3 else (1, 1)
    count.convolution_flops += 2 * result.numel() * math.prod(filters.shape[1:])
    places = result.shape[0] * result.shape[2] * result.shape[3] * math.prod(stride)
    count.elements += places * filters.shape[1] + result.numel()
    count.filter_elements += filters.numel()


def _linear(count: Count, args: Sequence[Any], tensors: _Tensors, result: torch.Tensor) -> None:
    filters = tensors[1]
    count.product_flops += 2 * result.numel() * filters.shape[1]
    count.elements += tensors[0].numel() + result.numel()
    count.filter_elements += filters.numel()


def _attention(count: Count, args: Sequence[Any], tensors: _Tensors, result: torch.Tensor) -> None:
    query, key, value = tensors[:3]
    count.attention_flops += 2 * math.prod(query.shape[:-1]) * key.shape[-2] * (key.shape[-1] + value.shape[-1])
    _other(count, args, tensors[:3], result)


def _norm(count: Count, args: Sequence[Any], tensors: _Tensors, result: torch.Tensor) -> None:
    count.elements += _NORM_MOVES * tensors[0].numel()


def _pad(count: Count, args: Sequence[Any], tensors: _Tensors, result: torch.Tensor) -> None:
    count.elements += _PAD_MOVES * tensors[0].numel()


def _other(count: Count, args: Sequence[Any], tensors: _Tensors, result: torch.Tensor) -> None:
    """Count operations that read each input once and write the result: activations, sums, copies."""
    count.elements += sum(tensor.numel() for tensor in tensors) + result.numel()


_aten = torch.ops.aten
#: The counting function of each operation that is not `_other`.
_COUNTERS: dict[Any, Callable[[Count, Sequence[Any], _Tensors, torch.Tensor], None]] = {
    _aten.conv2d: _convolution,
    _aten.linear: _linear,
    _aten.scaled_dot_product_attention: _attention,
    _aten.group_norm: _norm,
    _aten.pad: _pad,
}
