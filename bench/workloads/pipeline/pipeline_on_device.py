"""A pipeline of diffusers on a device, and its call in stages (torch).

Only the worker imports it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial, wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import torch

from bench.record import Case
from bench.workloads.base import Call, Shape, Stage
from bench.workloads.pipeline import components, zoo
from bench.workloads.pipeline.call_in_stages import Border, CallInStages
from bench.workloads.pipeline.local_tokenizer import prompt
from bench.workloads.pipeline.pipeline_spec import LEFT_OUT, PipelineSpec

_SEED = 0


class PipelineOnDevice:
    """A pipeline, ready for any case with its model, weights, dtype and variant."""

    def __init__(self, case: Case, device: torch.device) -> None:
        """Build or load the pipeline. May raise out-of-memory, or OSError if a checkpoint can't be loaded."""
        self._spec, self._device, self._dtype = zoo.get(case.model), device, getattr(torch, case.dtype)
        self._denoised: list[Shape] = []
        self._pipe = _load(self._spec, case)
        self._pipe.set_progress_bar_config(disable=True)
        _place(self._pipe, case.variant, device)

    @property
    def pipe(self) -> Any:
        """diffusers' pipeline."""
        return self._pipe

    @property
    def module(self) -> torch.nn.Module:
        """All modules of the pipeline."""
        parts = self._pipe.components.items()
        return torch.nn.ModuleDict({name: part for name, part in parts if isinstance(part, torch.nn.Module)})

    def prepare(self, case: Case) -> Call:
        """Create the case's input and its call, which is one call of the pipeline, cut into its stages."""
        spec, pipe = self._spec, self._pipe
        arguments = self.arguments(case)
        stages = CallInStages(spec.stages(case.variant), partial(self._in_stages, arguments))
        weakref.finalize(stages, _forget, pipe)

        def set_up() -> None:
            stages.abandon()
            if pipe.vae is not None:
                spec.vae_spec.vae_class.set_up(pipe.vae, spec.vae_spec, spec.vae_case(case, "decode"))

        return Call(
            tuple(
                Stage(name, partial(stages.run, name), partial(self._watching, name))
                for name in spec.stages(case.variant)
            ),
            set_up,
        )

    def arguments(self, case: Case) -> dict[str, Any]:
        """The arguments of the pipeline's call but for its generator: everything else has diffusers' default."""
        spec, axes = self._spec, case.axes
        batch: int = axes["batch"]
        arguments: dict[str, Any] = {"num_inference_steps": axes["steps"]}
        if "text" in spec.stages(case.variant):
            arguments["prompt"] = [prompt(max(encoder.words for encoder in spec.text_encoders))] * batch
            if spec.negative_prompt is not None:
                arguments["negative_prompt"] = [spec.negative_prompt] * batch
        else:
            arguments |= {name: self._random((batch, *shape)) for name, shape in spec.embeddings.items()}
        if spec.frames is not None:
            arguments["num_frames"] = axes["frames"]
        if spec.takes_image:
            is_encoded = "encode" not in spec.stages(case.variant)
            arguments["image"] = self._random(spec.latent_shape(axes)) if is_encoded else _pictures(case)
        else:
            arguments |= {"width": axes["width"], "height": axes["height"]}
        if "decode" not in spec.stages(case.variant):
            arguments["output_type"] = "latent"
        return arguments

    def call(self, arguments: dict[str, Any]) -> Any:
        """One call of the pipeline with these arguments and a generator of a fixed seed."""
        return self._pipe(**arguments, generator=torch.Generator(self._device).manual_seed(_SEED))

    def _in_stages(self, arguments: dict[str, Any], border: Border) -> Any:
        with _borders(self._pipe, self._spec, border, self._denoised.append):
            return self.call(arguments)

    def _watching(self, stage: str) -> AbstractContextManager[list[Shape]]:
        """A context that yields the input shapes of a stage's passes through denoiser, encoder or decoder."""
        if stage == "text":
            return nullcontext([])
        if stage == "denoise":  # the call waits inside the denoiser's hook when the stage begins
            self._denoised.clear()
            return nullcontext(self._denoised)
        return _watching(self._spec.vae_spec.vae_class.repeated(self._pipe.vae, stage))

    def _random(self, shape: Shape) -> torch.Tensor:
        values = torch.randn(shape, generator=torch.Generator().manual_seed(_SEED))
        return values.to(device=self._device, dtype=self._dtype)


