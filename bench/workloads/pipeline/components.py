"""The components of a pipeline with random weights, of the classes and precisions that its checkpoint has (torch).

They are made in host memory, as a checkpoint is read. Parameters are filled from one block of random numbers, because
drawing 17 billion would take minutes: what a call costs does not depend on which values they have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

import torch
from accelerate import init_empty_weights

from bench.workloads.pipeline.local_tokenizer import local_tokenizer
from bench.workloads.pipeline.pipeline_spec import PipelineSpec, TextEncoder
from bench.workloads.text_encoder import module as text_module
from bench.workloads.text_encoder import zoo as text_zoo

_SEED = 0
#: Numbers of the block; odd, so that the rows of a matrix differ.
_BLOCK = (1 << 20) + 7


def in_diffusers(name: str) -> Any:
    """A class of diffusers."""
    return getattr(import_module("diffusers"), name)


def components(spec: PipelineSpec, dtype: str, parts: frozenset[str]) -> dict[str, Any]:
    """The arguments of the pipeline's class: of `text`, `denoise` and `vae` those in `parts`, None for the others."""
    made: dict[str, Any] = {"scheduler": in_diffusers(spec.scheduler.class_name)(**spec.scheduler.arguments)}
    for encoder in spec.text_encoders:
        has_text = "text" in parts
        made[encoder.component] = text_encoder(encoder, dtype) if has_text else None
        made[tokenizer_of(encoder)] = local_tokenizer(encoder.tokens) if has_text else None
    made[spec.denoiser.component] = denoiser(spec, dtype)
    made[spec.vae_component] = vae(spec, spec.vae_dtype or dtype) if "vae" in parts else None
    return made


def names(spec: PipelineSpec, parts: Collection[str]) -> list[str]:
    """The names in the pipeline of the components of these parts, of `text` and `vae`."""
    text = [name for encoder in spec.text_encoders for name in (encoder.component, tokenizer_of(encoder))]
    return [*(text if "text" in parts else ()), *([spec.vae_component] if "vae" in parts else ())]


def tokenizer_of(encoder: TextEncoder) -> str:
    """The name of a text encoder's tokenizer in the pipeline."""
    return encoder.component.replace("text_encoder", "tokenizer")


def denoiser(spec: PipelineSpec, dtype: str) -> torch.nn.Module:
    """The denoiser."""
    its_class = in_diffusers(spec.denoiser.class_name)
    return _filled(lambda: its_class(**spec.denoiser.arguments), dtype, its_class._keep_in_fp32_modules or ())


def vae(spec: PipelineSpec, dtype: str) -> torch.nn.Module:
    """The VAE."""
    vae_spec = spec.vae_spec
    return _filled(lambda: vae_spec.vae_class.build(vae_spec), dtype)


def text_encoder(encoder: TextEncoder, dtype: str) -> torch.nn.Module:
    """A text encoder, with all that its class loads."""
    spec = text_zoo.get(encoder.model)
    its_class = text_module.in_transformers(spec.resident_class)
    config = text_module.in_transformers(spec.config_class)(**spec.arguments)
    # as transformers loads them: these modules stay in float32 if the others are in float16, and always if strict
    kept = its_class._keep_in_fp32_modules_strict if dtype != "float16" else its_class._keep_in_fp32_modules
    return _filled(lambda: its_class(config), dtype, kept or ())


def _filled(build: Callable[[], Any], dtype: str, kept: Collection[str] = ()) -> torch.nn.Module:
    """A module with random parameters in host memory, in this precision but for the parts named in `kept` (float32)."""
    with init_empty_weights():  # buffers, such as tables of frequencies, have their values
        module = build()
    if hasattr(module, "tie_weights"):
        module.tie_weights()
    block = torch.randn(_BLOCK, generator=torch.Generator().manual_seed(_SEED))
    filled: dict[torch.nn.Parameter, torch.nn.Parameter] = {}
    for path, part in module.named_modules():
        for name, empty in part.named_parameters(recurse=False):
            if empty not in filled:
                is_kept = not {*path.split("."), name}.isdisjoint(kept)
                values = _values(name, empty.shape, getattr(torch, "float32" if is_kept else dtype), block)
                filled[empty] = torch.nn.Parameter(values, requires_grad=False)
            part.register_parameter(name, filled[empty])
    filled_module: torch.nn.Module = module.eval()
    return filled_module


def _values(name: str, shape: torch.Size, dtype: torch.dtype, block: torch.Tensor) -> torch.Tensor:
    """Ones for the scales of normalisations, zeros for offsets; for matrices and kernels values that keep variance."""
    if len(shape) < 2:
        return (torch.ones if name == "weight" else torch.zeros)(shape, dtype=dtype)
    values = torch.empty(shape, dtype=dtype)
    scaled = (block * (shape[0] / values.numel()) ** 0.5).to(dtype)
    flat = values.view(-1)
    for start in range(0, len(flat), _BLOCK):
        flat[start : start + _BLOCK] = scaled[: len(flat) - start]
    return values
