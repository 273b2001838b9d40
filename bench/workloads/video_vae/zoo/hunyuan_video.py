"""The VAE of HunyuanVideo. Arguments assumed: the defaults of diffusers' class, which was written for this model."""

from bench.workloads.vae_classes.hunyuan_video import HUNYUAN_VIDEO
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="hunyuan-video",
    title="HunyuanVideo",
    # other pipelines with the same VAE
    aliases=("framepack", "skyreels-v1"),
    vae_class=HUNYUAN_VIDEO,
    hub_id="hunyuanvideo-community/HunyuanVideo",
    hub_subfolder="vae",
    scaling_factor=0.476986,
    dtype="float16",
    tile=HUNYUAN_VIDEO.tile,
    frames=129,
    parameters=246_478_803,
    size=(1280, 720),
    fps=24,
    order=101,
)
