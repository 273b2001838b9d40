"""The tiny autoencoders of madebyollin, which decode the latents of larger VAEs, scaled as diffusion has them."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_tiny import AUTOENCODER_TINY
from bench.workloads.vae_classes.base import VaeSpec


def _published(key: str, title: str, latent_channels: int) -> VaeSpec:
    return VaeSpec(
        key=key,
        title=title,
        vae_class=AUTOENCODER_TINY,
        arguments={"latent_channels": latent_channels},
        hub_id=f"madebyollin/{key}",
        scaling_factor=1.0,
        dtype="float16",
        tile=Tile(tile=512, overlap=64),
        order=8,
    )


MODELS = [
    _published("taesd", "TAESD", latent_channels=4),
    _published("taesdxl", "TAESDXL", latent_channels=4),
    _published("taesd3", "TAESD3", latent_channels=16),
    _published("taef1", "TAEF1", latent_channels=16),
    VaeSpec(
        key="tiny-tae",
        title="Tiny TAE",
        vae_class=AUTOENCODER_TINY,
        arguments={
            "encoder_block_out_channels": [16, 16, 16, 16],
            "decoder_block_out_channels": [16, 16, 16, 16],
            "num_encoder_blocks": [1, 1, 1, 1],
            "num_decoder_blocks": [1, 1, 1, 1],
        },
        scaling_factor=1.0,
        dtype="float32",
        tile=Tile(tile=64, overlap=16),
        order=9,
    ),
]
