"""The VAE of FLUX.1: sixteen latent channels, no quantisation convolutions."""

from bench.workloads.image_vae.spec import ImageVaeSpec

MODEL = ImageVaeSpec(
    key="flux",
    title="Flux",
    also_titled=("FLUX.1", "FLUX.1-schnell"),
    # other pipelines with the same VAE
    aliases=("flux1", "z-image", "chroma", "lumina2"),
    hub_id="black-forest-labs/FLUX.1-schnell",
    hub_subfolder="vae",
    latent_channels=16,
    sample_size=1024,
    scaling_factor=0.3611,
    shift_factor=0.1159,
    quant_convs=False,
    dtype="bfloat16",
    risks={"float16": "Flux's VAE gives black images on cards without bfloat16 (Turing and older); float32 does not"},
    tile=1024,
    order=3,
)
