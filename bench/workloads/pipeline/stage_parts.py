"""The parts of a pipeline's call, for predictions: what each runs, and what is on the device meanwhile. Free of torch.

Of the steps one is predicted, because they are alike. During a part the inputs of the denoiser (embeddings of the
prompts, latents) are alive too, except while the prompts are encoded; so is a picture that was encoded. A picture that
the pipeline is given lies channels-last in memory, of which predictions know nothing: the encoder's peak is that of a
contiguous one.
"""

from __future__ import annotations

from dataclasses import replace

from bench.record import Axes, Case
from bench.workloads.base import StagePart
from bench.workloads.pipeline import zoo
from bench.workloads.pipeline.pipeline_spec import LEFT_OUT, OFFLOADED, PipelineSpec

#: The operation of a single step, which is traced but not measured by itself.
STEP = "denoise"


def of(case: Case) -> tuple[StagePart, ...]:
    """The parts of a case's call, in order; none of a single step."""
    if case.operation == STEP:
        return ()
    spec = zoo.get(case.model)
    stages = set(spec.stages(case.variant))
    parts = [part for part in _all_parts(spec, case) if part.stage in stages]
    if case.variant in OFFLOADED:
        by_leaf = case.variant == "sequential-offload"
        return tuple(replace(part, resident=(part.case,), by_leaf=by_leaf) for part in parts)
    resident = _resident(spec, case)
    return tuple(replace(part, resident=_as_it_runs(resident, part.case)) for part in parts)


def components(case: Case) -> dict[str, Case]:
    """A case of each component of a pipeline, by the component's name, in the precision in which it is loaded."""
    spec = zoo.get(case.model)
    encoders = {each.component: _text(case, each.model, each.tokens) for each in spec.text_encoders}
    return {
        **encoders,
        spec.denoiser.component: _step(case),
        spec.vae_component: spec.vae_case(case, "decode").model_copy(update={"dtype": spec.vae_dtype or case.dtype}),
    }


def _resident(spec: PipelineSpec, case: Case) -> tuple[Case, ...]:
    """A case of each component that a variant without offload keeps on the device."""
    left_out = LEFT_OUT.get(case.variant, frozenset())
    absent = {spec.vae_component} if "decode" in left_out else set()
    if "text" in left_out:
        absent |= {each.component for each in spec.text_encoders}
    return tuple(each for name, each in components(case).items() if name not in absent)


def _as_it_runs(resident: tuple[Case, ...], running: Case) -> tuple[Case, ...]:
    """The resident components, the running one in the precision in which it runs."""
    return tuple(running if each.model == running.model else each for each in resident)


def _all_parts(spec: PipelineSpec, case: Case) -> list[StagePart]:
    step = _step(case)
    prompts = [
        StagePart("text", _text(case, each.model, each.tokens), (), repeats=each.prompts) for each in spec.text_encoders
    ]
    encode = StagePart("encode", spec.vae_case(case, "encode"), (), held=(step,))
    picture = (encode.case,) if spec.takes_image else ()
    denoise = StagePart("denoise", step, (), held=picture, repeats=spec.steps_made(case.axes["steps"]), is_step=True)
    decode = StagePart("decode", spec.vae_case(case, "decode"), (), held=(step, *picture))
    return [*prompts, encode, denoise, decode]


def _text(case: Case, model: str, tokens: int) -> Case:
    """The case of one text encoder for one prompt of each image."""
    axes = Axes({"tokens": tokens, "batch": case.axes["batch"]})
    return Case(model=model, operation="encode-text", axes=axes, dtype=case.dtype)


def _step(case: Case) -> Case:
    """The case of one step."""
    update = {"axes": Axes({**case.axes, "steps": 1}), "operation": STEP, "variant": "default", "tiling": "off"}
    return case.model_copy(update=update)
