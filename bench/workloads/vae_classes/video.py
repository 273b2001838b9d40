"""What diffusers' video VAEs share: valid counts of frames, tiles in space and in time, and the passes of a call.

Free of torch. Lengths in time are frames when encoding and latent frames when decoding, as in the input of a pass.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, ClassVar

from bench.record import Case, Tile
from bench.workloads.base import Shape
from bench.workloads.passes import Counts
from bench.workloads.vae_classes.image_tiles import lengths
from bench.workloads.vae_classes.vae_class import Geometry, VaeClass, VaeSpec

#: Why a class lacks a variant, unless it says more.
_REFUSED = {
    "whole-clip": "its frames are not computed in chunks that could be joined",
    "framewise": "it can't compute chunks of frames that overlap",
    "channels-last": "that is a layout of images",
}


class VideoVae(VaeClass):
    """A VAE of videos whose tiles diffusers describes by their size and stride.

    Attributes:
        tile: diffusers' own tile, in image pixels.
        time_first: whether a call computes all tiles of a chunk of frames before the next chunk.
        refused_variants: reasons why the class lacks a variant, where a general one would not do.
    """

    variants: ClassVar[tuple[str, ...]] = ("sliced",)
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 3, "blend_h": 4}
    tile: ClassVar[Tile] = Tile(tile=256, overlap=64)
    time_first: ClassVar[bool] = False
    refused_variants: ClassVar[Mapping[str, str]] = {}

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """By the compression ratios, for classes that have them as arguments."""
        space, time = config["spatial_compression_ratio"], config["temporal_compression_ratio"]
        return Geometry(space, config["latent_channels"], time)

    # Frames

    def counts_of_frames(self, spec: VaeSpec) -> str:
        """The valid counts of frames, for people: `4k + 1`."""
        return f"{spec.geometry.frames}k + 1"

    def takes_frames(self, spec: VaeSpec, frames: int) -> bool:
        """Whether a video can have this many frames."""
        return frames % spec.geometry.frames == 1

    def frames_refusal(self, spec: VaeSpec, frames: int) -> str:
        if frames > 0 and self.takes_frames(spec, frames):
            return ""
        low = next((count for count in range(frames, 0, -1) if self.takes_frames(spec, count)), None)
        high = next(count for count in itertools.count(max(frames, 1)) if self.takes_frames(spec, count))
        nearest = " or ".join(str(count) for count in (low, high) if count is not None)
        return f"{frames} frames: {spec.key} takes {self.counts_of_frames(spec)} frames: try {nearest}"

    def latent_frames(self, spec: VaeSpec, frames: int) -> int:
        return 1 + (frames - 1) // spec.geometry.frames

    def chunks(self, spec: VaeSpec, case: Case) -> tuple[int, ...]:
        """Lengths in time of the passes that compute one tile, in order: one if all frames are computed at once."""
        return (self.length(spec, case),)

    def length(self, spec: VaeSpec, case: Case) -> int:
        """The length in time of the case's input."""
        frames = case.axes["frames"]
        return frames if case.operation == "encode" else self.latent_frames(spec, frames)

    def count(self, spec: VaeSpec, case: Case, passes: Sequence[Shape]) -> Counts:
        """The tiles and chunks of a call that made these passes; unknown if they are not those of the class."""
        chunks = self.chunks_that_ran(spec, case, passes)
        if chunks is None:
            return Counts()
        return Counts(len(passes) // len(chunks) if case.tile else None, len(chunks) if len(chunks) > 1 else None)

    def chunks_that_ran(self, spec: VaeSpec, case: Case, passes: Sequence[Shape]) -> tuple[int, ...] | None:
        """The lengths in time of each tile's passes; None if these passes are not those of the class."""
        chunks = self.chunks(spec, case)
        tiles = len(passes) // len(chunks)
        return chunks if passes and sorted(shape[2] for shape in passes) == sorted(chunks * tiles) else None

    @abstractmethod
    def describe_chunks(self, spec: VaeSpec) -> str:
        """How the class splits frames, a phrase for a list of models."""

    # Tiles

    def tile_refusal(self, spec: VaeSpec, case: Case) -> str:
        """Why the case can't be run in its tiles or variant, such as a tile of no whole latent pixels."""
        if case.variant not in ("default", *self.variants):
            reason = self.refused_variants.get(case.variant) or _REFUSED.get(case.variant, "its class lacks it")
            return f"{spec.key} has no variant {case.variant}: {reason}"
        return super().tile_refusal(spec, case) or self.time_refusal(spec, case)

    def time_refusal(self, spec: VaeSpec, case: Case) -> str:
        """Why the case's tile can't have its frames; empty if it can."""
        if case.tile is None or case.tile.frames is None:
            return ""
        return f"tile {case.tile.label}: {self.name} has no tiles in time. Leave out `frames` of the tile"

    def passes(self, spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
        """One pass for each tile and chunk of frames; the last ones take the rest, however small.

        Each video of a sliced batch has its own passes.
        """
        slices = case.axes["batch"] if case.is_variant("sliced") else 1
        batch = case.axes["batch"] // slices
        channels, unit = self.input_of_pass(spec, case)
        places, chunks = list(product(*self._sides(case, unit))), self.chunks(spec, case)
        if self.time_first:
            parts = [(chunk, *place) for chunk, place in product(chunks, places)]
        else:
            parts = [(chunk, *place) for place, chunk in product(places, chunks)]
        return tuple((batch, channels, *part) for part in parts) * slices

    def input_of_pass(self, spec: VaeSpec, case: Case) -> tuple[int, int]:
        """Channels of a pass's input, and the image pixels along a side that one of its pixels stands for."""
        if case.operation == "encode":
            return spec.image_channels, 1
        return spec.geometry.channels, spec.geometry.factor

    def _sides(self, case: Case, unit: int) -> tuple[list[int], list[int]]:
        """Heights and widths of the tiles, in units of `unit` image pixels."""
        height, width = case.axes["height"], case.axes["width"]
        if case.tile is None or not self.is_tiled(case):
            return [height // unit], [width // unit]
        rows = lengths(height, *case.tile.rows)
        columns = lengths(width, case.tile.tile, case.tile.overlap)
        return [row // unit for row in rows], [column // unit for column in columns]

    # Calls

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        module.use_slicing = case.is_variant("sliced")
        module.use_tiling = case.tile is not None
        self.set_tile(module, spec, case)

    def set_tile(self, module: Any, spec: VaeSpec, case: Case) -> None:
        """Set the size and the stride of tiles in space. They do nothing while tiling is off."""
        tile = case.tile or spec.tile
        height, overlap_height = tile.rows
        module.tile_sample_min_height, module.tile_sample_min_width = height, tile.tile
        module.tile_sample_stride_height = height - overlap_height
        module.tile_sample_stride_width = tile.tile - tile.overlap


class FramewiseVae(VideoVae):
    """A VAE that can compute chunks of frames one after another, and blends where they overlap.

    diffusers adds a frame to each chunk, which repeats the last one of the chunk before.

    Attributes:
        own_frames: diffusers' own chunk: its frames, and how many of them overlap with the next chunk.
        is_framewise: whether diffusers computes chunks unless it is told otherwise.
    """

    blends: ClassVar[Mapping[str, int]] = {**VideoVae.blends, "blend_t": 2}
    time_first = True
    own_frames: ClassVar[tuple[int, int]]
    is_framewise: ClassVar[bool]

    def frames_of_chunk(self, case: Case) -> tuple[int, int] | None:
        """Frames of a chunk, and how many overlap; None if the case asks for all frames at once."""
        if case.tile is not None and case.tile.frames is not None:
            return case.tile.frames, case.tile.overlap_frames or 0
        is_framewise = case.variant == "framewise" or (self.is_framewise and case.variant != "whole-clip")
        return self.own_frames if is_framewise else None

    def chunks(self, spec: VaeSpec, case: Case) -> tuple[int, ...]:
        chunk, length = self.frames_of_chunk(case), self.length(spec, case)
        if chunk is None:
            return (length,)
        unit = 1 if case.operation == "encode" else spec.geometry.frames
        frames, overlap = chunk[0] // unit, chunk[1] // unit
        return tuple(lengths(length, frames + 1, overlap + 1)) if length > frames else (length,)

    def chunk_note(self, spec: VaeSpec, case: Case) -> str:
        is_in_tile = case.tile is not None and case.tile.frames is not None
        chunk = None if is_in_tile or len(self.chunks(spec, case)) == 1 else self.frames_of_chunk(case)
        if chunk is None:
            return ""
        return f"chunks of {chunk[0]}/{chunk[1]} frames"

    def describe_chunks(self, spec: VaeSpec) -> str:
        frames, overlap = self.own_frames
        chunks = f"chunks of {frames} frames that overlap by {overlap}"
        if self.is_framewise:
            return f"{chunks}, if there are more; variant whole-clip: all at once"
        return f"all frames at once; variant framewise: {chunks}"

    def time_refusal(self, spec: VaeSpec, case: Case) -> str:
        tile = case.tile
        if tile is None or tile.frames is None:
            return ""
        step, overlap = spec.geometry.frames, tile.overlap_frames or 0
        if case.variant in ("whole-clip", "framewise"):
            return f"tile {tile.label} and variant {case.variant} both say how frames are split: leave out one of them"
        if tile.frames % step or overlap % step:
            return f"tile {tile.label}: frames and overlap_frames must be multiples of {step}, which {spec.key} needs"
        if tile.frames >= case.axes["frames"]:
            return f"tile {tile.label}: it does not have fewer frames than the video, which has {case.axes['frames']}"
        return ""

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        super().set_up(module, spec, case)
        chunk = self.frames_of_chunk(case)
        module.use_framewise_encoding = module.use_framewise_decoding = chunk is not None
        frames, overlap = chunk or self.own_frames
        module.tile_sample_min_num_frames = frames
        module.tile_sample_stride_num_frames = frames - overlap
