"""A small model of each class, which runs the real code path on a CPU: for tests and first steps."""

from typing import Any

from bench.record import Tile
from bench.workloads.vae_classes.cogvideox import COGVIDEOX
from bench.workloads.vae_classes.hunyuan_video import HUNYUAN_VIDEO
from bench.workloads.vae_classes.hunyuan_video_15 import HUNYUAN_VIDEO_15
from bench.workloads.vae_classes.ltx2_video import LTX2_VIDEO
from bench.workloads.vae_classes.ltx_video import LTX_VIDEO
from bench.workloads.vae_classes.mochi import MOCHI
from bench.workloads.vae_classes.vae_class import VaeClass, VaeSpec
from bench.workloads.vae_classes.wan import WAN


def _tiny(name: str, title: str, vae_class: VaeClass, arguments: dict[str, Any], **fields: Any) -> VaeSpec:
    return VaeSpec(
        key=f"tiny-{name}",
        title=f"Tiny {title}",
        vae_class=vae_class,
        arguments=arguments,
        **{"dtype": "float32", "tile": Tile(tile=64, overlap=16), "frames": 9, **fields},
    )


def _statistics(channels: int) -> dict[str, list[float]]:
    """The mean and deviation of latents that are left as they are."""
    return {"latents_mean": [0.0] * channels, "latents_std": [1.0] * channels}


_LAYERS = {
    "latent_channels": 8,
    "block_out_channels": [16, 32, 32, 32],
    "decoder_block_out_channels": [16, 32, 32, 32],
    "layers_per_block": [1] * 5,
    "decoder_layers_per_block": [1] * 5,
}
_WAN = {"base_dim": 16, "dim_mult": [1, 2, 2, 2], "num_res_blocks": 1}

MODELS = [
    _tiny(
        "hunyuan-video",
        "HunyuanVideo",
        HUNYUAN_VIDEO,
        # as many channels of latents as the full model, so that it takes the latents of diffusers' own remote tests
        {"latent_channels": 16, "block_out_channels": [32, 32, 64, 64], "layers_per_block": 1, "norm_num_groups": 16},
        scaling_factor=1.0,
        parameters=3_063_475,
        order=201,
    ),
    _tiny(
        "hunyuan-video-1.5",
        "HunyuanVideo 1.5",
        HUNYUAN_VIDEO_15,
        {"latent_channels": 8, "block_out_channels": [16, 32, 32, 32, 32], "layers_per_block": 1},
        scaling_factor=1.0,
        parameters=1_586_667,
        order=202,
    ),
    _tiny("wan", "Wan", WAN, {**_WAN, "z_dim": 4}, statistics=_statistics(4), parameters=797_271, order=203),
    _tiny(
        "wan-2.2",
        "Wan 2.2",
        WAN,
        {
            **_WAN,
            "decoder_base_dim": 24,
            "z_dim": 8,
            "is_residual": True,
            "in_channels": 12,
            "out_channels": 12,
            "patch_size": 2,
            "scale_factor_spatial": 16,
        },
        statistics=_statistics(8),
        parameters=1_522_300,
        order=204,
    ),
    _tiny(
        "ltx-video",
        "LTX-Video",
        LTX_VIDEO,
        _LAYERS,
        scaling_factor=1.0,
        tile=Tile(tile=96, overlap=32),
        parameters=1_150_921,
        order=205,
    ),
    _tiny(
        "ltx-2",
        "LTX-2",
        LTX2_VIDEO,
        {
            **_LAYERS,
            "block_out_channels": [16, 32, 64, 128],
            "decoder_block_out_channels": [16, 32, 64],
            "decoder_layers_per_block": [1] * 4,
            "decoder_causal": False,
            "spatial_compression_ratio": 32,
            "temporal_compression_ratio": 8,
        },
        scaling_factor=1.0,
        tile=Tile(tile=96, overlap=32),
        parameters=2_162_221,
        order=206,
    ),
    _tiny(
        "cogvideox",
        "CogVideoX",
        COGVIDEOX,
        {"latent_channels": 4, "block_out_channels": [16, 32, 32, 32], "layers_per_block": 1, "norm_num_groups": 8},
        scaling_factor=1.0,
        tile=Tile(tile=48, overlap=16, height=32, overlap_height=8),
        parameters=825_019,
        order=207,
    ),
    _tiny(
        "mochi",
        "Mochi",
        MOCHI,
        {
            "encoder_block_out_channels": [32] * 4,
            "decoder_block_out_channels": [32] * 4,
            "latent_channels": 4,
            "layers_per_block": [1] * 5,
        },
        statistics=_statistics(4),
        frames=7,
        parameters=622_755,
        order=208,
    ),
]
