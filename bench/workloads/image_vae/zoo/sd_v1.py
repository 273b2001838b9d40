"""The VAE of Stable Diffusion 1.x."""

from bench.workloads.image_vae.spec import ImageVaeSpec

MODEL = ImageVaeSpec(
    key="sd-v1",
    title="SD v1.5",
    also_titled=("SD v1", "Stable Diffusion v1", "Stable Diffusion v1.5"),
    # Stable Diffusion 2 has the same decoder, and PixArt-alpha uses this VAE
    aliases=("sd1.5", "sd-v2", "sd2", "pixart", "pixart-alpha"),
    hub_id="stabilityai/sd-vae-ft-mse",
    scaling_factor=0.18215,
    dtype="float16",
    tile=512,
    order=1,
)
