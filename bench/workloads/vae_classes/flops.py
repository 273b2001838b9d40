"""Counts the floating-point operations of an image VAE's call, on meta tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.record import Case
from bench.workloads import models
from bench.workloads.vae_classes import module as vae
from bench.workloads.vae_classes import zoo

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
    """The floating-point operations of one pass for a square latent, by torch's own counter."""
    spec, module = zoo.get(model), vae.on_meta(model)
    side = edge * spec.spatial_factor
    case = Case(model=model, operation=operation, axes=models.square(model, side), dtype=spec.dtype)
    spec.vae_class.set_up(module, spec, case)
    shape = spec.image_shape(case) if operation == "encode" else spec.latent_shape(case)
    call = spec.vae_class.encode if operation == "encode" else spec.vae_class.decode
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        call(module, torch.empty(shape, device="meta"))
    return counter.get_total_flops()
