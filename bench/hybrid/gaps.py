"""What is missing of a comparison, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench import models
from bench.config import OPERATIONS
from bench.hybrid.request import Wanted
from bench.hybrid.rows import Row
from bench.hybrid.service import LEAST_S
from bench.record import Measured, OutOfMemory, Record, describe


def of_models(records: Sequence[Record], wanted: Wanted) -> Iterable[str]:
    """Models and operations that were asked for, or are in the zoo, and have no figures here or there."""
    local = {(one.case.model, one.case.operation) for one in records if one.device.kind != "endpoint"}
    known = local | {(one.case.model, one.case.operation) for one in records}
    keys = wanted.models or [key for key, spec in models.zoo().items() if spec.fault is None]
    asked = [(key, operation) for key in keys for operation in wanted.operations or OPERATIONS]
    without = [f"{models.title(key)} {operation}" for key, operation in asked if (key, operation) not in known]
    if without:
        yield f"no figures at all, neither local nor remote, neither measured nor published: {', '.join(without)}"
    remote = [f"{models.title(key)} {operation}" for key, operation in asked if (key, operation) in known - local]
    if remote:
        yield f"no local figures: {', '.join(remote)}"


def of_rows(rows: Sequence[Row]) -> Iterable[str]:
    """Sizes without a remote figure and why, and cases that have no time and are not out of memory."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.remote.reason is not None:
            title = f"{models.title(row.case.model)} {row.case.operation}"
            groups.setdefault((title, row.remote.reason), []).append(row.case.resolution)
    for (title, reason), sizes in groups.items():
        yield f"{title} at {', '.join(dict.fromkeys(sizes))}: no remote figure: {reason}"
    for row in rows:
        if row.fits == "untiled: no":
            yield f"{row.label}: {row.case.label}: out of memory, and tiling was not tried"
        for record in (row.untiled, row.tiled) if row.fits == "unknown" else ():
            if record is not None and not isinstance(record.outcome, OutOfMemory):
                yield f"{row.label}: {record.case.label}: no time: {_why(record)}"


def _why(record: Record) -> str:
    if not isinstance(record.outcome, Measured):
        return describe(record.outcome)
    return "it was printed as 0" if record.timing and record.timing.median_s < LEAST_S else "none was given"
