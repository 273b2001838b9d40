"""The VAE of Stable Diffusion XL. float32 because the original sets `force_upcast`, which the docs' figures match."""

from bench.workloads.image_vae.spec import ImageVaeSpec

MODEL = ImageVaeSpec(
    key="sdxl",
    title="SDXL",
    also_titled=("SD XL", "Stable Diffusion XL"),
    # other pipelines with the same VAE
    aliases=("sdxl-turbo", "pixart-sigma", "kolors"),
    hub_id="madebyollin/sdxl-vae-fp16-fix",
    sample_size=1024,
    scaling_factor=0.13025,
    dtype="float32",
    risks={
        "float16": "SDXL's original VAE overflows in float16 (black images); madebyollin/sdxl-vae-fp16-fix does not"
    },
    tile=1024,
    order=2,
)
