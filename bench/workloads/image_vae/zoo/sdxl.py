"""The VAE of Stable Diffusion XL. float32 because the original sets `force_upcast`, which the docs' figures match."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl import AUTOENCODER_KL, levels
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="sdxl",
    title="SDXL",
    also_titled=("SD XL", "Stable Diffusion XL"),
    # other pipelines with the same VAE
    aliases=("sdxl-turbo", "pixart-sigma", "kolors", "hunyuan-dit"),
    vae_class=AUTOENCODER_KL,
    arguments={**levels(128, 256, 512, 512), "layers_per_block": 2},
    is_featured=True,
    hub_id="madebyollin/sdxl-vae-fp16-fix",
    scaling_factor=0.13025,
    dtype="float32",
    risks={
        "float16": "SDXL's original VAE overflows in float16 (black images); madebyollin/sdxl-vae-fp16-fix does not"
    },
    tile=Tile.of(1024),
    parameters=83_653_863,
    order=2,
)
