"""diffusers' AutoencoderKLLTX2Video. Source: diffusers/models/autoencoders/autoencoder_kl_ltx2.py.

A model must give both compression ratios: those that the class computes by itself (64 and 16) are not what its layers
do (32 and 8), and its tiles would not fit together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.record import Case
from bench.workloads.vae_classes.ltx_video import LtxVideo
from bench.workloads.vae_classes.vae_class import VaeSpec


class Ltx2Video(LtxVideo):
    """As LTX-Video, with other layers and paddings."""

    name = "AutoencoderKLLTX2Video"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 128,
        "block_out_channels": [256, 512, 1024, 2048],
        "down_block_types": ["LTX2VideoDownBlock3D"] * 4,
        "decoder_block_out_channels": [256, 512, 1024],
        "layers_per_block": [4, 6, 6, 2, 2],
        "decoder_layers_per_block": [5, 5, 5, 5],
        "spatio_temporal_scaling": [True] * 4,
        "decoder_spatio_temporal_scaling": [True] * 3,
        "decoder_inject_noise": [False] * 4,
        "downsample_type": ["spatial", "temporal", "spatiotemporal", "spatiotemporal"],
        "upsample_type": ["spatiotemporal"] * 3,
        "upsample_residual": [True] * 3,
        "upsample_factor": [2] * 3,
        "timestep_conditioning": False,
        "patch_size": 4,
        "patch_size_t": 1,
        "resnet_norm_eps": 1e-6,
        "encoder_causal": True,
        "decoder_causal": True,
        "encoder_spatial_padding_mode": "zeros",
        "decoder_spatial_padding_mode": "reflect",
        "spatial_compression_ratio": None,
        "temporal_compression_ratio": None,
    }

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        refusal = super().tile_refusal(spec, case)
        if refusal or case.operation == "encode" or spec.config["decoder_spatial_padding_mode"] != "reflect":
            return refusal
        if all(min(shape[-2:]) > 1 for shape in self.passes(spec, case)):
            return ""
        least = spec.geometry.factor
        what = f"the last tile of {case.tile.label}" if case.tile and self.is_tiled(case) else "the video"
        return (
            f"{what} has a side of {least} px, and {spec.key}'s decoder pads by reflection, which takes {2 * least} px"
        )


LTX2_VIDEO = Ltx2Video()
