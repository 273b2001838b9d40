"""Stable Diffusion XL: an image from a text, or from a text and an image.

Arguments of the U-Net: those of the original configuration (`sd_xl_base.yaml`) that diffusers' conversion script
reads. Scheduler: that of the script. Size, steps and strength: defaults of the pipelines. Loaded in float16, as in the
docs' example; the VAE's `force_upcast` makes the pipeline decode in float32.
"""

from typing import Any

from bench.workloads.pipeline.pipeline_spec import Denoiser, PipelineSpec, Scheduler, TextEncoder

_SCHEDULER = Scheduler(
    "EulerDiscreteScheduler",
    {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
        "timestep_spacing": "leading",
    },
)
_BLOCKS = {
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
}
_FULL: dict[str, Any] = {
    "text_encoders": (
        TextEncoder("text_encoder", "clip-l", tokens=77),
        TextEncoder("text_encoder_2", "clip-g", tokens=77),
    ),
    "denoiser": Denoiser(
        "unet",
        "UNet2DConditionModel",
        2_567_463_684,
        {
            **_BLOCKS,
            "sample_size": 128,
            "block_out_channels": [320, 640, 1280],
            "cross_attention_dim": 2048,
            "transformer_layers_per_block": [1, 2, 10],
            "attention_head_dim": [5, 10, 20],
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        batch=2,
    ),
    "embeddings": {
        "prompt_embeds": (77, 2048),
        "negative_prompt_embeds": (77, 2048),
        "pooled_prompt_embeds": (1280,),
        "negative_pooled_prompt_embeds": (1280,),
    },
    "vae": "sdxl",
    "vae_decodes_in": "float32",
    "scheduler": _SCHEDULER,
    "hub_id": "stabilityai/stable-diffusion-xl-base-1.0",
    "dtype": "float16",
    "size": (1024, 1024),
}
_TINY: dict[str, Any] = {
    "text_encoders": (
        TextEncoder("text_encoder", "tiny-clip-l", tokens=77),
        TextEncoder("text_encoder_2", "tiny-clip-g", tokens=77),
    ),
    "denoiser": Denoiser(
        "unet",
        "UNet2DConditionModel",
        2_140_772,
        {
            **_BLOCKS,
            "sample_size": 16,
            "block_out_channels": [32, 64, 64],
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "cross_attention_dim": 128,
            "transformer_layers_per_block": [1, 1, 2],
            "attention_head_dim": [2, 4, 4],
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 112,
        },
        batch=2,
    ),
    "embeddings": {
        "prompt_embeds": (77, 128),
        "negative_prompt_embeds": (77, 128),
        "pooled_prompt_embeds": (64,),
        "negative_pooled_prompt_embeds": (64,),
    },
    "vae": "tiny-sd-v1",
    "vae_decodes_in": "float32",
    "scheduler": _SCHEDULER,
    "size": (128, 128),
}
_FROM_TEXT: dict[str, Any] = {"class_name": "StableDiffusionXLPipeline"}
_FROM_IMAGE: dict[str, Any] = {
    "class_name": "StableDiffusionXLImg2ImgPipeline",
    "strength": 0.3,
    "needs_vae": "StableDiffusionXLImg2ImgPipeline reads the VAE's configuration while it prepares latents",
}

MODELS = [
    PipelineSpec(key="sdxl-txt2img", title="SDXL txt2img", steps=50, **_FULL, **_FROM_TEXT),
    PipelineSpec(key="sdxl-img2img", title="SDXL img2img", steps=50, **_FULL, **_FROM_IMAGE),
    PipelineSpec(key="tiny-sdxl-txt2img", title="Tiny SDXL txt2img", steps=2, **_TINY, **_FROM_TEXT),
    PipelineSpec(key="tiny-sdxl-img2img", title="Tiny SDXL img2img", steps=4, **_TINY, **_FROM_IMAGE),
]
