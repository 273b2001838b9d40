"""The VAE of HunyuanVideo 1.5.

Arguments assumed: the defaults of diffusers' class, which was written for this model.
"""

from bench.workloads.vae_classes.hunyuan_video_15 import HUNYUAN_VIDEO_15
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="hunyuan-video-1.5",
    title="HunyuanVideo 1.5",
    vae_class=HUNYUAN_VIDEO_15,
    hub_id="hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
    hub_subfolder="vae",
    scaling_factor=1.03682,
    dtype="float16",
    tile=HUNYUAN_VIDEO_15.tile,
    frames=121,
    parameters=1_260_634_115,
    size=(848, 480),
    fps=24,
    order=102,
)
