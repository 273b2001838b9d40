"""diffusers' AutoencoderKLLTXVideo. Source: diffusers/models/autoencoders/autoencoder_kl_ltx.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.record import Case, Tile
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec
from bench.workloads.vae_classes.video import FramewiseVae

if TYPE_CHECKING:
    import torch


class LtxVideo(FramewiseVae):
    """Computes all frames at once, unless it is told to compute chunks."""

    name = "AutoencoderKLLTXVideo"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 128,
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["LTXVideoDownBlock3D"] * 4,
        "decoder_block_out_channels": [128, 256, 512, 512],
        "layers_per_block": [4, 3, 3, 3, 4],
        "decoder_layers_per_block": [4, 3, 3, 3, 4],
        "spatio_temporal_scaling": [True, True, True, False],
        "decoder_spatio_temporal_scaling": [True, True, True, False],
        "decoder_inject_noise": [False] * 5,
        "downsample_type": ["conv"] * 4,
        "upsample_residual": [False] * 4,
        "upsample_factor": [1] * 4,
        "timestep_conditioning": False,
        "patch_size": 4,
        "patch_size_t": 1,
        "resnet_norm_eps": 1e-6,
        "encoder_causal": True,
        "decoder_causal": False,
        "spatial_compression_ratio": None,
        "temporal_compression_ratio": None,
    }
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 1.0}
    variants = ("sliced", "framewise")
    refused_variants: ClassVar[Mapping[str, str]] = {
        "whole-clip": "it computes all frames at once anyway (variant default)"
    }
    tile = Tile(tile=512, overlap=64)
    own_frames = (16, 8)
    is_framewise = False

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """As the class computes its ratios, unless they are given."""
        halvings = 2 ** sum(config["spatio_temporal_scaling"])
        space = config["spatial_compression_ratio"] or config["patch_size"] * halvings
        time = config["temporal_compression_ratio"] or config["patch_size_t"] * halvings
        return Geometry(space, config["latent_channels"], time)

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        is_split = case.is_variant("sliced") and case.operation == "decode" and case.axes["batch"] > 1
        if is_split and spec.config["timestep_conditioning"]:
            return f"{spec.key} can't decode a batch sliced: diffusers pairs the videos with the wrong timesteps"
        return super().tile_refusal(spec, case)

    def decode(self, module: Any, latents: torch.Tensor) -> torch.Tensor:
        """Decoders from LTX-Video 0.9.1 on also take a timestep: 0 here, as in diffusers' pipelines."""
        timesteps = latents.new_zeros(latents.shape[0]) if module.config.timestep_conditioning else None
        sample: torch.Tensor = module.decode(latents, timesteps).sample
        return sample


LTX_VIDEO = LtxVideo()
