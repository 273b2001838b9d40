"""A pipeline of diffusers as data: its components, and what one call of it runs. Free of torch.

Text encoders and VAEs are named by their keys in the zoos of their own kinds; only the denoiser and the scheduler
belong to the pipeline alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bench.record import Axes, Case
from bench.workloads import models
from bench.workloads.base import Shape, Spec
from bench.workloads.vae_classes.vae_class import VaeSpec


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A text encoder of a pipeline.

    Attributes:
        component: its name in the pipeline, such as `text_encoder_2`.
        model: key of the text encoder.
        tokens: tokens of one prompt, as the pipeline pads or cuts it.
        prompts: prompts that one call encodes for each image: 2 with a negative prompt.
        words: words of the prompt that is measured. It matters only if the pipeline does not pad to `tokens`.
    """

    component: str
    model: str
    tokens: int
    prompts: int = 1
    words: int = 20


@dataclass(frozen=True, slots=True)
class Denoiser:
    """The model that runs once or twice a step.

    Attributes:
        component: its name in the pipeline: `unet` or `transformer`.
        class_name: diffusers' class.
        arguments: its arguments that differ from the class's defaults.
        parameters: their number.
        calls: calls a step: 2 if guidance runs it again with the negative prompt.
        batch: latents a call for each image: 2 if guidance puts both prompts into one call.
    """

    component: str
    class_name: str
    parameters: int
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    calls: int = 1
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Scheduler:
    """The scheduler.

    Attributes:
        class_name: diffusers' class.
        arguments: its arguments that differ from the class's defaults.
        extra_steps: steps beyond those asked for (PNDM's first step has two parts).
    """

    class_name: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    extra_steps: int = 0


#: The stages in order, and the part of a pipeline that each needs.
STAGES = ("text", "encode", "denoise", "decode")
#: The stages that each variant leaves out, because an endpoint does them.
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "without-vae": frozenset({"encode", "decode"}),
    "without-text": frozenset({"text"}),
    "denoise-only": frozenset({"text", "encode", "decode"}),
}
#: The variants that keep components in host memory until they run.
OFFLOADED = ("model-offload", "sequential-offload")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec(Spec):
    """A pipeline: diffusers' class, its components, and how it is usually called.

    Attributes:
        class_name: diffusers' class.
        text_encoders: in the order in which the pipeline runs them.
        denoiser: the model of the steps.
        embeddings: what the text stage makes, by the names of the call's arguments: shapes for one image.
        vae: key of the VAE.
        vae_dtype: precision in which the VAE is loaded; None: that of the pipeline.
        vae_decodes_in: precision in which the pipeline runs a VAE that is loaded in float16; None: float16.
        scheduler: the scheduler.
        size: width and height in pixels that the pipeline makes if it is not told.
        frames: frames of a video that it makes if it is not told; None: it makes images.
        fps: frames per second of its videos.
        multiple: the number of pixels of which both sides must be a multiple.
        steps: steps if it is not told.
        strength: share of the steps that an image given to it goes through; None: it is given no image.
        negative_prompt: the negative prompt with which its example calls it; None: it is called without one.
        needs_vae: why it can't be built with `vae=None`; empty if it can.
    """

    class_name: str
    text_encoders: tuple[TextEncoder, ...]
    denoiser: Denoiser
    embeddings: Mapping[str, Shape] = field(hash=False)
    vae: str
    vae_dtype: str | None = None
    vae_decodes_in: str | None = None
    scheduler: Scheduler
    size: tuple[int, int]
    frames: int | None = None
    fps: float | None = None
    multiple: int = 8
    steps: int
    strength: float | None = None
    negative_prompt: str | None = None
    needs_vae: str = ""

    #: The name of the component that holds the VAE, in all pipelines.
    vae_component: ClassVar[str] = "vae"

    @property
    def vae_spec(self) -> VaeSpec:
        """The VAE. Raises ConfigError if the zoo has none of that key."""
        spec = models.get(self.vae)
        assert isinstance(spec, VaeSpec)  # noqa: S101 - a test checks all pipelines
        return spec

    @property
    def takes_image(self) -> bool:
        """Whether a call starts from an image."""
        return self.strength is not None

    def stages(self, variant: str = "default") -> tuple[str, ...]:
        """The stages of a variant's call, in order."""
        left_out = LEFT_OUT.get(variant, frozenset()) | (frozenset() if self.takes_image else {"encode"})
        return tuple(stage for stage in STAGES if stage not in left_out)

    def steps_made(self, steps: int) -> int:
        """The steps that a call makes if it is asked for so many: fewer from an image, one more with PNDM."""
        return self.steps_kept(steps) + self.scheduler.extra_steps

    def steps_kept(self, steps: int) -> int:
        """The steps asked for that are left: an image goes through the share `strength` of them."""
        return steps if self.strength is None else min(int(steps * self.strength), steps)

    def denoiser_calls(self, steps: int) -> int:
        """Calls of the denoiser in a call of the pipeline with so many steps."""
        return self.steps_made(steps) * self.denoiser.calls

    def side_refusal(self, side: int) -> str:
        """Why the pipeline can't make a side of this many pixels, with the nearest valid one; empty if it can."""
        low = side - side % self.multiple
        if low == side:
            return ""
        nearest = f"{low} or {low + self.multiple}" if low else str(self.multiple)
        return f"{side} px is not a multiple of {self.multiple}, which {self.key} needs: try {nearest}"

    def vae_case(self, case: Case, operation: str) -> Case:
        """The case of the VAE, as a model of its own, that a stage `encode` or `decode` of this case runs."""
        sizes = {axis: case.axes[axis] for axis in ("width", "height", "frames", "batch") if axis in case.axes}
        dtype = self.vae_dtype or case.dtype
        return Case(
            model=self.vae,
            operation=operation,
            axes=models.sized(self.vae, **sizes),
            dtype=self.vae_decodes_in if self.vae_decodes_in and dtype == "float16" else dtype,
            tiling=case.tiling,
            weights=case.weights,
        )

    def latent_shape(self, axes: Axes) -> Shape:
        """(batch, channels, height / f, width / f) of what is denoised, with latent frames before the height."""
        sizes = {axis: axes[axis] for axis in ("width", "height", "frames", "batch") if axis in axes}
        axes_of_vae = models.sized(self.vae, **sizes)
        return self.vae_spec.latent_shape(Case(model=self.vae, operation="decode", axes=axes_of_vae, dtype="float32"))
