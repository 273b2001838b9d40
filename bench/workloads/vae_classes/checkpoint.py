"""The image VAE that a checkpoint's config.json describes. Free of torch."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import ConfigError, in_plain_words, printable
from bench.record import Tile
from bench.workloads.checkpoints import Checkpoint, Identified
from bench.workloads.vae_classes.autoencoder_kl import AUTOENCODER_KL
from bench.workloads.vae_classes.base import VaeSpec
from bench.workloads.vae_classes.zoo import Zoo

#: Tiles are whole steps of this many pixels, as in sweeps.
_TILE_STEP = 8
#: Position of a checkpoint's model in listings: behind all others.
_ORDER = 1000

#: Keys that diffusers knows and that decide nothing here.
_NOT_READ = {"force_upcast", "latents_mean", "latents_std", "quantization_config"}

_Count = Annotated[int, Field(ge=1, le=2**16)]
_DownBlock = Literal["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]
_UpBlock = Literal["UpDecoderBlock2D", "AttnUpDecoderBlock2D"]


class _Levels(BaseModel):
    """The configuration as diffusers' class takes it, with the class's defaults.

    Source: `__init__` in diffusers/models/autoencoders/autoencoder_kl.py. As there, other keys are ignored.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    in_channels: _Count = 3
    out_channels: _Count = 3
    down_block_types: list[_DownBlock] = ["DownEncoderBlock2D"]
    up_block_types: list[_UpBlock] = ["UpDecoderBlock2D"]
    block_out_channels: Annotated[list[_Count], Field(min_length=1, max_length=10)] = [64]
    layers_per_block: Annotated[int, Field(ge=1, le=64)] = 1
    act_fn: Literal["silu", "swish", "mish", "gelu", "relu"] = "silu"
    latent_channels: _Count = 4
    norm_num_groups: _Count = 32
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True


class _Config(_Levels):
    """All that is read of a configuration: what decides the computation, and the usual scaling, tile and precision."""

    sample_size: _Count | Annotated[list[_Count], Field(min_length=1, max_length=2)] = 32
    scaling_factor: Annotated[float, Field(allow_inf_nan=False)] = 0.18215
    shift_factor: Annotated[float, Field(allow_inf_nan=False)] | None = None
    torch_dtype: Literal["float32", "float16", "bfloat16"] = "float32"


def identify(checkpoint: Checkpoint, name: str, zoo: Zoo) -> Identified:
    """The model of a checkpoint: one of the zoo if architecture and scaling are its own, else a new one of this name.

    Raises ConfigError for a configuration that diffusers' class can't be built from.
    """
    config = _checked(checkpoint)
    details = config.model_dump(include=set(_Levels.model_fields))
    if details["act_fn"] == "swish":  # another name of the same function
        details["act_fn"] = "silu"
    own = (
        spec.key
        for spec in zoo.listed()
        if spec.fault is None and _is_architecture(spec, details) and _is_scaled_like(spec, config)
    )
    key = next(own, None) or zoo.add(_new(name, config, details))
    known = _Config.model_fields.keys() | _NOT_READ
    return Identified(key, tuple(each for each in checkpoint.config if each not in known and not each.startswith("_")))


def _is_architecture(spec: VaeSpec, details: dict[str, Any]) -> bool:
    return spec.vae_class is AUTOENCODER_KL and spec.config == details


def _is_scaled_like(spec: VaeSpec, config: _Config) -> bool:
    shift, own_shift = (0.0 if value is None else value for value in (config.shift_factor, spec.shift_factor))
    factor = spec.scaling_factor or 1.0
    return math.isclose(factor, config.scaling_factor) and math.isclose(shift, own_shift)


def _new(name: str, config: _Config, details: dict[str, Any]) -> VaeSpec:
    """A model whose precision and tile are those that diffusers takes for it by itself."""
    sample_size = config.sample_size if isinstance(config.sample_size, int) else config.sample_size[0]
    step = math.lcm(_TILE_STEP, 2 ** (len(config.block_out_channels) - 1))
    return VaeSpec(
        key=name,
        title=name,
        dtype=config.torch_dtype,
        vae_class=AUTOENCODER_KL,
        arguments=details,
        scaling_factor=config.scaling_factor,
        shift_factor=config.shift_factor,
        tile=Tile.of(max(sample_size // step, 1) * step),
        order=_ORDER,
    )


def _checked(checkpoint: Checkpoint) -> _Config:
    unused = checkpoint.config.get("_use_default_values", ())
    unused = unused if isinstance(unused, list) else ()
    given = {key: value for key, value in checkpoint.config.items() if key not in unused}
    try:
        config = _Config.model_validate(given)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = detail["loc"][0]
        raise _refused(checkpoint, f"`{key}` {in_plain_words(detail)}") from None
    levels = len(config.block_out_channels)
    for key in ("down_block_types", "up_block_types"):
        count = len(getattr(config, key))
        if count != levels:
            raise _refused(checkpoint, f"`{key}` has length {count}, but `block_out_channels` has length {levels}")
    groups = config.norm_num_groups
    for channels in config.block_out_channels:
        if channels % groups:
            raise _refused(checkpoint, f"`norm_num_groups` of {groups} does not divide {channels} channels")
    return config


def _refused(checkpoint: Checkpoint, fault: str) -> ConfigError:
    return ConfigError(f"{printable(checkpoint.file)}: {fault}. Correct the file, or give another checkpoint.")
