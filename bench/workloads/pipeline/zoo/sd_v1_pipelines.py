"""Stable Diffusion 1.5: an image from a text, or from a text and an image.

Arguments of the U-Net: those of the original configuration (`v1-inference.yaml`) that diffusers' conversion script
reads. Scheduler: that of the script, which is PNDM. The safety checker is left out. Size, steps and strength: defaults
of the pipelines.
"""

from typing import Any

from bench.workloads.pipeline.pipeline_spec import Denoiser, PipelineSpec, Scheduler, TextEncoder

_SCHEDULER = Scheduler(
    "PNDMScheduler",
    {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "skip_prk_steps": True,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    },
    extra_steps=1,
)
_FULL: dict[str, Any] = {
    "text_encoders": (TextEncoder("text_encoder", "clip-l", tokens=77, prompts=2),),
    "denoiser": Denoiser(
        "unet", "UNet2DConditionModel", 859_520_964, {"sample_size": 64, "cross_attention_dim": 768}, batch=2
    ),
    "embeddings": {"prompt_embeds": (77, 768), "negative_prompt_embeds": (77, 768)},
    "vae": "sd-v1",
    "scheduler": _SCHEDULER,
    "hub_id": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "dtype": "float16",
    "size": (512, 512),
}
_TINY: dict[str, Any] = {
    "text_encoders": (TextEncoder("text_encoder", "tiny-clip-l", tokens=77, prompts=2),),
    "denoiser": Denoiser(
        "unet",
        "UNet2DConditionModel",
        803_204,
        {
            "sample_size": 16,
            "block_out_channels": [32, 64],
            "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "cross_attention_dim": 64,
        },
        batch=2,
    ),
    "embeddings": {"prompt_embeds": (77, 64), "negative_prompt_embeds": (77, 64)},
    "vae": "tiny-sd-v1",
    "scheduler": _SCHEDULER,
    "size": (128, 128),
}
_FROM_TEXT: dict[str, Any] = {"class_name": "StableDiffusionPipeline"}
_FROM_IMAGE: dict[str, Any] = {"class_name": "StableDiffusionImg2ImgPipeline", "strength": 0.8}

MODELS = [
    PipelineSpec(
        key="sd-v1-txt2img", title="SD v1.5 txt2img", aliases=("sd1.5-txt2img",), steps=50, **_FULL, **_FROM_TEXT
    ),
    PipelineSpec(
        key="sd-v1-img2img", title="SD v1.5 img2img", aliases=("sd1.5-img2img",), steps=50, **_FULL, **_FROM_IMAGE
    ),
    PipelineSpec(key="tiny-sd-v1-txt2img", title="Tiny SD v1.5 txt2img", steps=2, **_TINY, **_FROM_TEXT),
    PipelineSpec(key="tiny-sd-v1-img2img", title="Tiny SD v1.5 img2img", steps=2, **_TINY, **_FROM_IMAGE),
]
