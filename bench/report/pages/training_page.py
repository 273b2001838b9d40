"""Latent caching: images a second over the batch, on the terminal (`bench latents`) and as `reports/training.md`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.analysis.training.caching import (
    DataSet,
    PredictedBatches,
    batch_of,
    data_set,
    fastest,
    images_per_second,
    noun_of,
    with_batch,
)
from bench.core.units import format_bytes, format_seconds, format_size
from bench.record import Case, Record, grouped
from bench.report.document import Bullets, Cell, Column, Document, Section, Table, Text, table_of
from bench.report.pages import cells
from bench.workloads.labels import size_of

PAGE = "training.md"
#: Of the page: a curve has at least two points.
_FEWEST_BATCHES = 2
_ALONE = "The VAE alone: reading, decoding and resizing of the files come on top."
_WRITTEN = "Written by `bench report` from records of encodes in several batches (`bench latents`); do not edit."


def terminal(batches: PredictedBatches, records: Sequence[Record], images: int | None) -> Document:
    """Predicted peaks, with what was measured beside them; `images`: of a data set to be cached."""
    by_batch = {batch_of(record): record for record in records}
    rows = sorted(by_batch.keys() | batches.peaks.keys())

    def measured(cell: Callable[[Record | None], Cell]) -> Callable[[int], Cell]:
        return lambda batch: cell(by_batch.get(batch))

    columns: list[tuple[Column, Callable[[int], Cell | int]]] = [
        (Column("Batch", "count"), lambda batch: batch),
        (Column("Predicted peak", "bytes"), lambda batch: Cell(batches.peaks.get(batch), kind="predicted")),
    ]
    if records:
        columns += [
            (Column("Peak", "bytes"), measured(_peak)),
            (Column("Time", "seconds"), measured(cells.time)),
            (Column(_rate_name(batches.case), right=True), measured(_rate)),
        ]
    title = f"{cells.call(batches.case)} {size_of(batches.case)}, {batches.case.dtype}, on {batches.place}"
    notes = [*_verdict(batches, by_batch), *_data_set_notes(batches, records, images)]
    return Document("", (table_of(rows, *columns, title=title), Bullets(tuple(notes))))


def page(records: Sequence[Record]) -> Document | None:
    """A section for each device and encode that was measured in several batches; None if there is none."""
    encodes = [record for record in records if _is_curve_point(record)]
    groups = grouped(encodes, lambda record: (record.device.name, record.vram_limit_bytes, _but_for_batch(record)))
    curves = [group for group in groups if len({batch_of(record) for record in group}) >= _FEWEST_BATCHES]
    if not curves:
        return None
    sections = [Section(_title(group[0]), (_curve(group), Text(_summary(group)))) for group in curves]
    return Document("Caching latents for training", tuple(sections), (Text(_ALONE), Text(_WRITTEN)))


def figures(batches: PredictedBatches, records: Sequence[Record], images: int | None) -> dict[str, object]:
    """The same as JSON: the prediction, the records' figures by batch, and the data set."""
    by_batch = {batch_of(record): record for record in records}
    best = fastest(records)
    wanted = None if images is None else data_set(images, batches.case, _best_rate(records))
    return {
        "case": batches.case.flat(),
        "place": batches.place,
        "capacity_bytes": batches.capacity_bytes,
        "largest_batch": {
            "predicted": batches.largest,
            "measured": max((batch for batch in by_batch if images_per_second(by_batch[batch])), default=None),
            "is_most": batches.is_most,
        },
        "fastest_batch": None if best is None else batch_of(best),
        "batches": [
            {"batch": batch, "predicted_peak_bytes": batches.peaks.get(batch), **_measured_figures(by_batch.get(batch))}
            for batch in sorted(by_batch.keys() | batches.peaks.keys())
        ],
        "data_set": None
        if wanted is None
        else {"images": wanted.images, "seconds": wanted.seconds, "latent_bytes": wanted.latent_bytes},
    }


def _measured_figures(record: Record | None) -> dict[str, object]:
    if record is None:
        return {}
    return {
        "outcome": record.outcome.status,
        "peak_bytes": record.memory.peak_bytes if record.memory else None,
        "median_s": record.timing.median_s if record.timing else None,
        "images_per_s": images_per_second(record),
    }


