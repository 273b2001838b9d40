"""The VAE of Wan 2.1. Arguments: diffusers' conversion script builds its class with the defaults.

float32 as in the model's own example. The latents' mean and deviation are the class's defaults.
"""

from bench.workloads.vae_classes.vae_class import VaeSpec
from bench.workloads.vae_classes.wan import WAN

MODEL = VaeSpec(
    key="wan-2.1",
    title="Wan 2.1",
    # the 14B models of Wan 2.2 have this VAE too; only its 5B model has another
    aliases=("wan", "wan-2.1-1.3b", "wan-2.1-14b", "wan-2.2-14b", "wan-2.2-a14b", "skyreels-v2"),
    vae_class=WAN,
    hub_id="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    hub_subfolder="vae",
    dtype="float32",
    tile=WAN.tile,
    frames=81,
    parameters=126_892_531,
    size=(832, 480),
    fps=16,
    order=103,
)
