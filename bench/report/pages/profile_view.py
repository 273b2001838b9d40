"""A call's profile in words: the peak, where it is and what it is made of, and the stages. Imports no torch."""

from __future__ import annotations

from rich.console import Console

from bench.core.units import format_bytes, format_count, format_metric, format_relative, one_line
from bench.report.render.terminal import Column, print_table, say
from bench.vram.call_profile import ITSELF, SCRATCH, Held, Profile, Profiled
from bench.vram.timeline import Kind, Owner
from bench.workloads import models
from bench.workloads.labels import label_of

#: The parts of a peak, each of these kinds.
PARTS: dict[str, tuple[Kind, ...]] = {
    "weights": ("weights",),
    "input": ("input",),
    "activations": ("activation",),
    "workspaces": SCRATCH,
}


def title_of(profiled: Profiled) -> str:
    """`SDXL decode 1024x1024 float32 untiled`."""
    case = profiled.case
    return one_line(f"{models.title(case.model)}{label_of(case).removeprefix(case.model)}")


def place_of(owner: Owner) -> str:
    """`decoder.up_blocks.3.resnets.0.conv1, convolution`."""
    return ", ".join(part for part in (owner.module or ITSELF, owner.operator) if part)


def print_profile(profiled: Profiled, console: Console) -> None:
    """The peaks, what is largest at the peak, the stages, and how prediction and measurement agree."""
    best = profiled.measured or profiled.predicted
    lines = [title_of(profiled), *_peak("Predicted", profiled.predicted, profiled.kernels)]
    if profiled.measured:
        lines += [*_peak("Measured", profiled.measured, f"on {profiled.measured_on}"), _agreement(profiled)]
    for line in lines:
        say(console, one_line(line))
    _print_largest(console, best, "measured" if profiled.measured else "predicted")
    _print_stages(console, profiled)


def _peak(how: str, profile: Profile, by: str) -> list[str]:
    sums = {name: sum(profile.kinds.get(kind, 0) for kind in kinds) for name, kinds in PARTS.items()}
    parts = [f"{name} {format_bytes(size)} ({_share(size, profile)})" for name, size in sums.items() if size]
    return [
        f"{how} ({by}): {format_bytes(profile.peak_bytes)} at the peak, in {place_of(profile.at)}.",
        f"  Of that: {', '.join(parts)}.",
    ]


def _agreement(profiled: Profiled) -> str:
    assert profiled.error is not None  # noqa: S101 - for the type checker: there is a measurement
    how = "agree" if profiled.agree else "differ"
    counter = (
        f" max_memory_allocated, which counts whole blocks: {format_bytes(profiled.allocated_bytes)}."
        if profiled.allocated_bytes is not None
        else ""
    )
    far = f"is off by {format_relative(profiled.error)} from" if profiled.error else "equals"
    return f"Prediction and measurement {how}: the predicted peak {far} the measured one.{counter}"


def _share(count: int, profile: Profile) -> str:
    return format_metric("ceiling_fraction", count / profile.peak_bytes)


def _print_largest(console: Console, profile: Profile, how: str) -> None:
    columns = (
        *(Column("Memory", "right"), Column("Share", "right")),
        *(Column("Module", wraps=True), Column("Operator"), Column("Kind")),
    )
    rows = [[one_line(cell) for cell in _held(held, profile)] for held in profile.largest]
    print_table(console, columns, rows, f"The largest alive at the {how} peak")


def _held(held: Held, profile: Profile) -> tuple[str, ...]:
    owner = held.owner
    module = owner.module or ("" if owner.kind in {"weights", "input"} else ITSELF)
    if held.count > 1:
        module = format_count(held.count, "tensor")
    return format_bytes(held.bytes), _share(held.bytes, profile), module, owner.operator, owner.kind


def _print_stages(console: Console, profiled: Profiled) -> None:
    """A row a stage in the order in which they begin; those that only one side has have a dash on the other."""
    measured = {stage.name: stage.peak_bytes for stage in (profiled.measured.stages if profiled.measured else ())}
    predicted = {stage.name: stage.peak_bytes for stage in profiled.predicted.stages}
    sides = [predicted, *([measured] if measured else [])]
    columns = [Column("Part"), *(Column(name, "right") for name in ("Predicted", "Measured")[: len(sides)])]
    names = dict.fromkeys((*predicted, *measured))
    rows = [[one_line(name), *(format_bytes(side.get(name)) for side in sides)] for name in names]
    print_table(console, columns, rows, "The most alive, by part at work")
