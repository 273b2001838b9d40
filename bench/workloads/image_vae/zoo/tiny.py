"""A VAE with few layers, which runs the real code path in milliseconds: for tests and first steps."""

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl import AUTOENCODER_KL, levels
from bench.workloads.vae_classes.vae_class import VaeSpec

MODEL = VaeSpec(
    key="tiny",
    title="Tiny",
    vae_class=AUTOENCODER_KL,
    arguments={**levels(32, 64), "norm_num_groups": 8},
    scaling_factor=1.0,
    dtype="float32",
    tile=Tile.of(64),
    parameters=658_375,
    order=9,
)
