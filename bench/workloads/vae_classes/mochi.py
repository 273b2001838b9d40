"""diffusers' AutoencoderKLMochi. Source: diffusers/models/autoencoders/autoencoder_kl_mochi.py."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

from bench.record import Case
from bench.workloads.vae_classes import latent_statistics
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec
from bench.workloads.vae_classes.video import VideoVae


class Mochi(VideoVae):
    """Computes all frames at once."""

    name = "AutoencoderKLMochi"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 15,
        "out_channels": 3,
        "encoder_block_out_channels": [64, 128, 256, 384],
        "decoder_block_out_channels": [128, 256, 512, 768],
        "latent_channels": 12,
        "layers_per_block": [3, 3, 4, 6, 3],
        "act_fn": "silu",
        "temporal_expansions": [1, 2, 3],
        "spatial_expansions": [2, 2, 2],
        "add_attention_block": [False, True, True, True, True],
    }
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 1.0, **latent_statistics.MOCHI}
    refused_variants: ClassVar[Mapping[str, str]] = {
        "whole-clip": "it computes all frames at once anyway (variant default)"
    }

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        factors = prod(config["spatial_expansions"]), prod(config["temporal_expansions"])
        return Geometry(factors[0], config["latent_channels"], factors[1])

    def image_channels(self, config: Mapping[str, Any]) -> int:
        """Channels before the encoder adds the Fourier features of each, two of two frequencies."""
        channels: int = config["in_channels"] // 5
        return channels

    def describe_chunks(self, spec: VaeSpec) -> str:
        return "all frames at once"

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        if case.variant == "framewise":
            reason = (
                "diffusers lacks it (NotImplementedError), because the encoder's attention needs all frames"
                if case.operation == "encode"
                else "diffusers' own fails, because it leaves out the padding of convolutions in space"
            )
            return f"{spec.key} can't {case.operation} framewise: {reason}"
        return super().tile_refusal(spec, case)


MOCHI = Mochi()
