"""Image VAEs as a workload: encode and decode, by width, height, frames (always 1) and batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bench.record import Case, Tile, Transport
from bench.workloads.base import Axis, Loaded, Payload, Shape, Spec, Workload
from bench.workloads.image_vae import payloads, tiles
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.model_facts import Facts
from bench.workloads.vae_classes.vae_facts import facts_of

if TYPE_CHECKING:
    import torch

    from bench.workloads.checkpoints import Checkpoint, Identified
    from bench.workloads.vae_classes.meta import MetaCall


class ImageVae(Workload):
    """VAEs of images, of any of diffusers' classes."""

    name = "image VAE"
    part = "VAE"
    page = "VAE"
    operations = ("encode", "decode")
    variants = ("channels-last", "sliced")
    in_docs = True

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spec.vae_class.name for spec in ZOO.listed()))

    def specs(self) -> Iterable[Spec]:
        return ZOO.listed()

    def axes(self, key: str) -> tuple[Axis, ...]:
        refusal = ZOO.get(key).side_refusal
        return (
            Axis("width", "px", check=refusal),
            Axis("height", "px", check=refusal),
            Axis("frames", default=1, print=lambda count: f"{count} frames", check=_one_frame),
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

    def tile_used(self, case: Case) -> Tile | None:
        return tiles.used(case)

    def tiles_to_try(self, case: Case) -> tuple[Tile, ...]:
        return tiles.to_try(case)

    def passes(self, case: Case) -> tuple[Shape, ...]:
        spec = ZOO.get(case.model)
        return spec.vae_class.passes(spec, case)

    def payload(self, case: Case) -> Payload:
        return ZOO.get(case.model).payload(case)

    def served(self, case: Case) -> Case:
        untiled = case.model_copy(update={"tiling": "off"})
        if max(case.axes["width"], case.axes["height"]) <= payloads.SERVED_UNTILED_PX:
            return untiled
        tiled = case.model_copy(update={"tiling": self.default_tile(case.model)})
        return untiled if self.check(tiled) else tiled

    def load(self, case: Case, device: torch.device) -> Loaded:
        from bench.workloads.vae_classes import module  # noqa: PLC0415 - loads torch

        return module.VaeOnDevice(case, device)

    def exercise(self, device: torch.device) -> None:
        from bench.workloads.vae_classes import module  # noqa: PLC0415 - loads torch

        module.exercise(device)

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        from bench.workloads.vae_classes import flops  # noqa: PLC0415 - loads torch

        return flops.of_call(case.model, case.operation, passes) if passes else None

    def on_meta(self, case: Case) -> MetaCall:
        from bench.workloads.vae_classes import meta  # noqa: PLC0415 - loads torch

        return meta.call(case)


def _one_frame(frames: int) -> str:
    if frames == 1:
        return ""
    return f"{frames} frames: image VAEs take 1 frame"
