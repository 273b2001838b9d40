"""diffusers' AutoencoderKLCogVideoX. Source: diffusers/models/autoencoders/autoencoder_kl_cogvideox.py."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.record import Case, Tile
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec
from bench.workloads.vae_classes.video import VideoVae

#: Frames that the class encodes at a time, and latent frames that it decodes at a time. The first chunk also has the
#: rest, which is one frame at most.
_FRAMES, _LATENTS = 8, 2


class CogVideoX(VideoVae):
    """Computes chunks of frames one after another, and keeps in caches what the next one needs of the one before."""

    name = "AutoencoderKLCogVideoX"
    defaults: ClassVar[Mapping[str, Any]] = {
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ["CogVideoXDownBlock3D"] * 4,
        "up_block_types": ["CogVideoXUpBlock3D"] * 4,
        "block_out_channels": [128, 256, 256, 512],
        "latent_channels": 16,
        "layers_per_block": 3,
        "act_fn": "silu",
        "norm_eps": 1e-6,
        "norm_num_groups": 32,
        "temporal_compression_ratio": 4,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }
    scaling: ClassVar[Mapping[str, Any]] = {"scaling_factor": 1.15258426, "shift_factor": None}
    sizes: ClassVar[Mapping[str, Any]] = {"sample_height": 480, "sample_width": 720}
    unread = frozenset({"invert_scale_latents"})
    types: ClassVar[Mapping[str, Any]] = {"temporal_compression_ratio": Annotated[float, Field(gt=0, le=64)]}
    refused_variants: ClassVar[Mapping[str, str]] = {
        "whole-clip": "it computes chunks of frames, and diffusers can't turn that off",
        "framewise": "it computes chunks of frames anyway (variant default)",
    }
    #: Half of 720 x 480, a fifth and a sixth of which overlaps.
    tile = Tile(tile=360, overlap=72, height=240, overlap_height=40)

    def usual_tile(self, config: Mapping[str, Any], sizes: Mapping[str, Any]) -> Tile:
        """Half of the sample, a fifth of which overlaps along the width and a sixth along the height."""
        width, height = sizes["sample_width"] // 2, sizes["sample_height"] // 2
        return Tile(tile=width, overlap=width // 5, height=height, overlap_height=height // 6)

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the last halves the image."""
        factor = 2 ** (len(config["block_out_channels"]) - 1)
        return Geometry(factor, config["latent_channels"], int(config["temporal_compression_ratio"]))

    def counts_of_frames(self, spec: VaeSpec) -> str:
        return f"1, {_FRAMES}k or {_FRAMES}k + 1"

    def takes_frames(self, spec: VaeSpec, frames: int) -> bool:
        return frames % _FRAMES in (0, 1)

    def latent_frames(self, spec: VaeSpec, frames: int) -> int:
        return -(-frames // spec.geometry.frames)

    def video_frames(self, spec: VaeSpec, latent_frames: int) -> int:
        """Only the first of an odd number of latent frames is a single frame."""
        return super().video_frames(spec, latent_frames) if latent_frames % 2 else latent_frames * spec.geometry.frames

    def chunks(self, spec: VaeSpec, case: Case) -> tuple[int, ...]:
        chunk = _FRAMES if case.operation == "encode" else _LATENTS
        whole, rest = divmod(self.length(spec, case), chunk)
        return (chunk + rest, *[chunk] * (whole - 1)) if whole else (rest,)

    def chunk_note(self, spec: VaeSpec, case: Case) -> str:
        return f"chunks of {_FRAMES} frames" if len(self.chunks(spec, case)) > 1 else ""

    def describe_chunks(self, spec: VaeSpec) -> str:
        return f"chunks of {_FRAMES} frames, of which the first may have {_FRAMES + 1}"

    def set_tile(self, module: Any, spec: VaeSpec, case: Case) -> None:
        tile, factor = case.tile or spec.tile, spec.geometry.factor
        height, overlap_height = tile.rows
        module.tile_sample_min_height, module.tile_sample_min_width = height, tile.tile
        module.tile_latent_min_height, module.tile_latent_min_width = height // factor, tile.tile // factor
        module.tile_overlap_factor_height = Fraction(
            overlap_height, height
        )  # diffusers truncates products with a float
        module.tile_overlap_factor_width = Fraction(tile.overlap, tile.tile)


COGVIDEOX = CogVideoX()
