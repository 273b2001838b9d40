"""diffusers' AutoencoderTiny: TAESD and its kin. Source: diffusers/models/autoencoders/autoencoder_tiny.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.record import Case
from bench.workloads.vae_classes.base import Geometry, VaeSpec
from bench.workloads.vae_classes.overlap_factor import OverlapFactor

if TYPE_CHECKING:
    import torch

#: Channels of the result of each operation in tiles, whatever the model has.
_TILED_CHANNELS = {"encode": 4, "decode": 3}


class AutoencoderTiny(OverlapFactor):
    """An autoencoder without a bottleneck of attention, whose tiles are put together in float32.

    With a tile it goes by tiles even if the image is smaller than one. It counts the pixels of a latent pixel as 2 to
    the power of the image's channels, which is 8, as published models have.
    """

    name = "AutoencoderTiny"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        "encoder_block_out_channels": [64, 64, 64, 64],
        "decoder_block_out_channels": [64, 64, 64, 64],
        "act_fn": "relu",
        "upsample_fn": "nearest",
        "latent_channels": 4,
        "upsampling_scaling_factor": 2,
        "num_encoder_blocks": [1, 3, 3, 3],
        "num_decoder_blocks": [3, 3, 3, 1],
    }
    variants = ("channels-last", "sliced")

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the first halves the image."""
        return Geometry(2 ** (len(config["encoder_block_out_channels"]) - 1), config["latent_channels"])

    def image_channels(self, config: Mapping[str, Any]) -> int:
        channels: int = config["in_channels"]
        return channels

    def is_tiled(self, case: Case) -> bool:
        return case.tile is not None

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        refusal = super().tile_refusal(spec, case)
        if refusal or case.tile is None:
            return refusal
        config, factor = spec.config, spec.spatial_factor
        if factor != 2 ** config["out_channels"]:
            return f"{self.name} can't run {spec.key} in tiles: diffusers takes a latent pixel for 8 pixels"
        key = "latent_channels" if case.operation == "encode" else "out_channels"
        channels = _TILED_CHANNELS[case.operation]
        if config[key] != channels:
            return (
                f"{self.name} can't {case.operation} {spec.key} in tiles: diffusers puts them together with {channels} "
                f"channels, and it has {config[key]}"
            )
        # the weights of a blend go up from 0 to 1 in the overlap's latent pixels less one, or in its pixels less one
        least = 2 * factor if case.operation == "encode" else factor
        if case.tile.overlap < least:
            return f"{self.name} needs an overlap of {least} px or more to {case.operation} in tiles"
        return ""

    def encode(self, module: Any, images: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = module.encode(images).latents
        return latents


AUTOENCODER_TINY = AutoencoderTiny()
