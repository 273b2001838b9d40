"""A VAE's call on meta tensors, for tracing without weights or a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.vae_classes import flops, module, video_flops, zoo
from bench.workloads.vae_classes.vae_class import VaeSpec


@dataclass(frozen=True, slots=True)
class MetaCall:
    """Implements `workloads.base.MetaCall`. All cases of a model share the module; `run` sets it up for this case."""

    case: Case
    spec: VaeSpec
    module: Any
    values: torch.Tensor

    @property
    def inputs(self) -> Sequence[torch.Tensor]:
        """The image or the latent."""
        return (self.values,)

    @property
    def blends(self) -> Mapping[str, int]:
        """The methods that blend tiles, and the dimension along which each goes."""
        return self.spec.vae_class.blends

    @property
    def repeated(self) -> torch.nn.Module:
        """The encoder or decoder, which does the same for every input of one shape."""
        return self.spec.vae_class.repeated(self.module, self.case.operation)

    def run(self) -> torch.Tensor:
        """Encode or decode."""
        self.spec.vae_class.set_up(self.module, self.spec, self.case)
        return self.spec.vae_class.call(self.module, self.case.operation, self.values)

    def flops(self, passes: Sequence[Shape]) -> int | None:
        """Floating-point operations of these passes; None if they can't be counted exactly."""
        if self.spec.geometry.is_video:
            return video_flops.of_call(self.case, passes)
        factor = self.spec.spatial_factor if self.case.operation == "encode" else 1
        if any(side % factor for shape in passes for side in shape[-2:]):
            return None
        return flops.of_call(self.case.model, self.case.operation, passes)


def call(case: Case) -> MetaCall:
    """The call of a case; its weights do not matter."""
    spec = zoo.get(case.model)
    vae = module.on_meta(case.model, case.dtype)
    return MetaCall(case, spec, vae, torch.empty(spec.input_shape(case), dtype=vae.dtype, device="meta"))
