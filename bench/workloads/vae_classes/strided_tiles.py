"""Tiles by a size and a stride along each side, as many of diffusers' classes have them."""

from __future__ import annotations

from typing import Any

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.vae_classes import image_tiles
from bench.workloads.vae_classes.vae_class import VaeClass, VaeSpec


class StridedTiles(VaeClass):
    """A class with `tile_sample_min_*` and `tile_sample_stride_*`, which cuts if a side is longer than the tile's."""

    def passes(self, spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
        return image_tiles.passes(spec, case)

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        module.use_slicing = case.is_variant("sliced")  # encode and decode a batch one by one
        if case.tile is None:
            module.disable_tiling()
            return
        height, overlap_height = case.tile.rows
        module.enable_tiling(
            tile_sample_min_height=height,
            tile_sample_min_width=case.tile.tile,
            tile_sample_stride_height=height - overlap_height,
            tile_sample_stride_width=case.tile.tile - case.tile.overlap,
        )
