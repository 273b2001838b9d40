"""The shape of a zoo entry. Data only: what builds a module from it is `workloads`."""

from __future__ import annotations

from dataclasses import dataclass

#: An endpoint of this kind computes images *above* this side (px) in tiles of the zoo's size, others at once.
SERVED_UNTILED_PX = 2048


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
        float16_risk: what float16 risks, where `dtype` is float32 and that is known.
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
    float16_risk: str = ""
    tile: int
    fault: str | None = None
    order: int = 100

    @property
    def spatial_factor(self) -> int:
        """Image pixels per latent pixel along one side."""
        return int(2 ** (len(self.block_out_channels) - 1))

    @property
    def tile_overlap(self) -> int:
        """Default overlap of neighbouring tiles in pixels: a quarter of the tile, as in diffusers."""
        return self.tile // 4
