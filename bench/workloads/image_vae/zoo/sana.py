"""The autoencoder of Sana, DC-AE f32c32. Source of its arguments: its config.json for diffusers."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_dc import AUTOENCODER_DC
from bench.workloads.vae_classes.vae_class import VaeSpec

_BLOCKS = ["ResBlock"] * 3 + ["EfficientViTBlock"] * 3

MODELS = [
    VaeSpec(
        key="sana",
        title="Sana",
        also_titled=("DC-AE",),
        # Sana Sprint has the same decoder with other weights, version 1.1
        aliases=("sana-sprint", "dc-ae-f32c32-sana-1.0"),
        vae_class=AUTOENCODER_DC,
        arguments={
            "encoder_block_types": _BLOCKS,
            "decoder_block_types": _BLOCKS,
            "upsample_block_type": "interpolate",
            "downsample_block_type": "Conv",
        },
        hub_id="mit-han-lab/dc-ae-f32c32-sana-1.0-diffusers",
        scaling_factor=0.41407,
        dtype="float16",
        tile=Tile(tile=512, overlap=64),
        parameters=312_250_275,
        order=7,
    ),
    VaeSpec(
        key="tiny-dc",
        title="Tiny DC",
        vae_class=AUTOENCODER_DC,
        arguments={
            "latent_channels": 8,
            "attention_head_dim": 8,
            "encoder_block_types": ["ResBlock", "EfficientViTBlock"],
            "decoder_block_types": ["ResBlock", "EfficientViTBlock"],
            "encoder_block_out_channels": [16, 32],
            "decoder_block_out_channels": [16, 32],
            "encoder_layers_per_block": [1, 1],
            "decoder_layers_per_block": [1, 1],
            "encoder_qkv_multiscales": [[], [5]],
            "decoder_qkv_multiscales": [[], [5]],
        },
        scaling_factor=1.0,
        dtype="float32",
        tile=Tile(tile=64, overlap=16),
        parameters=81_571,
        order=9,
    ),
]
