"""Floating-point operations of a VAE's call, counted by torch on meta tensors. Loads torch and diffusers."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import torch
from diffusers import AutoencoderKL
from torch.utils.flop_counter import FlopCounterMode

from bench import models
from bench.workloads import vae

#: Edges, in latent pixels, of the two images that are counted.
_SMALL, _LARGE = 8, 16


def of_call(model: str, operation: str, passes: Iterable[tuple[int, ...]]) -> int:
    """Operations of one call that makes these passes, a multiply-add being two; what FlopCounterMode does not count
    (normalisation, activations, blending of tiles) is left out here too.

    `passes` are input shapes (batch, channels, height, width), image pixels for encode and latent ones for decode.
    """
    factor = models.get(model).spatial_factor if operation == "encode" else 1
    linear, quadratic = _coefficients(model, operation)
    total = Fraction(0)
    for batch, _, height, width in passes:
        places = Fraction(height * width, factor * factor)
        total += batch * (linear * places + quadratic * places * places)
    return round(total)


@cache
def _coefficients(model: str, operation: str) -> tuple[Fraction, Fraction]:
    """What one latent pixel costs, and one pair of them: convolutions are linear in the area, attention quadratic.

    So two counts give those of every size, exactly.
    """
    spec = models.get(model)
    with torch.device("meta"):
        module = _without_norms(vae.build(spec))
    counts: list[int] = []
    for edge in (_SMALL, _LARGE):
        image = torch.empty(1, 3, edge * spec.spatial_factor, edge * spec.spatial_factor, device="meta")
        latent = torch.empty(1, spec.latent_channels, edge, edge, device="meta")
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            if operation == "encode":
                module.encode(image)
            else:
                module.decode(latent)
        counts.append(int(counter.get_total_flops()))
    small, large = _SMALL**2, _LARGE**2
    quadratic = (Fraction(counts[1], large) - Fraction(counts[0], small)) / (large - small)
    return Fraction(counts[0], small) - quadratic * small, quadratic


def _without_norms(module: AutoencoderKL) -> AutoencoderKL:
    """Leave out the normalisations: the counter counts none of them, and takes most of its time over them on meta."""
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.GroupNorm):
                setattr(parent, name, torch.nn.Identity())
    return module