def _load(spec: PipelineSpec, case: Case) -> Any:
    """The pipeline in host memory, without the parts that the case's variant leaves out."""
    its_class = components.in_diffusers(spec.class_name)
    left_out = LEFT_OUT.get(case.variant, frozenset())
    parts = frozenset({*(() if "text" in left_out else ("text",)), *(() if "decode" in left_out else ("vae",))})
    # the safety checker is optional, and checks pictures after the call that is measured here
    unset = {name: None for name, known in signature(its_class).parameters.items() if known.default is Parameter.empty}
    if case.weights == "random":
        torch.manual_seed(_SEED)
        return its_class(**{**unset, **components.components(spec, case.dtype, parts)}, **_unchecked(its_class))
    absent = dict.fromkeys(components.names(spec, {"text", "vae"} - parts))
    return its_class.from_pretrained(
        spec.hub_id if case.weights == "hub" else str(Path(case.weights).expanduser()),
        torch_dtype=_precisions(spec, case),
        local_files_only=case.weights != "hub",
        **absent,
        **({"safety_checker": None} if "safety_checker" in unset else {}),
        **_unchecked(its_class),
    )


def _unchecked(its_class: Any) -> dict[str, bool]:
    return {name: False for name in ("requires_safety_checker",) if name in signature(its_class).parameters}


def _precisions(spec: PipelineSpec, case: Case) -> Any:
    """The precision of all components, or of each, as `from_pretrained` takes it."""
    dtype = getattr(torch, case.dtype)
    if spec.vae_dtype is None:
        return dtype
    return {"default": dtype, spec.vae_component: getattr(torch, spec.vae_dtype)}


def _place(pipe: Any, variant: str, device: torch.device) -> None:
    """Move the pipeline to the device, or let accelerate move its parts when they run."""
    match variant:
        case "model-offload":
            pipe.enable_model_cpu_offload(device=device)
        case "sequential-offload":
            pipe.enable_sequential_cpu_offload(device=device)
        case _:
            pipe.to(device)


def _forget(pipe: Any) -> None:
    """Free what calls leave on the device in diffusers' objects: tensors of the scheduler, and cached results."""
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    modules = [module for module in pipe.components.values() if isinstance(module, torch.nn.Module)]
    for part_class in {type(part) for module in modules for part in module.modules()}:
        for cache in _caches(part_class):
            cache.cache_clear()


def _caches(part_class: type) -> Iterator[Any]:
    """The caches of a class's methods. diffusers wraps cached methods, so that only their closures have the cache."""
    for method in vars(part_class).values():
        for cell in getattr(method, "__closure__", None) or ():
            if hasattr(cell.cell_contents, "cache_clear"):
                yield cell.cell_contents


def _pictures(case: Case) -> list[Any]:
    """Pictures of random values, one for each image of the batch."""
    from PIL import Image  # noqa: PLC0415 - few pipelines take pictures

    shape = (case.axes["batch"], case.axes["height"], case.axes["width"], 3)
    values = torch.randint(256, shape, generator=torch.Generator().manual_seed(_SEED), dtype=torch.uint8)
    return [Image.fromarray(picture) for picture in values.numpy()]


@contextmanager
def _borders(pipe: Any, spec: PipelineSpec, border: Border, note: Callable[[Shape], None]) -> Iterator[None]:
    """Call `border` where the stages of a call of the pipeline begin, and `note` with each input of the denoiser.

    `encode` begins when the picture is read, `denoise` with the first call of the denoiser, `decode` after the last
    step of the scheduler. What the pipeline does between text encoder and denoiser (a few random numbers) counts
    towards the stage before.
    """
    steps_left: list[int] = []

    def after_step() -> None:
        steps_left[:] = [steps_left[0] - 1] if steps_left else [pipe.num_timesteps - 1]
        if not steps_left[0]:
            border("decode")

    def before_denoiser(_module: torch.nn.Module, values: Any, named: Any) -> None:
        border("denoise")
        note(tuple((values[0] if values else named["hidden_states"]).shape))

    with ExitStack() as undo:
        denoiser = getattr(pipe, spec.denoiser.component)
        hook = denoiser.register_forward_pre_hook(before_denoiser, with_kwargs=True)
        undo.callback(hook.remove)
        undo.enter_context(_replaced(pipe.scheduler, "step", after=after_step))
        if spec.takes_image:
            undo.enter_context(_replaced(pipe.image_processor, "preprocess", before=lambda: border("encode")))
        yield


@contextmanager
def _replaced(owner: Any, name: str, before: Any = lambda: None, after: Any = lambda: None) -> Iterator[None]:
    """Call something before and after each call of a method of an object."""
    method = getattr(owner, name)

    @wraps(method)
    def surrounded(*values: Any, **named: Any) -> Any:
        before()
        result = method(*values, **named)
        after()
        return result

    setattr(owner, name, surrounded)
    try:
        yield
    finally:
        delattr(owner, name)


@contextmanager
def _watching(module: torch.nn.Module) -> Iterator[list[Shape]]:
    shapes: list[Shape] = []

    handle = module.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    try:
        yield shapes
    finally:
        handle.remove()
