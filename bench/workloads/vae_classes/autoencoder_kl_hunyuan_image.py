"""diffusers' AutoencoderKLHunyuanImage: HunyuanImage 2.1.

Source: diffusers/models/autoencoders/autoencoder_kl_hunyuanimage.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.record import Case
from bench.workloads.vae_classes.autoencoder_kl import AutoencoderKl
from bench.workloads.vae_classes.base import Geometry, VaeSpec


class AutoencoderKlHunyuanImage(AutoencoderKl):
    """The tiles of AutoencoderKL around another encoder and decoder. Most arguments have no default."""

    name = "AutoencoderKLHunyuanImage"
    defaults: ClassVar[Mapping[str, Any]] = {"downsample_match_channel": True, "upsample_match_channel": True}

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        return Geometry(config["spatial_compression_ratio"], config["latent_channels"])

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        if case.operation == "encode" and self.is_tiled(case):
            return f"{self.name} can't encode in tiles: diffusers' tiled_encode takes only tensors with frames"
        return super().tile_refusal(spec, case)

    def build_arguments(self, spec: VaeSpec) -> dict[str, Any]:
        return {**super().build_arguments(spec), "sample_size": spec.tile.tile}


AUTOENCODER_KL_HUNYUAN_IMAGE = AutoencoderKlHunyuanImage()
