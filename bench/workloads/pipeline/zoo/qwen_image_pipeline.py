"""Qwen-Image: an image from a text, with guidance by a second pass.

Arguments of the transformer: diffusers' defaults. Scheduler: that of the model's own example (assumed: its config.json
could not be read). Steps, and at most 512 tokens: defaults of the pipeline, whose prompt template adds 34 tokens before
the prompt and cuts them off afterwards. Size: the pipeline's default. The negative prompt is that of its example.
"""

from bench.workloads.pipeline.pipeline_spec import Denoiser, PipelineSpec, Scheduler, TextEncoder

_SCHEDULER = Scheduler(
    "FlowMatchEulerDiscreteScheduler",
    {
        "base_shift": 0.5,
        "max_shift": 0.9,
        "base_image_seq_len": 256,
        "max_image_seq_len": 8192,
        "shift_terminal": 0.02,
        "time_shift_type": "exponential",
        "use_dynamic_shifting": True,
    },
)

MODELS = [
    PipelineSpec(
        key="qwen-image-txt2img",
        title="Qwen-Image txt2img",
        class_name="QwenImagePipeline",
        text_encoders=(TextEncoder("text_encoder", "qwen2.5-vl-7b", tokens=512, prompts=2, words=507),),
        denoiser=Denoiser("transformer", "QwenImageTransformer2DModel", 20_430_401_088, calls=2),
        embeddings={"prompt_embeds": (512, 3584), "negative_prompt_embeds": (6, 3584)},
        vae="qwen-image",
        scheduler=_SCHEDULER,
        hub_id="Qwen/Qwen-Image",
        dtype="bfloat16",
        size=(1024, 1024),
        multiple=16,
        steps=50,
        negative_prompt=" ",
    ),
    PipelineSpec(
        key="tiny-qwen-image-txt2img",
        title="Tiny Qwen-Image txt2img",
        class_name="QwenImagePipeline",
        text_encoders=(TextEncoder("text_encoder", "tiny-qwen2.5-vl-7b", tokens=512, prompts=2, words=507),),
        denoiser=Denoiser(
            "transformer",
            "QwenImageTransformer2DModel",
            52_496,
            {
                "in_channels": 16,
                "out_channels": 4,
                "num_layers": 1,
                "attention_head_dim": 16,
                "num_attention_heads": 2,
                "joint_attention_dim": 64,
                "axes_dims_rope": [4, 4, 8],
            },
            calls=2,
        ),
        embeddings={"prompt_embeds": (512, 64), "negative_prompt_embeds": (6, 64)},
        vae="tiny-qwen-image",
        scheduler=_SCHEDULER,
        size=(128, 128),
        multiple=16,
        steps=2,
        negative_prompt=" ",
    ),
]
