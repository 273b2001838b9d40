"""The VAEs of tiny pipelines: as few layers as `tiny`, but the space and the scaling of the full models."""

from typing import Any

from bench.record import Tile
from bench.workloads.vae_classes.autoencoder_kl import AUTOENCODER_KL, levels
from bench.workloads.vae_classes.vae_class import VaeSpec

_FEW_LAYERS = {**levels(16, 16, 16, 32), "norm_num_groups": 8}
_SMALL: dict[str, Any] = {"vae_class": AUTOENCODER_KL, "dtype": "float32", "tile": Tile.of(64), "order": 9}

MODELS = [
    VaeSpec(
        key="tiny-sd-v1",
        title="Tiny SD v1.5",
        arguments=_FEW_LAYERS,
        scaling_factor=0.18215,
        parameters=205_463,
        **_SMALL,
    ),
    VaeSpec(
        key="tiny-flux",
        title="Tiny Flux",
        arguments={**_FEW_LAYERS, "latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False},
        scaling_factor=0.3611,
        shift_factor=0.1159,
        parameters=215_763,
        **_SMALL,
    ),
]
