"""One step of a pipeline's denoiser on meta tensors, for tracing without weights or a device.

A step is what diffusers' pipelines do between two latents: one or two calls of the denoiser, guidance, and the
scheduler's step, which counts as one sum, because its tensors are as small as the latents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.pipeline import denoiser_inputs, zoo
from bench.workloads.pipeline.pipeline_spec import PipelineSpec

_GUIDANCE = 5.0


class _Denoiser(torch.nn.Module):
    """A denoiser as the only part of a module, so that its calls are watched like those of any part."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.denoiser = model


@dataclass(frozen=True, slots=True)
class MetaCall:
    """Implements `workloads.base.MetaCall`. All cases of a model and precision share the module."""

    spec: PipelineSpec
    module: _Denoiser
    given: denoiser_inputs.Inputs

    @property
    def inputs(self) -> Sequence[torch.Tensor]:
        """Latents, embeddings and what else the denoiser is given."""
        return [value for value in tree_leaves(dict(self.given)) if isinstance(value, torch.Tensor)]

    @property
    def blends(self) -> Mapping[str, int]:
        """No tiles are blended."""
        return {}

    @property
    def repeated(self) -> torch.nn.Module:
        """The denoiser."""
        return self.module.denoiser

    def run(self) -> torch.Tensor:
        """Make one step."""
        latents: torch.Tensor
        latents, *_ = self.given.values()
        predicted = self._denoised()
        if self.spec.denoiser.calls > 1:
            predicted = _guided(predicted, self._denoised())
        elif self.spec.denoiser.batch > 1:
            predicted = _guided(*predicted.chunk(2))
            latents = latents[: len(predicted)]
        return latents + predicted

    def flops(self, passes: Sequence[Shape]) -> int | None:
        """Floating-point operations of so many calls of the denoiser."""
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self._denoised()
        return int(counter.get_total_flops()) * len(passes)

    def _denoised(self) -> torch.Tensor:
        latents, *rest = self.given.items()
        result: torch.Tensor = self.repeated(latents[1], **dict(rest), return_dict=False)[0]
        return result


def _guided(unguided: torch.Tensor, guided: torch.Tensor) -> torch.Tensor:
    return unguided + _GUIDANCE * (guided - unguided)


def call(case: Case) -> MetaCall:
    """One step of a case; its weights do not matter."""
    spec, dtype = zoo.get(case.model), getattr(torch, case.dtype)
    module = _shared(case.model, case.dtype)
    config: Any = module.denoiser.config
    return MetaCall(spec, module, denoiser_inputs.of(spec, case, config, dtype))


@cache
def _shared(model: str, dtype: str) -> _Denoiser:
    """The denoiser of a pipeline in a precision, with the modules that diffusers always loads in float32."""
    import diffusers  # noqa: PLC0415 - its import takes seconds

    denoiser = zoo.get(model).denoiser
    with torch.device("meta"):
        module: Any = getattr(diffusers, denoiser.class_name)(**denoiser.arguments)
    module = torch.nn.Module.to(module, getattr(torch, dtype))
    kept = tuple(module._keep_in_fp32_modules or ())
    for name, parameter in module.named_parameters():
        if any(part in kept for part in name.split(".")):
            parameter.data = parameter.data.float()
    return _Denoiser(module.eval().requires_grad_(False))
