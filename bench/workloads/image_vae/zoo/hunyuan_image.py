"""The VAE of HunyuanImage 2.1. Source of its arguments: the config.json of its checkpoint for diffusers."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl_hunyuan_image import AUTOENCODER_KL_HUNYUAN_IMAGE
from bench.workloads.vae_classes.vae_class import VaeSpec

MODELS = [
    VaeSpec(
        key="hunyuan-image",
        title="HunyuanImage 2.1",
        aliases=("hunyuan-image-2.1",),
        vae_class=AUTOENCODER_KL_HUNYUAN_IMAGE,
        arguments={
            "in_channels": 3,
            "out_channels": 3,
            "latent_channels": 64,
            "block_out_channels": [128, 256, 512, 512, 1024, 1024],
            "layers_per_block": 2,
            "spatial_compression_ratio": 32,
        },
        hub_id="hunyuanvideo-community/HunyuanImage-2.1-Diffusers",
        hub_subfolder="vae",
        scaling_factor=0.75289,
        dtype="float16",
        tile=Tile.of(384),
        parameters=405_575_491,
        order=7,
    ),
    VaeSpec(
        key="tiny-hunyuan-image",
        title="Tiny HunyuanImage",
        vae_class=AUTOENCODER_KL_HUNYUAN_IMAGE,
        arguments={
            "in_channels": 3,
            "out_channels": 3,
            "latent_channels": 8,
            "block_out_channels": [32, 64, 64],
            "layers_per_block": 1,
            "spatial_compression_ratio": 4,
        },
        scaling_factor=1.0,
        dtype="float32",
        tile=Tile.of(64),
        parameters=1_081_811,
        order=9,
    ),
]
