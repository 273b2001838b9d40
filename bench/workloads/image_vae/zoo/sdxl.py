"""The VAE of Stable Diffusion XL. float32: the original has `force_upcast`, and the docs' figures look like it."""

from bench.workloads.image_vae.spec import ImageVaeSpec

MODEL = ImageVaeSpec(
    key="sdxl",
    title="SDXL",
    also_titled=("SD XL", "Stable Diffusion XL"),
    # pipelines that load this very VAE, whatever their denoiser is
    aliases=("sdxl-turbo", "pixart-sigma", "kolors"),
    hub_id="madebyollin/sdxl-vae-fp16-fix",
    sample_size=1024,
    scaling_factor=0.13025,
    dtype="float32",
    risks={
        "float16": "SDXL's original VAE overflows in float16 (black images), madebyollin/sdxl-vae-fp16-fix does not",
    },
    tile=1024,
    order=2,
)
