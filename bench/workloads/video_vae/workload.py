"""Video VAEs as a workload: encode and decode, by width, height, frames and batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bench.record import Case, Tile, Transport
from bench.workloads.base import Axis, Loaded, Payload, Shape, Spec, Workload
from bench.workloads.model_facts import Facts
from bench.workloads.passes import Counts
from bench.workloads.vae_classes.vae_facts import facts_of
from bench.workloads.video_vae import payloads, tiles
from bench.workloads.video_vae.zoo import ZOO

if TYPE_CHECKING:
    import torch

    from bench.workloads.checkpoints import Checkpoint, Identified
    from bench.workloads.vae_classes.meta import MetaCall


class VideoVaes(Workload):
    """VAEs of videos, of any of diffusers' classes."""

    name = "video VAE"
    part = "VAE"
    page = "Video VAE"
    operations = ("encode", "decode")
    variants = ("sliced", "whole-clip", "framewise")

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spec.vae_class.name for spec in ZOO.listed()))

    def specs(self) -> Iterable[Spec]:
        return ZOO.listed()

    def axes(self, key: str) -> tuple[Axis, ...]:
        spec = ZOO.get(key)
        width, height = spec.size or (None, None)
        return (
            Axis("width", "px", usual=width, check=spec.side_refusal),
            Axis("height", "px", usual=height, check=spec.side_refusal),
            Axis(
                "frames",
                usual=spec.frames,
                print=lambda count: f"{count} frames",
                check=partial(spec.vae_class.frames_refusal, spec, "decode"),
            ),
            Axis("batch", default=1),
        )

    def default_tile(self, key: str) -> Tile:
        return ZOO.get(key).tile

    def facts(self, key: str) -> Facts:
        return facts_of(ZOO.get(key))

    def risk(self, key: str, dtype: str) -> str:
        return ZOO.get(key).risk(dtype)

    def transports(self, operation: str) -> tuple[Transport, ...]:
        return payloads.TRANSPORTS.get(operation, ())

    def architecture(self, key: str) -> Mapping[str, object]:
        spec = ZOO.get(key)
        return {"class": spec.vae_class.name, **spec.config}

    def identify(self, checkpoint: Checkpoint, name: str) -> Identified:
        from bench.workloads.vae_classes import checkpoint as reader  # noqa: PLC0415 - few commands need it

        return reader.identify(checkpoint, name, ZOO)

    def check(self, case: Case) -> str:
        return ZOO.get(case.model).refusal(case)

    def chunk_note(self, case: Case) -> str:
        return tiles.vae_class(case).chunk_note(ZOO.get(case.model), case)

    def tile_used(self, case: Case) -> Tile | None:
        return tiles.used(case)

    def tiles_to_try(self, case: Case) -> tuple[Tile, ...]:
        return tiles.to_try(case)

    def variants_to_try(self, case: Case) -> tuple[str, ...]:
        """Slices of a batch, and chunks of frames where they are not computed by default and the tile has none."""
        has_chunks = case.tile is not None and case.tile.frames is not None
        return (*super().variants_to_try(case), *(() if has_chunks else ("framewise",)))

    def passes(self, case: Case) -> tuple[Shape, ...]:
        spec = ZOO.get(case.model)
        return spec.vae_class.passes(spec, case)

    def count(self, case: Case, passes: Sequence[Shape]) -> Counts:
        return tiles.vae_class(case).count(ZOO.get(case.model), case, passes)

    def payload(self, case: Case) -> Payload:
        return ZOO.get(case.model).payload(case)

    def served(self, case: Case) -> Case:
        is_large = case.axes.product("width", "height", "frames") > payloads.SERVED_UNTILED_VOLUME
        return case.model_copy(update={"tiling": self.default_tile(case.model) if is_large else "off"})

    def load(self, case: Case, device: torch.device) -> Loaded:
        from bench.workloads.vae_classes import module  # noqa: PLC0415 - loads torch

        return module.VaeOnDevice(case, device)

    def exercise(self, device: torch.device) -> None:
        from bench.workloads.video_vae import kernels  # noqa: PLC0415 - loads torch

        kernels.exercise(device)

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        from bench.workloads.vae_classes import video_flops  # noqa: PLC0415 - loads torch

        return video_flops.of_call(case, passes)

    def on_meta(self, case: Case) -> MetaCall:
        from bench.workloads.vae_classes import meta  # noqa: PLC0415 - loads torch

        return meta.call(case)
