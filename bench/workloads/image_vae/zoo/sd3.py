"""The VAE of Stable Diffusion 3 and 3.5: as Flux's, with another scaling."""

from bench.record import Tile
from bench.workloads.image_vae.zoo.flux import MODEL as FLUX
from bench.workloads.vae_classes.autoencoder_kl import AUTOENCODER_KL
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="sd3",
    title="SD3",
    also_titled=("SD 3", "Stable Diffusion 3", "Stable Diffusion 3.5"),
    aliases=("sd3.5", "stable-diffusion-3"),
    vae_class=AUTOENCODER_KL,
    arguments=FLUX.arguments,
    hub_id="stabilityai/stable-diffusion-3-medium-diffusers",
    hub_subfolder="vae",
    scaling_factor=1.5305,
    shift_factor=0.0609,
    dtype="float16",
    tile=Tile.of(1024),
    parameters=83_819_683,
    order=4,
)
