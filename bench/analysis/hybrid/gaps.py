"""What is missing of a comparison, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.scenario import Wanted
from bench.analysis.hybrid.service import LEAST_S
from bench.record import Case, Measured, OutOfMemory, Record, describe
from bench.workloads import models
from bench.workloads.labels import label_of, size_of

#: A model, an operation, and a size in pixels where one was asked for.
_Asked = tuple[str, str, tuple[int, int] | None]


def of_models(records: Sequence[Record], wanted: Wanted) -> Iterable[str]:
    """What was asked for, or is in the zoo, and has no figures here or there."""
    known = _images(records, wanted)
    local = _images([one for one in records if one.device.kind != "endpoint"], wanted)
    keys = wanted.models or [key for key, spec in models.zoo().items() if spec.fault is None]
    sizes: Sequence[tuple[int, int] | None] = wanted.sizes or [None]
    asked = [
        (key, name, size)
        for key in keys
        for name in wanted.operations or models.workload(key).operations
        for size in sizes
    ]
    without = [one for one in asked if one not in known]
    if without:
        yield (
            "no figures at all, neither local nor remote, neither measured nor published: "
            f"{', '.join(map(_title, without))}{_remedy(wanted, without)}"
        )
    remote = [one for one in asked if one in known - local]
    if remote:
        yield f"no local figures: {', '.join(map(_title, remote))}{_remedy(wanted, remote)}"


def of_devices(rows: Sequence[Row], wanted: Wanted) -> Iterable[str]:
    """Devices that were chosen, if they have no figures of anything that was chosen."""
    if wanted.devices and not rows:
        yield f"no figures of {', '.join(wanted.devices)} for this choice{_remedy(wanted)}"


def _images(records: Sequence[Record], wanted: Wanted) -> set[_Asked]:
    return {(one.case.model, one.case.operation, _sides(one.case) if wanted.sizes else None) for one in records}


def _sides(case: Case) -> tuple[int, int]:
    return case.axes.get("width", 0), case.axes.get("height", 0)


def _title(asked: _Asked) -> str:
    key, operation, size = asked
    return f"{models.title(key)} {operation}{f' {size[0]}x{size[1]}' if size else ''}"


def _remedy(wanted: Wanted, missing: Sequence[_Asked] = ()) -> str:
    """What to run for the figures of a choice that are missing; empty where nothing was chosen."""
    if wanted.is_everything:
        return ""
    keys = [key for key in wanted.models if not missing or key in {one[0] for one in missing}]
    names = [name for name in wanted.operations if not missing or name in {one[1] for one in missing}]
    sizes = [size for size in wanted.sizes if not missing or size in {one[2] for one in missing}]
    options = replace(wanted, models=tuple(keys), operations=tuple(names), sizes=tuple(sizes)).options
    return f". `bench run{options}` measures it, and `bench advise --gpu NAME{options}` predicts it"


def of_rows(rows: Sequence[Row]) -> Iterable[str]:
    """Sizes without a remote figure and why, and cases that have no time and are not out of memory."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.remote.reason is not None:
            title = _title((row.case.model, row.case.operation, None))
            groups.setdefault((title, row.remote.reason), []).append(size_of(row.case))
    for (title, reason), sizes in groups.items():
        yield f"{title} at {', '.join(dict.fromkeys(sizes))}: no remote figure: {reason}"
    for row in rows:
        if row.fits == "untiled: no":
            yield f"{row.label}: {label_of(row.case)}: out of memory, and tiling was not tried"
        for record in (row.untiled, row.tiled) if row.fits == "unknown" else ():
            if record is not None and not isinstance(record.outcome, OutOfMemory):
                yield f"{row.label}: {label_of(record.case)}: no time: {_why(record)}"


def _why(record: Record) -> str:
    if not isinstance(record.outcome, Measured):
        return describe(record.outcome)
    return "it was printed as 0" if record.timing and record.timing.median_s < LEAST_S else "none was given"
