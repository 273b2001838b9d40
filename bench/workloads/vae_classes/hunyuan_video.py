"""diffusers' AutoencoderKLHunyuanVideo. Source: diffusers/models/autoencoders/autoencoder_kl_hunyuan_video.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.workloads.vae_classes.video import FramewiseVae


class HunyuanVideo(FramewiseVae):
    """Splits videos of more than 16 frames into chunks, even if it does not tile."""

    name = "AutoencoderKLHunyuanVideo"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 16,
        "down_block_types": ["HunyuanVideoDownBlock3D"] * 4,
        "up_block_types": ["HunyuanVideoUpBlock3D"] * 4,
        "block_out_channels": [128, 256, 512, 512],
        "layers_per_block": 2,
        "act_fn": "silu",
        "norm_num_groups": 32,
        "spatial_compression_ratio": 8,
        "temporal_compression_ratio": 4,
        "mid_block_add_attention": True,
    }
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 0.476986}
    variants = ("sliced", "whole-clip")
    refused_variants: ClassVar[Mapping[str, str]] = {
        "framewise": "it computes chunks of frames anyway (variant default)"
    }
    own_frames = (16, 4)
    is_framewise = True


HUNYUAN_VIDEO = HunyuanVideo()
