"""The VAE of LTX-Video 0.9.0. Arguments: diffusers' conversion script, which has the class's defaults.

Versions from 0.9.1 on have other layers, and their decoder takes a timestep. Read one of those from its checkpoint.
"""

from bench.workloads.vae_classes.ltx_video import LTX_VIDEO
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="ltx-video",
    title="LTX-Video",
    aliases=("ltx-video-0.9", "ltx-video-0.9.0"),
    vae_class=LTX_VIDEO,
    hub_id="Lightricks/LTX-Video",
    hub_subfolder="vae",
    scaling_factor=1.0,
    dtype="bfloat16",
    tile=LTX_VIDEO.tile,
    frames=161,
    parameters=419_193_649,
    size=(704, 512),
    fps=25,
    order=105,
)
