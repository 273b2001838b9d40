"""diffusers' AutoencoderKLHunyuanVideo15. Source: diffusers/models/autoencoders/autoencoder_kl_hunyuanvideo15.py."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

from bench.record import Case
from bench.workloads.vae_classes.vae_class import VaeSpec
from bench.workloads.vae_classes.video import VideoVae


class HunyuanVideo15(VideoVae):
    """Computes all frames at once; tiles overlap by the same share of both sides."""

    name = "AutoencoderKLHunyuanVideo15"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 32,
        "block_out_channels": [128, 256, 512, 1024, 1024],
        "layers_per_block": 2,
        "spatial_compression_ratio": 16,
        "temporal_compression_ratio": 4,
        "downsample_match_channel": True,
        "upsample_match_channel": True,
    }
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 1.03682}
    refused_variants: ClassVar[Mapping[str, str]] = {
        "whole-clip": "it computes all frames at once anyway (variant default)"
    }

    def describe_chunks(self, spec: VaeSpec) -> str:
        return "all frames at once"

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        refusal, tile = super().tile_refusal(spec, case), case.tile
        if refusal or tile is None:
            return refusal
        height, overlap_height = tile.rows
        if Fraction(overlap_height, height) == Fraction(tile.overlap, tile.tile):
            return ""
        return f"tile {tile.label}: {self.name} overlaps tiles by the same share of their width and height"

    def set_tile(self, module: Any, spec: VaeSpec, case: Case) -> None:
        tile, factor = case.tile or spec.tile, spec.geometry.factor
        module.tile_sample_min_height, module.tile_sample_min_width = tile.rows[0], tile.tile
        module.tile_latent_min_height = tile.rows[0] // factor
        module.tile_latent_min_width = tile.tile // factor
        module.tile_overlap_factor = Fraction(tile.overlap, tile.tile)  # diffusers truncates products with a float


HUNYUAN_VIDEO_15 = HunyuanVideo15()
