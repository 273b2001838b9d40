"""The VAE of Stable Diffusion 1.x."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl import AUTOENCODER_KL, levels
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="sd-v1",
    title="SD v1.5",
    also_titled=("SD v1", "Stable Diffusion v1", "Stable Diffusion v1.5"),
    # Stable Diffusion 2 has the same decoder, and PixArt-alpha uses this VAE
    aliases=("sd1.5", "sd-v2", "sd2", "pixart", "pixart-alpha"),
    vae_class=AUTOENCODER_KL,
    arguments={**levels(128, 256, 512, 512), "layers_per_block": 2},
    is_featured=True,
    hub_id="stabilityai/sd-vae-ft-mse",
    scaling_factor=0.18215,
    dtype="float16",
    tile=Tile.of(512),
    parameters=83_653_863,
    order=1,
)
