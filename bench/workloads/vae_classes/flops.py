"""Counts the floating-point operations of an image VAE's call, on meta tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial

import torch

from bench.record import Case
from bench.workloads import models
from bench.workloads.base import Shape
from bench.workloads.repeated_passes import counted
from bench.workloads.vae_classes import module as vae
from bench.workloads.vae_classes import zoo

#: Edges in latent pixels of the two counted images: the first of these pairs that are like all larger ones.
EDGES = ((4, 8), (8, 16))


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
        if spec.vae_class.kind_of_pass(spec, operation, shape):
            flops += batch * _counted(model, operation, height // factor, width // factor)
        else:
            flops += batch * _polynomial(model, operation).at(Fraction(height * width, factor**2))
    return round(flops)


@dataclass(frozen=True, slots=True)
class Polynomial:
    """The floating-point operations of a pass for each latent pixel of its area, and for each pixel of it squared."""

    linear: Fraction
    quadratic: Fraction

    @classmethod
    def of_squares(cls, small: int, flops_of_small: int, large: int, flops_of_large: int) -> Polynomial:
        """By the counts for two squares of these edges, in latent pixels."""
        of_small, of_large = Fraction(flops_of_small, small**2), Fraction(flops_of_large, large**2)
        quadratic = (of_large - of_small) / (large**2 - small**2)
        return cls(of_small - quadratic * small**2, quadratic)

    def at(self, area: Fraction) -> Fraction:
        """The operations for an area in latent pixels."""
        return area * (self.linear + area * self.quadratic)


@cache
def _polynomial(model: str, operation: str) -> Polynomial:
    spec = zoo.get(model)
    factor = spec.spatial_factor if operation == "encode" else 1
    small, large = next(
        pair for pair in EDGES if not spec.vae_class.kind_of_pass(spec, operation, (1, 1, *[pair[0] * factor] * 2))
    )
    return Polynomial.of_squares(
        small, _counted(model, operation, small, small), large, _counted(model, operation, large, large)
    )


@cache
def _counted(model: str, operation: str, rows: int, columns: int) -> int:
    """The floating-point operations of one pass for a latent of this size."""
    spec = zoo.get(model)
    axes = models.sized(model, columns * spec.spatial_factor, rows * spec.spatial_factor)
    case = Case(model=model, operation=operation, axes=axes, dtype=spec.dtype)
    (flops,) = of_inputs([(case, spec.input_shape(case))])
    return flops


def of_inputs(inputs: Sequence[tuple[Case, Shape]]) -> tuple[int, ...]:
    """The floating-point operations of calls with inputs of these shapes, set up as for their cases.

    By torch's counter, for cases of one model, any VAE, and of one operation; precision does not matter. Passes that
    several calls have in common run once.
    """
    first = inputs[0][0]
    vae_class, module = zoo.get(first.model).vae_class, vae.on_meta(first.model)
    calls = [partial(_call, module, case, shape) for case, shape in inputs]
    return counted(calls, vae_class.repeated(module, first.operation))


def _call(module: torch.nn.Module, case: Case, shape: Shape) -> None:
    spec = zoo.get(case.model)
    spec.vae_class.set_up(module, spec, case)
    spec.vae_class.call(module, case.operation, torch.empty(shape, device="meta"))
