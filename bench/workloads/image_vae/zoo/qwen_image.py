"""The VAE of Qwen-Image. Latents are scaled by a mean and a deviation for each channel, which the class has."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl_qwen_image import AUTOENCODER_KL_QWEN_IMAGE
from bench.workloads.vae_classes.vae_class import VaeSpec

MODELS = [
    VaeSpec(
        key="qwen-image",
        title="Qwen-Image",
        aliases=("qwen-image-edit", "qwen-image-edit-plus"),
        vae_class=AUTOENCODER_KL_QWEN_IMAGE,
        hub_id="Qwen/Qwen-Image",
        hub_subfolder="vae",
        dtype="bfloat16",
        tile=Tile(tile=256, overlap=64),
        parameters=126_892_531,
        order=6,
    ),
    VaeSpec(
        key="tiny-qwen-image",
        title="Tiny Qwen-Image",
        vae_class=AUTOENCODER_KL_QWEN_IMAGE,
        arguments={"base_dim": 16, "z_dim": 4, "dim_mult": [1, 2, 2, 2], "num_res_blocks": 1},
        statistics={"latents_mean": [0.0] * 4, "latents_std": [1.0] * 4},
        dtype="float32",
        tile=Tile(tile=64, overlap=16),
        parameters=797_271,
        order=9,
    ),
]
