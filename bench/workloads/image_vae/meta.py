"""An image VAE's call on meta tensors, for tracing without weights or a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import AutoencoderKL

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.image_vae import flops, module, payloads, zoo


@dataclass(frozen=True, slots=True)
class MetaCall:
    """Implements `workloads.base.MetaCall`. All cases of a model share the module; it is set up for this case."""

    case: Case
    module: AutoencoderKL
    values: torch.Tensor

    #: diffusers' methods that blend two tiles row by row and column by column, with the dimension that they blend.
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 2, "blend_h": 3}

    @property
    def repeated(self) -> torch.nn.Module:
        """The encoder or decoder, which does the same for every input of one shape."""
        half: torch.nn.Module = self.module.encoder if self.case.operation == "encode" else self.module.decoder
        return half

    def run(self) -> torch.Tensor:
        """Encode or decode."""
        if self.case.operation == "encode":
            result = self.module.encode(self.values).latent_dist.mode()
        else:
            result = self.module.decode(self.values).sample
        assert isinstance(result, torch.Tensor)  # noqa: S101 - for the type checker: diffusers' are of unknown type
        return result

    def flops(self, passes: Sequence[Shape]) -> int | None:
        """Floating-point operations of these passes; None if they can't be counted exactly."""
        factor = zoo.get(self.case.model).spatial_factor if self.case.operation == "encode" else 1
        if any(side % factor for shape in passes for side in shape[2:]):
            return None
        return flops.of_call(self.case.model, self.case.operation, passes)


def call(case: Case) -> MetaCall:
    """The call of a case; its precision and weights do not matter."""
    vae = module.on_meta(case.model)
    module.tile_with(vae, case.tile, zoo.get(case.model).spatial_factor)
    vae.use_slicing = case.variant == "sliced"
    shape = payloads.image_shape(case) if case.operation == "encode" else payloads.latent_shape(case)
    return MetaCall(case, vae, torch.empty(shape, device="meta"))
