"""Video VAEs as a workload: encode and decode, by width, height, frames and batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from bench.core.units import format_count
from bench.record import Case, Tile, Transport
from bench.workloads.base import Axis, Shape
from bench.workloads.vae_classes.tiles_to_try import to_try
from bench.workloads.vae_classes.vae_workload import VaeWorkload
from bench.workloads.vae_classes.video import FramewiseVae
from bench.workloads.video_vae.zoo import ZOO

if TYPE_CHECKING:
    import torch

#: An endpoint tiles videos of *more* pixels than this, in all frames together, with the zoo's tile.
SERVED_UNTILED_VOLUME = 512 * 512 * 17


class VideoVaes(VaeWorkload):
    """VAEs of videos, of any of diffusers' classes."""

    name = "video VAE"
    page = "Video VAE"
    variants = ("sliced", "whole-clip", "framewise")
    zoo = ZOO
    #: diffusers' functions send no videos, so only tensors can be encoded.
    carried_by: ClassVar[Mapping[str, tuple[Transport, ...]]] = {
        "encode": ("pt",),
        "decode": ("pt", "pt-partial", "mp4"),
    }
    tile_edges = (768, 512, 384, 256)

    def axes(self, key: str) -> tuple[Axis, ...]:
        spec = ZOO.get(key)
        width, height = spec.size or (None, None)
        return (
            Axis("width", "px", usual=width, check=spec.side_refusal),
            Axis("height", "px", usual=height, check=spec.side_refusal),
            Axis(
                "frames",
                usual=spec.frames,
                print=lambda count: format_count(count, "frame"),
                check=partial(spec.vae_class.frames_refusal, spec),
            ),
            Axis("batch", default=1),
        )

    def tiles_to_try(self, case: Case) -> tuple[Tile, ...]:
        """Also tiles in time, for a class that has them but computes all frames at once by itself."""
        spec, chunk = ZOO.get(case.model), None
        if isinstance(spec.vae_class, FramewiseVae) and not spec.vae_class.is_framewise:
            frames, overlap = spec.vae_class.own_frames
            chunk = {"frames": frames, "overlap_frames": overlap}
        return to_try(spec, case, self.tile_edges, chunk)

    def variants_to_try(self, case: Case) -> tuple[str, ...]:
        """Slices of a batch, and chunks of frames where they are not computed by default and the tile has none."""
        has_chunks = case.tile is not None and case.tile.frames is not None
        return (*super().variants_to_try(case), *(() if has_chunks else ("framewise",)))

    def served(self, case: Case) -> Case:
        is_large = case.axes.product("width", "height", "frames") > SERVED_UNTILED_VOLUME
        return case.model_copy(update={"tiling": self.default_tile(case.model) if is_large else "off"})

    def exercise(self, device: torch.device) -> None:
        from bench.workloads.video_vae import kernels  # noqa: PLC0415 - loads torch

        kernels.exercise(device)

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        from bench.workloads.vae_classes import video_flops  # noqa: PLC0415 - loads torch

        return video_flops.of_call(case, passes)
