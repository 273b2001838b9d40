"""diffusers' AutoencoderKLHunyuanImage: HunyuanImage 2.1.

Source: diffusers/models/autoencoders/autoencoder_kl_hunyuanimage.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.record import Case
from bench.workloads.vae_classes.argument_types import Count, Layers, each
from bench.workloads.vae_classes.autoencoder_kl import AutoencoderKl
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec

#: Channels are normalised in this many groups.
_GROUPS = 32


class AutoencoderKlHunyuanImage(AutoencoderKl):
    """The tiles of AutoencoderKL around another encoder and decoder. Most arguments have no default."""

    name = "AutoencoderKLHunyuanImage"
    defaults: ClassVar[Mapping[str, Any]] = {"downsample_match_channel": True, "upsample_match_channel": True}
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": None}
    sizes: ClassVar[Mapping[str, Any]] = {"sample_size": 384}  # the published one, because diffusers has no default
    types: ClassVar[Mapping[str, Any]] = {
        "in_channels": Count,
        "out_channels": Count,
        "latent_channels": Count,
        "block_out_channels": each(Count),
        "layers_per_block": Layers,
        "spatial_compression_ratio": Count,
    }

    def contradiction(self, config: Mapping[str, Any]) -> str:
        levels, ratio, latents = (
            config[key] for key in ("block_out_channels", "spatial_compression_ratio", "latent_channels")
        )
        if ratio & (ratio - 1) or ratio > 2 ** (len(levels) - 1):
            return f"`spatial_compression_ratio` of {ratio} is not what {len(levels)} `block_out_channels` compress to"
        for channels in levels:
            if channels % _GROUPS:
                return f"`block_out_channels` has {channels}, which is not a multiple of {_GROUPS}"
        if levels[-1] % (2 * latents):
            return f"`latent_channels` of {latents}, twice, does not divide {levels[-1]} channels"
        return ""

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        return Geometry(config["spatial_compression_ratio"], config["latent_channels"])

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        if case.operation == "encode" and self.is_tiled(case):
            return f"{self.name} can't encode in tiles: diffusers' tiled_encode takes only tensors with frames"
        return super().tile_refusal(spec, case)

    def build_arguments(self, spec: VaeSpec) -> dict[str, Any]:
        return {**super().build_arguments(spec), "sample_size": spec.tile.tile}

    def told_arguments(self, spec: VaeSpec) -> dict[str, Any]:
        return {**super().told_arguments(spec), "sample_size": spec.tile.tile}


AUTOENCODER_KL_HUNYUAN_IMAGE = AutoencoderKlHunyuanImage()
