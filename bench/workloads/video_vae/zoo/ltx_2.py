"""The video VAE of LTX-2, without its audio. Arguments: diffusers' conversion script, version 2.0."""

from bench.workloads.vae_classes.ltx2_video import LTX2_VIDEO
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="ltx-2",
    title="LTX-2",
    aliases=("ltx2",),
    vae_class=LTX2_VIDEO,
    arguments={"decoder_causal": False, "spatial_compression_ratio": 32, "temporal_compression_ratio": 8},
    hub_id="Lightricks/LTX-2",
    hub_subfolder="vae",
    scaling_factor=1.0,
    dtype="bfloat16",
    tile=LTX2_VIDEO.tile,
    frames=121,
    parameters=1_222_479_601,
    size=(768, 512),
    fps=24,
    order=106,
)
