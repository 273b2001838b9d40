"""The VAE of Mochi 1. Arguments assumed: the defaults of diffusers' class, which was written for this model."""

from bench.workloads.vae_classes.mochi import MOCHI
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="mochi",
    title="Mochi 1",
    aliases=("mochi-1",),
    vae_class=MOCHI,
    hub_id="genmo/mochi-1-preview",
    hub_subfolder="vae",
    dtype="bfloat16",
    tile=MOCHI.tile,
    frames=85,
    parameters=459_748_611,
    size=(848, 480),
    fps=30,
    order=109,
)
