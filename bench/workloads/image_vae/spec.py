"""The shape of a zoo entry. Data only: what builds a module from it is `workloads`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: An endpoint of this kind computes images *above* this side (px) in tiles of the zoo's size, others at once.
SERVED_UNTILED_PX = 2048
#: What a precision risks in any model that has another as its own, unless the model's entry says more.
_RISKS = {
    "bfloat16": "bfloat16 keeps 8 bits of each value: smooth gradients may show bands",
    "float16": "float16 overflows above 65504: check that this VAE's weights bear it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderKLSpec:
    """An image VAE of diffusers' AutoencoderKL family.

    Attributes:
        key: name in sweeps and on the command line.
        title: heading of its table in the docs.
        also_titled: other headings under which pages print it.
        hub_id: repository that `weights: hub` loads; None where there is none.
        hub_subfolder: folder of the VAE inside that repository.
        block_out_channels: channels of each resolution level; each level but the last halves the image.
        dtype: the precision that the docs' figures seem to use.
        risks: by precision what it risks in this model, where more is known than `risk` says of any.
        tile: edge in pixels of the tile that `tiling: on` means; neighbours overlap by a quarter of it.
        fault: what the call does instead of running (tests of the harness only), or None.
        order: place in listings.
    """

    key: str
    title: str
    also_titled: tuple[str, ...] = ()
    hub_id: str | None = None
    hub_subfolder: str | None = None
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 4
    norm_num_groups: int = 32
    sample_size: int = 512
    scaling_factor: float
    shift_factor: float | None = None
    quant_convs: bool = True
    dtype: str
    risks: Mapping[str, str] = field(default_factory=dict, hash=False)
    tile: int
    fault: str | None = None
    order: int = 100

    def risk(self, dtype: str) -> str:
        """What computing in a precision risks of the picture; empty for the model's own, and for float32."""
        return "" if dtype == self.dtype else self.risks.get(dtype, _RISKS.get(dtype, ""))

    def size_refusal(self, width: int, height: int) -> str:
        """Why an image of that size in pixels can't be taken, with the nearest that can; empty if it can."""
        factor = self.spatial_factor
        for side in (width, height):
            if side % factor:
                low = side - side % factor
                nearest = f"{low} or {low + factor}" if low else str(factor)
                return f"{side} px is not a multiple of {factor}, which {self.key} needs: try {nearest}"
        return ""

    @property
    def spatial_factor(self) -> int:
        """Image pixels per latent pixel along one side."""
        return int(2 ** (len(self.block_out_channels) - 1))

    @property
    def tile_overlap(self) -> int:
        """Default overlap of neighbouring tiles in pixels: a quarter of the tile, as in diffusers."""
        return self.tile // 4
