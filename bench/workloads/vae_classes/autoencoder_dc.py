"""diffusers' AutoencoderDC: Sana. Source: diffusers/models/autoencoders/autoencoder_dc.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.workloads.base import Shape
from bench.workloads.vae_classes.base import Geometry, VaeSpec
from bench.workloads.vae_classes.strided_tiles import StridedTiles

if TYPE_CHECKING:
    import torch

_CHANNELS = (128, 256, 512, 512, 1024, 1024)
_MULTISCALES: tuple[tuple[int, ...], ...] = ((), (), (), (5,), (5,), (5,))


class AutoencoderDc(StridedTiles):
    """A deterministic autoencoder with linear attention: the latent is the encoder's output itself.

    Its encode pads tiles to whole latent pixels. That never happens here, because tiles in parts of latent pixels are
    refused: the parts that the tiles take in the latent would not add up to its size.
    """

    name = "AutoencoderDC"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "latent_channels": 32,
        "attention_head_dim": 32,
        "encoder_block_types": "ResBlock",
        "decoder_block_types": "ResBlock",
        "encoder_block_out_channels": list(_CHANNELS),
        "decoder_block_out_channels": list(_CHANNELS),
        "encoder_layers_per_block": [2, 2, 2, 3, 3, 3],
        "decoder_layers_per_block": [3, 3, 3, 3, 3, 3],
        "encoder_qkv_multiscales": [list(scales) for scales in _MULTISCALES],
        "decoder_qkv_multiscales": [list(scales) for scales in _MULTISCALES],
        "upsample_block_type": "pixel_shuffle",
        "downsample_block_type": "pixel_unshuffle",
        "decoder_norm_types": "rms_norm",
        "decoder_act_fns": "silu",
        "encoder_out_shortcut": True,
        "decoder_in_shortcut": True,
        "decoder_conv_act_fn": "relu",
    }
    variants = ("channels-last", "sliced")
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 2, "blend_h": 3}

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the last halves the image."""
        return Geometry(2 ** (len(config["encoder_block_out_channels"]) - 1), config["latent_channels"])

    def image_channels(self, config: Mapping[str, Any]) -> int:
        channels: int = config["in_channels"]
        return channels

    has_trace = True
    has_moments = False

    def has_template(self, spec: VaeSpec, operation: str, shape: Shape) -> bool:
        """With fewer pixels than a head has values, attention is computed in the usual way (`use_linear_attention`)."""
        unit = spec.spatial_factor if operation == "encode" else 1
        smallest = shape[-2] // unit * (shape[-1] // unit)
        return smallest > int(spec.config["attention_head_dim"])

    def encode(self, module: Any, images: torch.Tensor) -> torch.Tensor:
        latent: torch.Tensor = module.encode(images).latent
        return latent


AUTOENCODER_DC = AutoencoderDc()
