"""The VAE of FLUX.1: sixteen latent channels, no quantisation convolutions."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl import AUTOENCODER_KL, levels
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="flux",
    title="Flux",
    also_titled=("FLUX.1", "FLUX.1-schnell"),
    # other pipelines with the same VAE
    aliases=("flux1", "flux-kontext", "z-image", "chroma", "lumina2", "hidream"),
    vae_class=AUTOENCODER_KL,
    arguments={
        **levels(128, 256, 512, 512),
        "layers_per_block": 2,
        "latent_channels": 16,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    },
    is_featured=True,
    hub_id="black-forest-labs/FLUX.1-schnell",
    hub_subfolder="vae",
    scaling_factor=0.3611,
    shift_factor=0.1159,
    dtype="bfloat16",
    risks={"float16": "Flux's VAE gives black images on cards without bfloat16 (Turing and older); float32 does not"},
    tile=Tile.of(1024),
    parameters=83_819_683,
    order=3,
)
