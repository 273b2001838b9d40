"""FLUX.1 [dev]: an image from a text.

Arguments of the transformer: diffusers' defaults, with the embedding of the guidance that [dev] has and [schnell] has
not. Scheduler: that of diffusers' conversion of [dev] (assumed: its config.json could not be read). Size and steps:
defaults of the pipeline.
"""

from bench.workloads.pipeline.pipeline_spec import Denoiser, PipelineSpec, Scheduler, TextEncoder

_SCHEDULER = Scheduler("FlowMatchEulerDiscreteScheduler", {"shift": 3.0, "use_dynamic_shifting": True})

MODELS = [
    PipelineSpec(
        key="flux-txt2img",
        title="Flux txt2img",
        aliases=("flux-dev-txt2img",),
        class_name="FluxPipeline",
        text_encoders=(
            TextEncoder("text_encoder", "clip-l", tokens=77),
            TextEncoder("text_encoder_2", "t5-xxl", tokens=512),
        ),
        denoiser=Denoiser("transformer", "FluxTransformer2DModel", 11_901_408_320, {"guidance_embeds": True}),
        embeddings={"prompt_embeds": (512, 4096), "pooled_prompt_embeds": (768,)},
        vae="flux",
        scheduler=_SCHEDULER,
        hub_id="black-forest-labs/FLUX.1-dev",
        dtype="bfloat16",
        size=(1024, 1024),
        multiple=16,
        steps=28,
    ),
    PipelineSpec(
        key="tiny-flux-txt2img",
        title="Tiny Flux txt2img",
        class_name="FluxPipeline",
        text_encoders=(
            TextEncoder("text_encoder", "tiny-clip-l", tokens=77),
            TextEncoder("text_encoder_2", "tiny-t5-xxl", tokens=512),
        ),
        denoiser=Denoiser(
            "transformer",
            "FluxTransformer2DModel",
            83_712,
            {
                "num_layers": 1,
                "num_single_layers": 1,
                "attention_head_dim": 16,
                "num_attention_heads": 2,
                "joint_attention_dim": 64,
                "pooled_projection_dim": 64,
                "guidance_embeds": True,
                "axes_dims_rope": [4, 4, 8],
            },
        ),
        embeddings={"prompt_embeds": (512, 64), "pooled_prompt_embeds": (64,)},
        vae="tiny-flux",
        scheduler=_SCHEDULER,
        size=(128, 128),
        multiple=16,
        steps=2,
    ),
]
