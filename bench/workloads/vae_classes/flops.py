"""Counts the floating-point operations of an image VAE's call, on meta tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import torch

from bench.record import Case
from bench.workloads import models
from bench.workloads.base import Shape
from bench.workloads.repeated_passes import counted
from bench.workloads.vae_classes import module as vae
from bench.workloads.vae_classes import zoo

#: Edges in latent pixels of the two counted images: the first of these pairs that are like all larger ones.
_EDGES = ((4, 8), (8, 16))


def of_call(model: str, operation: str, passes: Iterable[tuple[int, ...]]) -> int:
    """The floating-point operations of one call that makes these passes. A multiply-add is two.

    `passes` are input shapes (batch, channels, height, width), in image pixels for encode and latent pixels for decode;
    of a class whose tensors have frames, with 1 before the height. Convolutions and linear layers are linear in a
    pass's area, attention is quadratic. Two small counts therefore give every size, exactly for sides that the model's
    factor divides. Passes that compute in another way than larger ones are counted one by one.
    """
    spec = zoo.get(model)
    factor = spec.spatial_factor if operation == "encode" else 1
    flops = Fraction(0)
    for shape in passes:
        batch, *_, height, width = shape
        if spec.vae_class.has_template(spec, operation, shape):
            polynomial, area = _polynomial(model, operation), Fraction(height * width, factor**2)
            flops += batch * area * (polynomial.linear + area * polynomial.quadratic)
        else:
            flops += batch * _counted(model, operation, height // factor, width // factor)
    return round(flops)


@dataclass(frozen=True, slots=True)
class _Polynomial:
    """The floating-point operations of a pass for each latent pixel of its area, and for each pixel of it squared."""

    linear: Fraction
    quadratic: Fraction


@cache
def _polynomial(model: str, operation: str) -> _Polynomial:
    spec = zoo.get(model)
    factor = spec.spatial_factor if operation == "encode" else 1
    small, large = next(
        pair for pair in _EDGES if spec.vae_class.has_template(spec, operation, (1, 1, *[pair[0] * factor] * 2))
    )
    of_small, of_large = (Fraction(_counted(model, operation, edge, edge), edge**2) for edge in (small, large))
    quadratic = (of_large - of_small) / (large**2 - small**2)
    return _Polynomial(of_small - quadratic * small**2, quadratic)


@cache
def _counted(model: str, operation: str, rows: int, columns: int) -> int:
    """The floating-point operations of one pass for a latent of this size."""
    spec = zoo.get(model)
    axes = models.sized(model, columns * spec.spatial_factor, rows * spec.spatial_factor)
    case = Case(model=model, operation=operation, axes=axes, dtype=spec.dtype)
    return of_input(case, spec.input_shape(case))


def of_input(case: Case, shape: Shape) -> int:
    """The floating-point operations of a call with an input of this shape, set up as for the case, by torch's counter.

    Any VAE; precision does not matter.
    """
    vae_class, module = zoo.get(case.model).vae_class, vae.on_meta(case.model)
    vae_class.set_up(module, zoo.get(case.model), case)
    values = torch.empty(shape, device="meta")
    return counted(lambda: vae_class.call(module, case.operation, values), vae_class.repeated(module, case.operation))
