"""Square tiles by an edge and the share of it that neighbours overlap, as diffusers' older classes have them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.vae_classes import image_tiles
from bench.workloads.vae_classes.vae_class import IMAGE_VARIANTS, VaeClass, VaeSpec


class OverlapFactor(VaeClass):
    """A class of images with `tile_sample_min_size`, `tile_latent_min_size` and `tile_overlap_factor`."""

    variants = IMAGE_VARIANTS

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        if case.tile is not None and case.tile.rows != (case.tile.tile, case.tile.overlap):
            return f"{self.name} needs square tiles, not {case.tile.label}"
        return super().tile_refusal(spec, case)

    def passes(self, spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
        return image_tiles.passes(spec, case)

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        module.use_slicing = case.is_variant("sliced")  # encode and decode a batch image by image
        if case.tile is None:
            module.disable_tiling()
            return
        module.enable_tiling()
        module.tile_sample_min_size = case.tile.tile
        module.tile_latent_min_size = case.tile.tile // spec.spatial_factor
        # diffusers truncates `size * (1 - factor)` and `size * factor` to whole pixels. With a float such as 0.8 both
        # come out one too low and the tiles no longer fit together; a Fraction is exact.
        module.tile_overlap_factor = Fraction(case.tile.overlap, case.tile.tile)
