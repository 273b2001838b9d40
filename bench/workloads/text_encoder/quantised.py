"""Text encoders with weights of 8 or 4 bits, by bitsandbytes (torch).

All linear layers are quantised but the language head, as transformers does it: `int8` is LLM.int8(), `nf4` has blocks
of 64 values with a float32 scale each. What is computed has the model's own precision. bitsandbytes has both on CUDA,
from compute capability 6.0 on, and on CPUs with AVX2.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import torch

from bench.errors import ConfigError
from bench.workloads.text_encoder.encoder_spec import EncoderSpec

#: The first compute capability that bitsandbytes has kernels for (its README, version 0.50).
_LEAST_CAPABILITY = (6, 0)
#: Deviation of random weights, as transformers initialises most of them.
_DEVIATION = 0.02


def library(dtype: str, device: torch.device) -> Any:
    """bitsandbytes. Raises ConfigError if it is not installed, or if the card lacks what it needs."""
    if device.type == "cuda" and (capability := torch.cuda.get_device_capability(device)) < _LEAST_CAPABILITY:
        name = ".".join(map(str, capability))
        raise ConfigError(
            f"{dtype} weights need a GPU of compute capability 6.0 or higher, and this one has {name}. Choose another "
            "precision."
        )
    try:
        return import_module("bitsandbytes")
    except ImportError:
        raise ConfigError(
            f"{dtype} weights need bitsandbytes, which is not installed. Install it: "
            "pip install 'hybrid-bench[quantised]'"
        ) from None


def build(spec: EncoderSpec, dtype: str, device: torch.device, build_empty: Any) -> Any:
    """The module with random weights, each quantised as soon as it is made: no second copy is ever in memory.

    `build_empty` makes it on meta tensors, with real buffers.
    """
    bitsandbytes, precision = library(dtype, device), getattr(torch, spec.dtype)
    module = build_empty()
    head = module.get_output_embeddings()
    for parent, name, linear in list(_linears(module)):
        if linear is not head:
            setattr(parent, name, _quantised(bitsandbytes, linear, dtype, precision, device))
    for part in module.modules():
        for name, values in part.named_parameters(recurse=False):
            if values.is_meta:
                setattr(part, name, torch.nn.Parameter(_random(values, precision, device), requires_grad=False))
    return module.to(device)


def load_arguments(spec: EncoderSpec, dtype: str, device: torch.device) -> dict[str, Any]:
    """The arguments of transformers' `from_pretrained` that quantise a checkpoint while it is loaded."""
    library(dtype, device)
    transformers: Any = import_module("transformers")
    how = {"load_in_8bit": True} if dtype == "int8" else _as_nf4(spec)
    return {"quantization_config": transformers.BitsAndBytesConfig(**how), "device_map": {"": device}}


def _as_nf4(spec: EncoderSpec) -> dict[str, Any]:
    return {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": getattr(torch, spec.dtype)}


def scales(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    """The scales of quantised weights, which are neither parameters nor buffers of the module."""
    for part in module.modules():
        weight = getattr(part, "weight", None)
        state = getattr(weight, "quant_state", None)
        scale = state.absmax if state is not None else getattr(weight, "SCB", None)
        if isinstance(scale, torch.Tensor):
            yield scale


def _linears(module: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, torch.nn.Linear]]:
    for parent in module.modules():
        for name, part in parent.named_children():
            if type(part) is torch.nn.Linear:
                yield parent, name, part


def _quantised(
    bitsandbytes: Any, linear: torch.nn.Linear, dtype: str, precision: torch.dtype, device: torch.device
) -> Any:
    sizes = linear.in_features, linear.out_features, linear.bias is not None
    with torch.device("meta"):
        if dtype == "nf4":
            made = bitsandbytes.nn.Linear4bit(*sizes, compute_dtype=precision, quant_type="nf4")
        else:
            made = bitsandbytes.nn.Linear8bitLt(*sizes, has_fp16_weights=False)
    weight = _random(linear.weight, precision, device)
    if dtype == "nf4":
        made.weight = bitsandbytes.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=made)
    else:
        made.weight = bitsandbytes.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    if linear.bias is not None:
        made.bias = torch.nn.Parameter(torch.zeros(sizes[1], dtype=precision, device=device), requires_grad=False)
    return made.to(device)


def _random(like: torch.Tensor, precision: torch.dtype, device: torch.device) -> torch.Tensor:
    """Values for a weight; ones for those of a normalisation, which have one dimension."""
    made = torch.empty(like.shape, dtype=precision, device=device)
    return made.fill_(1.0) if like.dim() == 1 else made.normal_(std=_DEVIATION)
