"""diffusers' AutoencoderKLFlux2: FLUX.2. Source: diffusers/models/autoencoders/autoencoder_kl_flux2.py.

The pipeline packs 2x2 latent pixels and normalises them by the statistics of `bn`. Encode and decode do neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.workloads.vae_classes.argument_types import Count, each
from bench.workloads.vae_classes.autoencoder_kl import AutoencoderKl, levels


class AutoencoderKlFlux2(AutoencoderKl):
    """AutoencoderKL with more latent channels, and perhaps with other channels in the decoder."""

    name = "AutoencoderKLFlux2"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        **levels(128, 256, 512, 512),
        "decoder_block_out_channels": None,
        "layers_per_block": 2,
        "act_fn": "silu",
        "latent_channels": 32,
        "norm_num_groups": 32,
        "use_quant_conv": True,
        "use_post_quant_conv": True,
        "mid_block_add_attention": True,
        "patch_size": [2, 2],
    }
    scaling: ClassVar[Mapping[str, Any]] = {}
    sizes: ClassVar[Mapping[str, Any]] = {"sample_size": 1024}
    unread = frozenset({"batch_norm_eps", "batch_norm_momentum"})
    types: ClassVar[Mapping[str, Any]] = {**AutoencoderKl.types, "decoder_block_out_channels": each(Count) | None}


AUTOENCODER_KL_FLUX2 = AutoencoderKlFlux2()
