"""A call's profile as a document: the peak, where it is and what it is made of, and the stages.

`profile_figures` has its fields for programs."""

from __future__ import annotations

from bench.core.units import format_bytes, format_count, format_quantity, format_relative, one_line
from bench.report import document
from bench.report.document import Cell, Column, Document, Text, table_of
from bench.vram.call_profile import ITSELF, SCRATCH, Held, Profile, Profiled
from bench.vram.timeline import Kind, Owner
from bench.workloads import models
from bench.workloads.labels import label_of

#: The parts of a peak, and the kinds of allocation in each.
_PARTS: dict[str, tuple[Kind, ...]] = {
    "weights": ("weights",),
    "input": ("input",),
    "activations": ("activation",),
    "workspaces": SCRATCH,
}
_WORKSPACES = Text(
    "Workspaces are of three kinds. workspace: scratch memory that torch can avoid by choosing another kernel; buffer: "
    "scratch memory that the call cannot do without; library: memory that a library such as cuBLAS allocates once and "
    "keeps.",
    "quiet",
)


def title_of(profiled: Profiled) -> str:
    """`SDXL decode 1024x1024 float32 untiled`."""
    case = profiled.case
    return one_line(f"{models.title(case.model)}{label_of(case).removeprefix(case.model)}")


def place_of(owner: Owner) -> str:
    """`decoder.up_blocks.3.resnets.0.conv1 (operator: convolution)`."""
    return f"{owner.module or ITSELF}{f' (operator: {owner.operator})' if owner.operator else ''}"


def terminal(profiled: Profiled) -> Document:
    """The peaks, what is largest at the peak, the stages, and how prediction and measurement agree."""
    lines = _peak("Predicted", profiled.predicted, profiled.kernels)
    if profiled.measured:
        lines += [*_peak("Measured", profiled.measured, f"on {profiled.measured_on}"), _agreement(profiled)]
    shown, kind = (profiled.measured, "measured") if profiled.measured else (profiled.predicted, "predicted")
    return Document(
        "",
        (
            Text(title_of(profiled), "strong"),
            *map(Text, lines),
            _largest(shown, f"Largest tensors at the {kind} peak"),
            *([_WORKSPACES] if any(held.owner.kind in SCRATCH for held in shown.largest) else []),
            _stages(profiled),
        ),
    )


def _peak(kind: str, profile: Profile, source: str) -> list[str]:
    sums = {name: sum(profile.kinds.get(kind, 0) for kind in kinds) for name, kinds in _PARTS.items()}
    parts = [
        f"{name} {format_bytes(size)} ({format_quantity(size / profile.peak_bytes, 'ratio')})"
        for name, size in sums.items()
        if size
    ]
    return [
        f"{kind} ({source}): {format_bytes(profile.peak_bytes)} at the peak, in {place_of(profile.at)}.",
        f"Of that: {', '.join(parts)}.",
    ]


def _agreement(profiled: Profiled) -> str:
    assert profiled.error is not None  # noqa: S101 - for the type checker: there is a measurement
    verdict = "agree" if profiled.agree else "differ"
    counter = (
        f" max_memory_allocated, which counts whole blocks: {format_bytes(profiled.allocated_bytes)}."
        if profiled.allocated_bytes is not None
        else ""
    )
    far = f"is off by {format_relative(profiled.error)} from" if profiled.error else "equals"
    return f"Prediction and measurement {verdict}: the predicted peak {far} the measured one.{counter}"


def _largest(profile: Profile, title: str) -> document.Table:
    return table_of(
        profile.largest,
        (Column("Memory", "bytes"), lambda held: held.bytes),
        (Column("Share", "ratio"), lambda held: held.bytes / profile.peak_bytes),
        (Column("Module", may_wrap=True, in_heading=True), _module),
        (Column("Operator", in_heading=True), lambda held: held.owner.operator),
        (Column("Kind", key="allocation"), lambda held: held.owner.kind),
        title=title,
    )


def _module(held: Held) -> str:
    if held.count > 1:
        return format_count(held.count, "tensor")
    return held.owner.module or ("" if held.owner.kind in {"weights", "input"} else ITSELF)


def _stages(profiled: Profiled) -> document.Table:
    predicted = {stage.name: stage.peak_bytes for stage in profiled.predicted.stages}
    measured = {stage.name: stage.peak_bytes for stage in (profiled.measured.stages if profiled.measured else ())}
    measured_column = (Column("Measured", "bytes"), lambda name: Cell(measured.get(name)))
    return table_of(
        dict.fromkeys((*predicted, *measured)),
        (Column("Part"), str),
        (Column("Predicted", "bytes"), lambda name: Cell(predicted.get(name))),
        *([measured_column] if measured else []),
        title="Peak within each part of the model",
    )
