"""diffusers' AutoencoderDC: Sana. Source: diffusers/models/autoencoders/autoencoder_dc.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from bench.record import Tile
from bench.workloads.base import Shape
from bench.workloads.vae_classes.argument_types import Count, Text, each
from bench.workloads.vae_classes.strided_tiles import StridedTiles
from bench.workloads.vae_classes.vae_class import IMAGE_VARIANTS, Geometry, VaeSpec

if TYPE_CHECKING:
    import torch

_CHANNELS = (128, 256, 512, 512, 1024, 1024)
_MULTISCALES: tuple[tuple[int, ...], ...] = ((), (), (), (5,), (5,), (5,))
_HALVES = ("encoder", "decoder")
_WITH_ATTENTION = "EfficientViTBlock"


def _one_or_each(inner: Any) -> Any:
    return inner | each(inner)


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
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 1.0}
    types: ClassVar[Mapping[str, Any]] = {
        **{f"{half}_block_types": _one_or_each(Literal["ResBlock", "EfficientViTBlock"]) for half in _HALVES},
        **{f"{half}_layers_per_block": each(Annotated[int, Field(ge=0, le=64)]) for half in _HALVES},
        **{f"{half}_qkv_multiscales": each(each(Count, least=0)) for half in _HALVES},
        "decoder_norm_types": _one_or_each(Text),
        "decoder_act_fns": _one_or_each(Text),
    }
    tile = Tile(tile=512, overlap=64)
    variants = IMAGE_VARIANTS
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 2, "blend_h": 3}

    def contradiction(self, config: Mapping[str, Any]) -> str:
        count = len(config["encoder_block_out_channels"])
        for key, values in config.items():
            if key.startswith(_HALVES) and isinstance(values, list) and len(values) != count:
                return f"`{key}` has length {len(values)}, but `encoder_block_out_channels` has length {count}"
        for half in _HALVES:  # a level without layers does not halve the image, but for the first
            if not all(config[f"{half}_layers_per_block"][1:]):
                return f"`{half}_layers_per_block` has a level without layers after the first"
        return ""

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the last halves the image."""
        return Geometry(2 ** (len(config["encoder_block_out_channels"]) - 1), config["latent_channels"])

    has_trace = True
    has_moments = False

    def kind_of_pass(self, spec: VaeSpec, operation: str, shape: Shape) -> int:
        """How many levels compute attention in the usual way.

        They do if they have no more pixels than a head has values (`use_linear_attention`). Negative for a batch that
        is one pixel high or wide, whose strides torch regards as several layouts'.
        """
        unit, half = (spec.spatial_factor, "encoder") if operation == "encode" else (1, "decoder")
        pixels = shape[-2] // unit * (shape[-1] // unit)
        types = spec.config[f"{half}_block_types"]
        blocks = [types] * len(spec.config[f"{half}_block_out_channels"]) if isinstance(types, str) else types
        sizes = [pixels * 4**above for above, block in enumerate(reversed(blocks)) if block == _WITH_ATTENTION]
        levels: int = sum(size <= int(spec.config["attention_head_dim"]) for size in sizes)
        return -levels if shape[0] > 1 and pixels > 1 and unit in shape[-2:] else levels

    def encode(self, module: Any, images: torch.Tensor) -> torch.Tensor:
        latent: torch.Tensor = module.encode(images).latent
        return latent


AUTOENCODER_DC = AutoencoderDc()
