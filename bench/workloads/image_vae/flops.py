"""Counts the floating-point operations of a VAE's call, on meta tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.workloads.image_vae import module as vae
from bench.workloads.image_vae import zoo

#: Edges of the two counted images in latent pixels.
_SMALL, _LARGE = 4, 8


def of_call(model: str, operation: str, passes: Iterable[tuple[int, ...]]) -> int:
    """The floating-point operations of one call that makes these passes. A multiply-add is two.

    `passes` are input shapes (batch, channels, height, width), in image pixels for encode and latent pixels for decode.
    Convolutions and linear layers are linear in a pass's area, attention is quadratic. Two small counts therefore give
    every size, exactly for sides that the model's factor divides.
    """
    factor = zoo.get(model).spatial_factor if operation == "encode" else 1
    polynomial = _polynomial(model, operation)
    flops = Fraction(0)
    for batch, _, height, width in passes:
        area = Fraction(height * width, factor**2)
        flops += batch * area * (polynomial.linear + area * polynomial.quadratic)
    return round(flops)


@dataclass(frozen=True, slots=True)
class _Polynomial:
    """The floating-point operations of a pass for each latent pixel of its area, and for each pixel of it squared."""

    linear: Fraction
    quadratic: Fraction


@cache
def _polynomial(model: str, operation: str) -> _Polynomial:
    small, large = (Fraction(_counted(model, operation, edge), edge**2) for edge in (_SMALL, _LARGE))
    quadratic = (large - small) / (_LARGE**2 - _SMALL**2)
    return _Polynomial(small - quadratic * _SMALL**2, quadratic)


def _counted(model: str, operation: str, edge: int) -> int:
    """The floating-point operations of one pass for a square latent, by torch's own counter. The module may tile."""
    spec, module = zoo.get(model), vae.on_meta(model)
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        if operation == "encode":
            moments = module.encoder(_empty(spec.image_channels, edge * spec.spatial_factor))
            _ = moments if module.quant_conv is None else module.quant_conv(moments)
        else:
            latent = _empty(spec.latent_channels, edge)
            module.decoder(latent if module.post_quant_conv is None else module.post_quant_conv(latent))
    return counter.get_total_flops()


def _empty(channels: int, edge: int) -> torch.Tensor:
    return torch.empty(1, channels, edge, edge, device="meta")
