"""Sentences that say what is missing from a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.scenario import Wanted
from bench.analysis.hybrid.service import LEAST_S
from bench.record import Measured, OutOfMemory, Record, describe
from bench.workloads import models
from bench.workloads.labels import label_of, size_of

#: A model, an operation, and a size in pixels if one was asked for.
_Image = tuple[str, str, tuple[int, int] | None]


def of_models(records: Sequence[Record], wanted: Wanted) -> Iterable[str]:
    """Images without any or without local figures, of models that were asked for, else are featured or have figures."""
    known = _images(records, wanted)
    local = _images([record for record in records if record.device.kind != "endpoint"], wanted)
    looked_at = {*models.featured(), *(record.case.model for record in records)}
    keys = wanted.models or [key for key, spec in models.zoo().items() if key in looked_at and spec.fault is None]
    sizes: Sequence[tuple[int, int] | None] = wanted.sizes or [None]
    images = [
        (key, operation, size)
        for key in keys
        for operation in wanted.operations or models.workload(key).operations
        for size in sizes
    ]
    unknown = [image for image in images if image not in known]
    if unknown:
        yield (f"no figures, neither local nor remote: {', '.join(map(_title, unknown))}{_remedy(wanted, unknown)}")
    only_remote = [image for image in images if image in known - local]
    if only_remote:
        yield f"no local figures: {', '.join(map(_title, only_remote))}{_remedy(wanted, only_remote)}"


def of_devices(rows: Sequence[Row], wanted: Wanted) -> Iterable[str]:
    """The chosen devices, if they have no figures for the choice."""
    if wanted.devices and not rows:
        yield f"no figures of {', '.join(wanted.devices)} for this choice{_remedy(wanted)}"


def of_rows(rows: Sequence[Row]) -> Iterable[str]:
    """Sizes without a remote figure and why, and cases without a time that are not out of memory."""
    sizes: dict[str, dict[str, dict[str, None]]] = {}
    for row in rows:
        if row.remote.reason is not None:
            title = _title((row.case.model, row.case.operation, None))
            sizes.setdefault(row.remote.reason, {}).setdefault(title, {})[size_of(row.case)] = None
    for reason, images in sizes.items():
        names = "; ".join(f"{title} at {', '.join(of_title)}" for title, of_title in images.items())
        yield f"no remote figure for {names}: {reason}"
    for row in rows:
        if row.fits == "untiled: no":
            yield f"{row.label}: {label_of(row.case)}: out of memory, and tiling was not tried"
        for record in (row.untiled, row.tiled) if row.fits == "unknown" else ():
            if record is not None and not isinstance(record.outcome, OutOfMemory):
                yield f"{row.label}: {label_of(record.case)}: no time: {_why_no_time(record)}"


def _images(records: Sequence[Record], wanted: Wanted) -> set[_Image]:
    images: set[_Image] = set()
    for case in (record.case for record in records):
        size = (case.axes.get("width", 0), case.axes.get("height", 0)) if wanted.sizes else None
        images.add((case.model, case.operation, size))
    return images


def _title(image: _Image) -> str:
    key, operation, size = image
    return f"{models.title(key)} {operation}{f' {size[0]}x{size[1]}' if size else ''}"


def _remedy(wanted: Wanted, missing: Sequence[_Image] = ()) -> str:
    """A sentence with the commands that would give the missing figures of a choice; empty if nothing was chosen."""
    if wanted.is_everything:
        return ""
    keys = [key for key in wanted.models if not missing or any(key == image[0] for image in missing)]
    operations = [name for name in wanted.operations if not missing or any(name == image[1] for image in missing)]
    sizes = [size for size in wanted.sizes if not missing or any(size == image[2] for image in missing)]
    options = replace(wanted, models=tuple(keys), operations=tuple(operations), sizes=tuple(sizes)).options
    return f". `bench run{options}` measures it, and `bench advise --gpu NAME{options}` predicts it"


def _why_no_time(record: Record) -> str:
    if not isinstance(record.outcome, Measured):
        return describe(record.outcome)
    return "it was printed as 0" if record.timing and record.timing.median_s < LEAST_S else "none was given"
