"""A toy workload whose models make videos: its cases have frames, 4k+1 of them. Nothing here computes.

Tests give it to the program by BENCH_WORKLOADS, as `video` of conftest does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.record import Case, Tile, Transport
from bench.workloads.base import Axis, Loaded, Spec, Workload
from bench.workloads.model_facts import Facts, Latents
from bench.workloads.payloads import ImagePayload

if TYPE_CHECKING:
    import torch

MODELS = (Spec(key="toy-video", title="Toy Video", dtype="bfloat16"),)


def _one_more_than_fours(frames: int) -> str:
    low = (frames - 1) // 4 * 4 + 1
    return "" if low == frames else f"{frames} frames: toy-video takes 4k+1, such as {low} or {low + 4}"


class ToyVideo(Workload):
    """Videos in and out."""

    name = "toy video VAE"
    part = "VAE"
    has_fitted_times = True
    page = "Toy Video VAE"
    operations = ("encode", "decode")

    def specs(self) -> Iterable[Spec]:
        return MODELS

    def axes(self, key: str) -> tuple[Axis, ...]:
        return (
            Axis("width", "px"),
            Axis("height", "px"),
            Axis("frames", usual=17, check=_one_more_than_fours, print=lambda count: f"{count} frames"),
            Axis("batch", default=1),
        )

    def facts(self, key: str) -> Facts:
        return Facts("ToyVideo", 1_000_000, Latents(key, channels=16, factor=8, frames=4), (512, 320), 8, "8/4 frames")

    def default_tile(self, key: str) -> Tile:
        return Tile(tile=256, overlap=64)

    def transports(self, operation: str) -> tuple[Transport, ...]:
        return ("pt", "pt-partial") if operation == "decode" else ()

    def payload(self, case: Case) -> ImagePayload | None:
        width, height, frames, batch = case.axes.values()
        latent = (batch, 16, (frames - 1) // 4 + 1, height // 8, width // 8)
        return ImagePayload(latent, (batch * frames, 3, height, width), case.dtype, sends_images=False, scaling={})

    def load(self, case: Case, device: torch.device) -> Loaded:
        raise NotImplementedError


WORKLOAD = ToyVideo()
