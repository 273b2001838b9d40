"""Labels of cases for people, also for models that are not installed (any more)."""

from __future__ import annotations

from collections.abc import Mapping

from bench.core.units import one_line
from bench.record import Case
from bench.workloads import models
from bench.workloads.base import SIDES, Axis

#: Axes of an unknown model that are counts, not part of its size.
_COUNTS = ("batch", "frames")
#: The axis that only videos have values of.
FRAMES = "frames"


def label_of(case: Case, stage: str | None = None) -> str:
    """One printable line, `sdxl encode 512x512 float32 tiled 256/64 batch 2`, followed by the stage if given."""
    parts = [case.model, case.operation, size_of(case), case.dtype]
    if case.tile:
        parts += [f"tiled {case.tile.label}"]
    elif takes_tiles(case):
        parts += ["untiled"]
    parts += [_chunk_note(case), *extras(case), *([case.weights] if case.weights != "random" else [])]
    parts += [case.variant] if case.variant != "default" else []
    parts += [f"over {case.transport}"] if case.transport else []
    return one_line(" ".join(filter(None, parts)) + (f": {stage}" if stage else ""))


def _chunk_note(case: Case) -> str:
    note = models.workload(case.model).chunk_note(case) if case.model in models.zoo() else ""
    return f"in {note}" if note else ""


def takes_tiles(case: Case) -> bool:
    """Whether the case's model can run in tiles; for an unknown model, whether its cases are images."""
    if case.model not in models.zoo():
        return case.tile is not None or set(SIDES) <= case.axes.keys()
    return models.workload(case.model).default_tile(case.model) is not None


def size_of(case: Case, *left_out: str) -> str:
    """The size of a case, from the axes without a default: `512x768` (width x height), `length 16`.

    `left_out` are axes that a table has columns for.
    """
    values = case.axes
    resolution = [f"{values['width']}x{values['height']}"] if set(SIDES) <= values.keys() else []
    sizes = [
        axis.format(values[name])
        for name, axis in _axes(case).items()
        if axis.default is None and name in values and name not in left_out and not (resolution and name in SIDES)
    ]
    return " ".join([*resolution, *sizes])


def frames_of(case: Case) -> int | None:
    """The frames of a video; None for a case whose model takes no videos, or whose model is unknown."""
    axis = _axes(case).get(FRAMES)
    return case.axes.get(FRAMES) if axis is not None and axis.default is None else None


def whole_size_of(case: Case) -> str:
    """The size and the axes that differ from their default: `512x768, batch 2`."""
    return ", ".join(filter(None, [size_of(case), *extras(case)]))


def size_order(case: Case) -> tuple[int, ...]:
    """A sort key: smaller cases first, by width times height, then by the other axes in the workload's order."""
    names = [name for name in _axes(case) if name not in SIDES]
    return (case.axes.product(*SIDES), *(case.axes.get(name) or 0 for name in names))


def extras(case: Case) -> list[str]:
    """The axes whose value differs from their default: `["batch 2"]`."""
    texts = [
        axis.format(case.axes[name])
        for name, axis in _axes(case).items()
        if axis.default is not None and case.axes.get(name, axis.default) != axis.default
    ]
    return [text for text in texts if text]


def _axes(case: Case) -> Mapping[str, Axis]:
    if case.model in models.zoo():
        return models.axes(case.model)
    return {name: Axis(name, default=1 if name in _COUNTS else None) for name in case.axes}
