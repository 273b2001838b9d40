"""What a case is called, for people. A case of a model that is not here (any more) has a name all the same."""

from __future__ import annotations

from bench.core.units import one_line
from bench.record import Case
from bench.workloads import models
from bench.workloads.base import SIDES, Axis

#: Of a model that is not here, the axes that are no part of its size: how many there are of it.
_COUNTS = ("batch", "frames")


def label_of(case: Case, stage: str | None = None) -> str:
    """One line, whatever the names hold: `sdxl encode 512x512 float32 tiled 256/64 batch 2`, and a stage after it."""
    parts = [case.model, case.operation, size_of(case), case.dtype]
    if case.tile:
        parts += [f"tiled {case.tile.tile}/{case.tile.overlap}"]
    elif takes_tiles(case):
        parts += ["untiled"]
    parts += [*extras(case), *([case.weights] if case.weights != "random" else [])]
    parts += [case.variant] if case.variant != "default" else []
    parts += [f"over {case.transport}"] if case.transport else []
    return one_line(" ".join(filter(None, parts)) + (f": {stage}" if stage else ""))


def takes_tiles(case: Case) -> bool:
    """Whether the case's model can be run in tiles; of one that is not here, whether it is as likely: an image's."""
    if case.model not in models.zoo():
        return case.tile is not None or set(SIDES) <= case.axes.keys()
    return models.workload(case.model).default_tile(case.model) is not None


def size_of(case: Case) -> str:
    """How large it is, by the axes that a sweep has to name: `512x768` (width x height), `length 16`."""
    axes, values = _axes(case), case.axes
    sides = [f"{values['width']}x{values['height']}"] if set(SIDES) <= values.keys() else []
    others = [name for name, axis in axes.items() if axis.default is None and not (sides and name in SIDES)]
    return " ".join([*sides, *(axes[name].said(values[name]) for name in others if name in values)])


def whole_size_of(case: Case) -> str:
    """The size, and what else there is of it: `512x768, batch 2`."""
    return ", ".join(filter(None, [size_of(case), *extras(case)]))


def size_order(case: Case) -> tuple[int, ...]:
    """A sort key: smaller cases first, by width times height, then by the other axes in the workload's order."""
    names = [name for name in _axes(case) if name not in SIDES]
    return (case.axes.product(*SIDES), *(case.axes.get(name) or 0 for name in names))


def extras(case: Case) -> list[str]:
    """The axes that have a default, where the case has another value: `["batch 2"]`."""
    told = [axis.said(case.axes[name]) for name, axis in _axes(case).items() if _differs(axis, case.axes.get(name))]
    return [text for text in told if text]


def _differs(axis: Axis, value: int | None) -> bool:
    return axis.default is not None and value is not None and value != axis.default


def _axes(case: Case) -> dict[str, Axis]:
    if case.model in models.zoo():
        return models.axes(case.model)
    return {name: Axis(name, default=1 if name in _COUNTS else None) for name in case.axes}
