"""The facts about an image VAE, from which `module` builds one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.workloads.base import Spec

#: diffusers' class of the VAEs in this folder.
CLASS = "AutoencoderKL"
#: The risk of a precision that is not the model's default, unless the model's entry says more.
_RISKS = {
    "bfloat16": "bfloat16 keeps 8 bits of each value: smooth gradients may show bands",
    "float16": "float16 overflows above 65504: check that this VAE's weights tolerate it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVaeSpec(Spec):
    """An image VAE of diffusers' AutoencoderKL family. `dtype` is the precision that the docs apparently used.

    Attributes:
        hub_subfolder: folder of the VAE inside the hub's repository.
        block_out_channels: channels of each resolution level; each level except the last halves the image.
        details: arguments of diffusers' class that differ from what the other fields say, as a checkpoint may have.
        risks: risks of a precision that are specific to this model.
        tile: edge in pixels of the default tile; neighbours overlap by a quarter of it.
        order: position in listings.
    """

    hub_subfolder: str | None = None
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 4
    norm_num_groups: int = 32
    sample_size: int = 512
    scaling_factor: float
    shift_factor: float | None = None
    quant_convs: bool = True
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    risks: Mapping[str, str] = field(default_factory=dict, hash=False)
    tile: int
    order: int

    def risk(self, dtype: str) -> str:
        """The risk of computing in a precision; empty for the model's default and for float32."""
        return "" if dtype == self.dtype else self.risks.get(dtype, _RISKS.get(dtype, ""))

    def side_refusal(self, side: int) -> str:
        """Why the model can't take a side of this many pixels, with the nearest valid one; empty if it can."""
        factor = self.spatial_factor
        if side > 0 and side % factor == 0:
            return ""
        low = max(side - side % factor, 0)
        nearest = f"{low} or {low + factor}" if low else str(factor)
        multiple = "multiple" if side > 0 else "positive multiple"
        return f"{side} px is not a {multiple} of {factor}, which {self.key} needs: try {nearest}"

    @property
    def spatial_factor(self) -> int:
        """Image pixels per latent pixel along one side."""
        return int(2 ** (len(self.block_out_channels) - 1))

    @property
    def config(self) -> dict[str, Any]:
        """The arguments of diffusers' class that decide what a call computes, as in a checkpoint's config.json."""
        levels = len(self.block_out_channels)
        return {
            "in_channels": 3,
            "out_channels": 3,
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
            "block_out_channels": list(self.block_out_channels),
            "layers_per_block": self.layers_per_block,
            "act_fn": "silu",
            "latent_channels": self.latent_channels,
            "norm_num_groups": self.norm_num_groups,
            "use_quant_conv": self.quant_convs,
            "use_post_quant_conv": self.quant_convs,
            "mid_block_add_attention": True,
            **self.details,
        }

    @property
    def image_channels(self) -> int:
        """Channels of the image that the encoder takes: 3, but for a checkpoint with other ones."""
        channels: int = self.config["in_channels"]
        return channels