def _verdict(batches: PredictedBatches, by_batch: dict[int, Record]) -> list[str]:
    """The largest batch: predicted, and whether a run confirmed it."""
    beside = "" if batches.is_rough else " beside the CUDA context"
    within = f"within {format_bytes(batches.capacity_bytes)}{beside}"
    if not batches.largest:
        peak = format_bytes(batches.peaks.get(1))
        problem = f"Not even one {noun_of(batches.case)} is predicted to fit {within}: it takes {peak}."
        return [f"{problem} Try --tiling on, or a lower --dtype."]
    most = "; no larger one was considered (--most)" if batches.is_most else ""
    notes = [f"The largest batch that is predicted to fit {within} is {batches.largest}{most}."]
    record = by_batch.get(batches.largest)
    measured = [batch for batch, each in by_batch.items() if images_per_second(each) is not None]
    if record is not None and batches.largest in measured:
        notes.append(f"Confirmed by one run: a batch of {batches.largest} takes {_peak_text(record)}.")
    elif record is not None:
        most_measured = f"The largest that was measured is {max(measured)}." if measured else "None was measured."
        notes.append(f"Not confirmed: a batch of {batches.largest} ended as {cells.outcome(record)}. {most_measured}")
    if batches.is_rough:
        notes.append(
            "Predicted peaks are rough on a CPU: layouts are taken to be CUDA's, and kernels to be those of float32."
        )
    return notes


def _data_set_notes(batches: PredictedBatches, records: Sequence[Record], images: int | None) -> list[str]:
    notes = []
    best = fastest(records)
    if best is not None:
        notes.append(f"Quickest: {_rate(best).text} {noun_of(best.case)}s/s in batches of {batch_of(best)}.")
    if images is not None:
        notes.append(_data_set_text(data_set(images, batches.case, _best_rate(records)), batches.case))
    return [*notes, _ALONE] if notes else []


def _data_set_text(wanted: DataSet, case: Case) -> str:
    latents = f"their latents in {case.dtype} {format_size(wanted.latent_bytes)}"
    count = f"{wanted.images:,} {noun_of(case)}{'' if wanted.images == 1 else 's'}"
    if wanted.seconds is None:
        return f"{count}: {latents}. How long it takes is not known before it is measured."
    return f"{count} take {format_seconds(wanted.seconds)}, {latents}."


def _best_rate(records: Sequence[Record]) -> float | None:
    best = fastest(records)
    return None if best is None else images_per_second(best)


def _peak(record: Record | None) -> Cell:
    """The peak in bytes; `OOM` and the like in its place."""
    if record is None:
        return Cell()
    if record.memory is None or record.memory.peak_bytes is None:
        return Cell() if images_per_second(record) else Cell(text=cells.outcome(record), kind=record.kind)
    return Cell(record.memory.peak_bytes, kind=record.kind)


def _peak_text(record: Record) -> str:
    peak = record.memory.peak_bytes if record.memory else None
    return "a peak that is not known" if peak is None else format_bytes(peak)


def _rate_name(case: Case) -> str:
    return f"{noun_of(case).capitalize()}s/s"


def _rate(record: Record | None) -> Cell:
    rate = None if record is None else images_per_second(record)
    return Cell() if rate is None or record is None else Cell(rate, text=f"{rate:.3g}", kind=record.kind)


def _is_curve_point(record: Record) -> bool:
    case = record.case
    return record.kind == "measured" and record.remote is None and case.operation == "encode" and "batch" in case.axes


def _but_for_batch(record: Record) -> str:
    return with_batch(record.case, 1).id


def _title(record: Record) -> str:
    precision = cells.precision_text(record.case)
    where = cells.device_name(record.device, record.vram_limit_bytes)
    tile = "" if record.case.tile is None else f", tiles {record.case.tile.label}"
    return f"{cells.call(record.case)} {size_of(record.case)}, {precision}{tile}, on {where}"


def _curve(group: Sequence[Record]) -> Table:
    return table_of(
        sorted(group, key=batch_of),
        (Column("Batch", "count"), batch_of),
        (Column(_rate_name(group[0].case), right=True), _rate),
        (Column("Time", "seconds"), cells.time),
        (Column("Peak", "bytes"), _peak),
    )


def _summary(group: Sequence[Record]) -> str:
    """What 10,000 images or videos take in the quickest batches."""
    best = fastest(group)
    if best is None:
        return "No batch could be measured."
    wanted = data_set(10_000, best.case, images_per_second(best))
    return f"In batches of {batch_of(best)}, {_data_set_text(wanted, best.case)}"
