"""Image VAEs as a workload: encode and decode, by width, height, frames (always 1) and batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from bench.core.units import format_count
from bench.record import Case, Transport
from bench.workloads.base import Axis, Shape
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.vae_classes.vae_class import IMAGE_VARIANTS
from bench.workloads.vae_classes.vae_workload import VaeWorkload

if TYPE_CHECKING:
    import torch

#: An endpoint tiles images whose longer side is *above* this (px), with the zoo's tile size.
SERVED_UNTILED_PX = 2048


class ImageVae(VaeWorkload):
    """VAEs of images, of any of diffusers' classes."""

    name = "image VAE"
    page = "VAE"
    variants = IMAGE_VARIANTS
    in_docs = True
    zoo = ZOO
    #: The first is the default of diffusers' own functions: an image file is sent or received instead of a tensor.
    carried_by: ClassVar[Mapping[str, tuple[Transport, ...]]] = {
        "encode": ("png", "pt"),
        "decode": ("jpg", "png", "pt", "pt-partial"),
    }
    tile_edges = (1024, 768, 512, 384, 256)

    def axes(self, key: str) -> tuple[Axis, ...]:
        spec = ZOO.get(key)
        return (
            Axis("width", "px", check=spec.side_refusal),
            Axis("height", "px", check=spec.side_refusal),
            Axis(
                "frames",
                default=1,
                print=lambda count: format_count(count, "frame"),
                check=partial(spec.vae_class.frames_refusal, spec),
            ),
            Axis("batch", default=1),
        )

    def served(self, case: Case) -> Case:
        untiled = case.model_copy(update={"tiling": "off"})
        if max(case.axes["width"], case.axes["height"]) <= SERVED_UNTILED_PX:
            return untiled
        tiled = case.model_copy(update={"tiling": self.default_tile(case.model)})
        return untiled if self.check(tiled) else tiled

    def exercise(self, device: torch.device) -> None:
        from bench.workloads.vae_classes import module  # noqa: PLC0415 - loads torch

        module.exercise(device)

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        from bench.workloads.vae_classes import flops  # noqa: PLC0415 - loads torch

        return flops.of_call(case.model, case.operation, passes) if passes else None
