"""The VAE of FLUX.2, and the same encoder with a smaller decoder for the same latents.

Latents are not scaled by a factor: the pipeline normalises them by statistics in the checkpoint.
Source of the smaller decoder's channels: the card and config.json of black-forest-labs/FLUX.2-small-decoder.
"""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl import levels
from bench.workloads.vae_classes.autoencoder_kl_flux2 import AUTOENCODER_KL_FLUX2
from bench.workloads.vae_classes.vae_class import VaeSpec

MODELS = [
    VaeSpec(
        key="flux2",
        title="FLUX.2",
        # other pipelines with the same VAE
        aliases=("flux2-dev", "flux2-klein", "ernie-image"),
        vae_class=AUTOENCODER_KL_FLUX2,
        hub_id="black-forest-labs/FLUX.2-klein-4B",
        hub_subfolder="vae",
        dtype="bfloat16",
        tile=Tile.of(1024),
        parameters=84_046_115,
        order=5,
    ),
    VaeSpec(
        key="flux2-small-decoder",
        title="FLUX.2 small decoder",
        vae_class=AUTOENCODER_KL_FLUX2,
        arguments={"decoder_block_out_channels": [96, 192, 384, 384]},
        hub_id="black-forest-labs/FLUX.2-small-decoder",
        dtype="bfloat16",
        tile=Tile.of(1024),
        parameters=62_373_091,
        latent_space="flux2",
        order=5,
    ),
    VaeSpec(
        key="tiny-flux2",
        title="Tiny FLUX.2",
        vae_class=AUTOENCODER_KL_FLUX2,
        arguments={
            **levels(32, 64),
            "decoder_block_out_channels": [16, 32],
            "layers_per_block": 1,
            "latent_channels": 8,
            "norm_num_groups": 8,
        },
        dtype="float32",
        tile=Tile.of(64),
        parameters=364_299,
        order=9,
    ),
]
