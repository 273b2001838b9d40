"""The tiny autoencoders of madebyollin, which decode the latents of larger VAEs, scaled as diffusion has them."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_tiny import AUTOENCODER_TINY
from bench.workloads.vae_classes.vae_class import VaeSpec


def _published(key: str, title: str, latents_of: str, latent_channels: int, parameters: int) -> VaeSpec:
    return VaeSpec(
        key=key,
        title=title,
        vae_class=AUTOENCODER_TINY,
        arguments={"latent_channels": latent_channels},
        hub_id=f"madebyollin/{key}",
        scaling_factor=1.0,
        dtype="float16",
        tile=Tile(tile=512, overlap=64),
        parameters=parameters,
        latent_space=latents_of,
        order=8,
    )


MODELS = [
    _published("taesd", "TAESD", "sd-v1", latent_channels=4, parameters=2_445_063),
    _published("taesdxl", "TAESDXL", "sdxl", latent_channels=4, parameters=2_445_063),
    _published("taesd3", "TAESD3", "sd3", latent_channels=16, parameters=2_458_899),
    _published("taef1", "TAEF1", "flux", latent_channels=16, parameters=2_458_899),
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
        parameters=71_559,
        order=9,
    ),
]
