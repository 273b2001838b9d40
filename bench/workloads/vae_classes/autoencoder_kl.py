"""diffusers' AutoencoderKL: Stable Diffusion, SDXL, Flux. Source: diffusers/models/autoencoders/autoencoder_kl.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bench.record import Tile
from bench.workloads.vae_classes.argument_types import Activation, Count
from bench.workloads.vae_classes.overlap_factor import OverlapFactor
from bench.workloads.vae_classes.tape import Tape, Value
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec


def levels(*channels: int) -> dict[str, Any]:
    """The arguments for these channels of each level, from the image to the latent, without attention in them."""
    return {
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "block_out_channels": list(channels),
    }


class AutoencoderKl(OverlapFactor):
    """An image is cut into tiles if either side is longer than one; neighbours are blended."""

    name = "AutoencoderKL"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        **levels(64),
        "layers_per_block": 1,
        "act_fn": "silu",
        "latent_channels": 4,
        "norm_num_groups": 32,
        "use_quant_conv": True,
        "use_post_quant_conv": True,
        "mid_block_add_attention": True,
    }
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 0.18215, "shift_factor": None}
    sizes: ClassVar[Mapping[str, Any]] = {"sample_size": 32}
    types: ClassVar[Mapping[str, Any]] = {
        "down_block_types": list[Literal["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]],
        "up_block_types": list[Literal["UpDecoderBlock2D", "AttnUpDecoderBlock2D"]],
        "act_fn": Activation,
        "sample_size": Count | Annotated[list[Count], Field(min_length=1, max_length=2)],
    }
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 2, "blend_h": 3}

    def contradiction(self, config: Mapping[str, Any]) -> str:
        levels, groups = config["block_out_channels"], config["norm_num_groups"]
        decoder_levels = config.get("decoder_block_out_channels") or levels
        for key in ("down_block_types", "up_block_types", "decoder_block_out_channels"):
            count = len(config.get(key) or levels)
            if count != len(levels):
                return f"`{key}` has length {count}, but `block_out_channels` has length {len(levels)}"
        for channels in (*levels, *decoder_levels):
            if channels % groups:
                return f"`norm_num_groups` of {groups} does not divide {channels} channels"
        return ""

    def usual_tile(self, config: Mapping[str, Any], sizes: Mapping[str, Any]) -> Tile:
        size = sizes["sample_size"]
        return Tile.of(size if isinstance(size, int) else size[0])

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the last halves the image."""
        return Geometry(2 ** (len(config["block_out_channels"]) - 1), config["latent_channels"])

    has_trace = True

    def has_quant_convs(self, spec: VaeSpec) -> bool:
        """Whether a 1x1 convolution follows the encoder and precedes the decoder."""
        return bool(spec.config.get("use_quant_conv", False))

    def copies_cut_latents(self, spec: VaeSpec) -> bool:
        return self.has_quant_convs(spec)

    def encoded(self, tape: Tape[Value], spec: VaeSpec, image: Value) -> Value:
        moments = super().encoded(tape, spec, image)
        if not self.has_quant_convs(spec):
            return moments
        result = tape.pointwise("quant_conv", moments)
        tape.free(moments)
        return result

    def decoded(self, tape: Tape[Value], spec: VaeSpec, latent: Value) -> Value:
        if not self.has_quant_convs(spec):
            return super().decoded(tape, spec, latent)
        values = tape.pointwise("post_quant_conv", latent)
        result = super().decoded(tape, spec, values)
        tape.free(values)
        return result


AUTOENCODER_KL = AutoencoderKl()
