"""Whole pipelines as a workload: from a text or a picture to pictures or a video, stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bench.core.units import format_count
from bench.record import Case, Tile
from bench.workloads import models
from bench.workloads.base import Axis, Loaded, Shape, Spec, StagePart, Workload
from bench.workloads.model_facts import Facts
from bench.workloads.passes import Counts
from bench.workloads.pipeline import stage_parts, zoo
from bench.workloads.pipeline.pipeline_spec import LEFT_OUT, OFFLOADED, PipelineSpec

if TYPE_CHECKING:
    import torch

    from bench.workloads.base import MetaCall

#: The only operation.
GENERATE = "generate"


class Pipelines(Workload):
    """Pipelines of diffusers, by width, height, frames, batch and steps."""

    name = "pipeline"
    part = "pipeline"
    page = "Pipeline"
    operations = (GENERATE,)
    variants = (*OFFLOADED, *LEFT_OUT)
    records_loading = True

    def specs(self) -> Iterable[Spec]:
        return zoo.listed()

    def axes(self, key: str) -> tuple[Axis, ...]:
        spec = zoo.get(key)
        width, height = spec.size
        frames = Axis(
            "frames",
            usual=spec.frames,
            print=lambda count: format_count(count, "frame"),
            check=partial(_frames_refusal, spec),
        )
        return (
            Axis("width", "px", usual=width, check=spec.side_refusal),
            Axis("height", "px", usual=height, check=spec.side_refusal),
            *((frames,) if spec.frames is not None else ()),
            Axis("batch", default=1),
            Axis("steps", default=spec.steps, print=lambda count: format_count(count, "step")),
        )

    def facts(self, key: str) -> Facts:
        spec = zoo.get(key)
        parts = [encoder.model for encoder in spec.text_encoders] + [spec.vae]
        others = [models.workload(part).facts(part).parameters or 0 for part in parts]
        return Facts(
            class_name=spec.class_name,
            parameters=spec.denoiser.parameters + sum(others),
            size=spec.size,
            frames_per_second=spec.fps,
            chunks=spec.vae_spec.vae_class.describe_chunks(spec.vae_spec),
        )

    def default_tile(self, key: str) -> Tile | None:
        return zoo.get(key).vae_spec.tile

    def check(self, case: Case) -> str:
        spec = zoo.get(case.model)
        if spec.needs_vae and "decode" in LEFT_OUT.get(case.variant, ()):
            return f"{case.model} can't be built with vae=None: {spec.needs_vae}"
        if case.tile is not None and "decode" in LEFT_OUT.get(case.variant, ()):
            return f"{case.variant} has no VAE, so nothing can be tiled"
        if spec.steps_kept(case.axes["steps"]) < 1:
            steps = format_count(case.axes["steps"], "step")
            return f"{steps} at strength {spec.strength:g} leaves none to make: ask for more"
        return models.workload(spec.vae).check(spec.vae_case(case, "decode"))

    def device_refusal(self, case: Case, kind: str) -> str:
        if case.variant in OFFLOADED and kind == "cpu":
            return f"{case.variant} moves weights between host and accelerator, and this device is the host's CPU"
        return ""

    def count(self, case: Case, stage: str, passes: Sequence[Shape]) -> Counts:
        spec = zoo.get(case.model)
        if stage == "denoise":
            return Counts(steps=len(passes) // spec.denoiser.calls or None)
        if stage == "text":
            return Counts()
        return models.workload(spec.vae).count(spec.vae_case(case, stage), stage, passes)

    def load(self, case: Case, device: torch.device) -> Loaded:
        from bench.workloads.pipeline import pipeline_on_device  # noqa: PLC0415 - loads torch

        return pipeline_on_device.PipelineOnDevice(case, device)

    def components(self, case: Case) -> Mapping[str, Case]:
        return stage_parts.components(case)

    def parts(self, case: Case) -> tuple[StagePart, ...]:
        return stage_parts.of(case)

    def on_meta(self, case: Case) -> MetaCall:
        from bench.workloads.pipeline import on_meta  # noqa: PLC0415 - loads torch

        return on_meta.call(case)


def _frames_refusal(spec: PipelineSpec, frames: int) -> str:
    return spec.vae_spec.vae_class.frames_refusal(spec.vae_spec, frames)
