"""Wan 2.1: a video from a text, by its smaller model (1.3 billion parameters).

Arguments of the transformer: those of diffusers' conversion script for `Wan-T2V-1.3B`. Scheduler: UniPC, as in
diffusers' example, with its shift for 480p. Size, frames and steps: defaults of the pipeline. The VAE is loaded in
float32, as in that example.
"""

from bench.workloads.pipeline.pipeline_spec import Denoiser, PipelineSpec, Scheduler, TextEncoder

_SCHEDULER = Scheduler(
    "UniPCMultistepScheduler",
    {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "num_train_timesteps": 1000, "flow_shift": 3.0},
)

MODELS = [
    PipelineSpec(
        key="wan-2.1-t2v",
        title="Wan 2.1 t2v",
        aliases=("wan-2.1-t2v-1.3b",),
        class_name="WanPipeline",
        text_encoders=(TextEncoder("text_encoder", "umt5-xxl", tokens=512, prompts=2),),
        denoiser=Denoiser(
            "transformer",
            "WanTransformer3DModel",
            1_418_996_800,
            {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
            calls=2,
        ),
        embeddings={"prompt_embeds": (512, 4096), "negative_prompt_embeds": (512, 4096)},
        vae="wan-2.1",
        vae_dtype="float32",
        scheduler=_SCHEDULER,
        hub_id="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        dtype="bfloat16",
        size=(832, 480),
        frames=81,
        fps=16,
        multiple=16,
        steps=50,
    ),
    PipelineSpec(
        key="tiny-wan-2.1-t2v",
        title="Tiny Wan 2.1 t2v",
        class_name="WanPipeline",
        text_encoders=(TextEncoder("text_encoder", "tiny-umt5-xxl", tokens=512, prompts=2),),
        denoiser=Denoiser(
            "transformer",
            "WanTransformer3DModel",
            25_744,
            {
                "num_attention_heads": 2,
                "attention_head_dim": 16,
                "in_channels": 4,
                "out_channels": 4,
                "text_dim": 64,
                "freq_dim": 32,
                "ffn_dim": 64,
                "num_layers": 1,
            },
            calls=2,
        ),
        embeddings={"prompt_embeds": (512, 64), "negative_prompt_embeds": (512, 64)},
        vae="tiny-wan",
        vae_dtype="float32",
        scheduler=_SCHEDULER,
        size=(64, 64),
        frames=5,
        fps=16,
        multiple=16,
        steps=2,
    ),
]
