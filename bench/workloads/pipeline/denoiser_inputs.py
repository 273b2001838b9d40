"""The inputs of one call of a pipeline's denoiser, on meta tensors: by class, because each takes others.

Prompts are as long as their tokens, so that no mask is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.pipeline.pipeline_spec import PipelineSpec

#: Inputs by name; the latents come first.
Inputs = Mapping[str, Any]
#: FLUX and Qwen-Image pack squares of this side in latent pixels into one token.
_PATCH = 2
#: Sizes and offsets that SDXL is told: of the original image, of the crop, of the target.
_TIME_IDS = 6


def of(spec: PipelineSpec, case: Case, config: Mapping[str, Any], dtype: torch.dtype) -> Inputs:
    """The inputs of one call of the denoiser, besides `return_dict`. `config` has its class's defaults too."""
    build = _BY_CLASS[spec.denoiser.class_name]
    return build(spec, case, config, dtype)


def _tensor(shape: Shape, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _tokens(spec: PipelineSpec) -> int:
    """The tokens of the embedding that the denoiser attends to."""
    return spec.text_encoders[-1].tokens


def _latent(spec: PipelineSpec, case: Case) -> Shape:
    """Shape of the latents of one call."""
    batch, *rest = spec.vae_spec.latent_shape(case)
    return (batch * spec.denoiser.batch, *rest)


def _of_unet(spec: PipelineSpec, case: Case, config: Mapping[str, Any], dtype: torch.dtype) -> Inputs:
    latent = _latent(spec, case)
    inputs: dict[str, Any] = {
        "sample": _tensor(latent, dtype),
        "timestep": _tensor((), dtype),
        "encoder_hidden_states": _tensor((latent[0], _tokens(spec), config["cross_attention_dim"]), dtype),
    }
    if config["addition_embed_type"] == "text_time":
        pooled = config["projection_class_embeddings_input_dim"] - _TIME_IDS * config["addition_time_embed_dim"]
        inputs["added_cond_kwargs"] = {
            "text_embeds": _tensor((latent[0], pooled), dtype),
            "time_ids": _tensor((latent[0], _TIME_IDS), dtype),
        }
    return inputs


def _packed(latent: Shape) -> tuple[int, int, int, int]:
    """Images, rows and columns of packed tokens, and values of a token."""
    batch, channels, *_, height, width = latent
    return batch, height // _PATCH, width // _PATCH, channels * _PATCH**2


def _of_flux(spec: PipelineSpec, case: Case, config: Mapping[str, Any], dtype: torch.dtype) -> Inputs:
    batch, rows, columns, values = _packed(_latent(spec, case))
    tokens = _tokens(spec)
    return {
        "hidden_states": _tensor((batch, rows * columns, values), dtype),
        "encoder_hidden_states": _tensor((batch, tokens, config["joint_attention_dim"]), dtype),
        "pooled_projections": _tensor((batch, config["pooled_projection_dim"]), dtype),
        "timestep": _tensor((batch,), dtype),
        "img_ids": _tensor((rows * columns, 3), dtype),
        "txt_ids": _tensor((tokens, 3), dtype),
        "guidance": _tensor((batch,), torch.float32) if config["guidance_embeds"] else None,
    }


def _of_qwen_image(spec: PipelineSpec, case: Case, config: Mapping[str, Any], dtype: torch.dtype) -> Inputs:
    batch, rows, columns, values = _packed(_latent(spec, case))
    return {
        "hidden_states": _tensor((batch, rows * columns, values), dtype),
        "timestep": _tensor((batch,), dtype),
        "encoder_hidden_states": _tensor((batch, _tokens(spec), config["joint_attention_dim"]), dtype),
        "img_shapes": [[(1, rows, columns)]] * batch,
    }


def _of_wan(spec: PipelineSpec, case: Case, config: Mapping[str, Any], dtype: torch.dtype) -> Inputs:
    latent = _latent(spec, case)
    return {
        "hidden_states": _tensor(latent, dtype),
        "timestep": _tensor((latent[0],), torch.int64),
        "encoder_hidden_states": _tensor((latent[0], _tokens(spec), config["text_dim"]), dtype),
    }


_BY_CLASS: Mapping[str, Callable[[PipelineSpec, Case, Mapping[str, Any], torch.dtype], Inputs]] = {
    "FluxTransformer2DModel": _of_flux,
    "QwenImageTransformer2DModel": _of_qwen_image,
    "UNet2DConditionModel": _of_unet,
    "WanTransformer3DModel": _of_wan,
}
