"""An image VAE's call on meta tensors, to be traced: no weights, no device. Loads torch and diffusers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.image_vae import module, payloads, work, zoo


@dataclass(frozen=True, slots=True)
class MetaCall:
    """As `workloads.base.MetaCall` has it. The module is one for all cases of a model, set up for this one."""

    case: Case
    module: AutoencoderKL
    values: torch.Tensor

    #: diffusers' methods that blend a tile into another row by row, or column by column.
    blends = ("blend_v", "blend_h")

    @property
    def repeated(self) -> torch.nn.Module:
        """The encoder or decoder: of one shape of input each pass does the same."""
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
        """Floating-point operations of so many passes; None where `work` does not count them exactly."""
        factor = zoo.get(self.case.model).spatial_factor if self.case.operation == "encode" else 1
        if any(side % factor for shape in passes for side in shape[2:]):
            return None
        return work.of_call(self.case.model, self.case.operation, passes).flops


def call(case: Case) -> MetaCall:
    """The call of a case, whose precision and weights do not matter."""
    vae = module.on_meta(case.model)
    module.tile_with(vae, case.tile, zoo.get(case.model).spatial_factor)
    vae.use_slicing = case.variant == "sliced"
    shape = payloads.image_shape(case) if case.operation == "encode" else payloads.latent_shape(case)
    return MetaCall(case, vae, torch.empty(shape, device="meta"))
