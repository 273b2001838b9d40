"""The page on predicted times: the model, its figures, and its error on cards whose times it has not seen."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.analysis.speed.fit import Model
from bench.analysis.speed.held_out import Cell as HeldOut
from bench.analysis.speed.held_out import Evaluation, errors
from bench.analysis.speed.observation import LEAST_S
from bench.core.units import format_relative, format_seconds
from bench.record import Case, grouped
from bench.report.document import Block, Bullets, Cell, Column, Document, Section, Table, Terms, Text, table, table_of
from bench.report.pages import cells
from bench.workloads.labels import size_of, size_order

_PARTS = (
    (
        "products",
        "FLOPs of convolutions and linear layers over the card's rate for them. In float32 that is the TF32 rate for "
        "convolutions and the FP32 rate for linear layers, as torch does by default",
    ),
    ("attention", "FLOPs of its two products over the rate of the tensor cores"),
    ("traffic", "bytes that kernels read and write over the memory's bandwidth, as if nothing stayed in a cache"),
    ("launches", "the kernels that blend tiles, one for each row or column, which take no longer than their launch"),
)
_LIMITS = (
    "The form of the model was chosen by these same errors, so they flatter it somewhat.",
    "The rates are the makers', at the rated boost clock. A card's actual clock depends on its cooler and its power "
    "limit, which the model does not know: all times of a card may be off to the same side.",
    "The model ignores caches: a large L2 makes small images faster than predicted.",
    "Small images do not fill a card, and kernels other than those that blend tiles take time to launch too: on a "
    "fast card small images take longer than predicted.",
    "float16 and bfloat16 share their figures, whichever of them was measured.",
)
_NOT_FITTED = "Operations that were not fitted"


def page(evaluation: Evaluation) -> Document:
    """The page of a fitted model and its errors."""
    fitted, not_fitted = evaluation.fitted, evaluation.not_fitted
    blocks: tuple[Block, ...] = (
        Text("Written by `bench report` from the results and `gpus.yaml`; do not edit."),
        Text(_answer(fitted)),
        *([Text(_answer_beyond(not_fitted))] if not_fitted else []),
        Section("The model", _model(evaluation.model)),
        Section("Error of each card", _with_not_fitted(_cards, fitted, not_fitted)),
        Section("All times", (Bullets(_legend()), *_with_not_fitted(_times, fitted, not_fitted))),
        Section("Limits", (Bullets((_fitted_to(fitted), *_LIMITS)),)),
    )
    return Document("Time on a card that nobody measured", blocks)


def _with_not_fitted(
    table_of_cells: Callable[[Sequence[HeldOut]], Table], fitted: Sequence[HeldOut], not_fitted: Sequence[HeldOut]
) -> tuple[Block, ...]:
    """A table of what was fitted, and the same table of what was not."""
    beyond = [Section(_NOT_FITTED, (table_of_cells(not_fitted),))] if not_fitted else []
    return table_of_cells(fitted), *beyond


def _answer(fitted: Sequence[HeldOut]) -> str:
    result = errors(fitted)
    return (
        f"With each card left out of the fit in turn, the median error over all {result.cells} times is "
        f"{result.median:.1%} and the worst is {abs(result.worst.error):.1%}: {_worst(result.worst)}."
    )


def _answer_beyond(not_fitted: Sequence[HeldOut]) -> str:
    """Median, worst and mean error of operations that were not fitted."""
    result = errors(not_fitted)
    operations = " and ".join(sorted({cell.observed.case.operation for cell in not_fitted}))
    mean = format_relative(statistics.fmean(cell.error for cell in not_fitted))
    return (
        f"No times of {operations} were fitted. There the same model has a median error of {result.median:.1%} over "
        f"{result.cells} times and a worst error of {abs(result.worst.error):.1%}: {_worst(result.worst)}. "
        f"The mean error is {mean}: above 0, predictions are too long."
    )


def _worst(cell: HeldOut) -> str:
    return f"{cell.observed.card}, {_case(cell.observed.case)}"


def _model(model: Model) -> tuple[Block, ...]:
    half, single = model.half, model.single
    rows = [
        ("products, float16 and bfloat16", *_factor(half.products, "the rate")),
        ("products, float32", *_factor(single.products, "the rate")),
        ("attention, float16 and bfloat16", *_factor(half.attention, "the rate")),
        ("attention, float32", *_factor(single.attention, "the rate")),
        ("traffic", *_factor(model.traffic, "the bandwidth")),
        ("launches", Cell(model.launch_s, text=f"{model.launch_s * 1e6:.2g} µs"), "each"),
    ]
    return (
        Text("The time of a call is the sum of four parts. Each is a fitted figure times a quantity:"),
        Terms(_PARTS),
        Text(
            "FLOPs, bytes and launches are counted on the real module; the rates are those of `configs/gpus.yaml`. "
            "The figures are fitted by least squares on the relative errors, with no figure below 0."
        ),
        table([Column("Part"), Column("Figure", right=True), Column("Meaning")], rows),
    )


def _factor(factor: float, rate: str) -> tuple[Cell, str]:
    """A factor of the least possible time, and the share of the rate it means; more than 100% is due to a cache."""
    return Cell(factor, text=f"{factor:.2f}"), f"{1 / factor:.0%} of {rate}" if factor else "takes no time"


def _cards(held_out: Sequence[HeldOut]) -> Table:
    by_card = grouped(held_out, lambda cell: cell.observed.card)
    return table_of(
        [(group[0].observed.card, errors(group)) for group in by_card],
        (Column("Card left out"), lambda row: row[0]),
        (Column("Times", "count"), lambda row: row[1].cells),
        (Column("Median error", "ratio"), lambda row: cells.share(row[1].median)),
        (Column("Worst", "ratio"), lambda row: cells.change(row[1].worst.error)),
        (Column("Worst case"), lambda row: _case(row[1].worst.observed.case)),
    )


def _times(held_out: Sequence[HeldOut]) -> Table:
    groups = grouped(
        held_out, lambda cell: (cell.observed.card, cells.call(cell.observed.case), cell.observed.case.dtype)
    )
    ordered = [cell for group in groups for cell in sorted(group, key=lambda cell: size_order(cell.observed.case))]
    return table_of(
        ordered,
        (Column("Card left out"), lambda cell: cell.observed.card),
        (Column("Call"), lambda cell: cells.call(cell.observed.case)),
        (Column("Precision"), lambda cell: cell.observed.case.dtype),
        (Column("Size"), lambda cell: size_of(cell.observed.case)),
        (Column("Tiles"), lambda cell: _tiling(cell.observed.case)),
        (Column("Time", "seconds"), lambda cell: Cell(cell.observed.seconds, kind=cell.observed.kind)),
        (Column("Predicted", "seconds"), lambda cell: Cell(cell.predicted_s, kind="predicted")),
        (Column("Error", "ratio"), lambda cell: cells.change(cell.error)),
    )


def _legend() -> tuple[str, ...]:
    return (
        "Each prediction uses the model fitted without the times of that card. The error is relative to the known "
        "time. Precision, batch and tile of published times are assumed from the model zoo.",
        f"Only times above {format_seconds(LEAST_S)} are listed: the docs print whole milliseconds, which is too "
        "coarse for shorter ones.",
        "If the image is no larger than a tile, the tiled and the untiled call are the same. The docs print it twice, "
        "and it counts twice here.",
    )


def _fitted_to(fitted: Sequence[HeldOut]) -> str:
    cases = [cell.observed.case for cell in fitted]
    seen = dict.fromkeys(f"{cells.call(case)} in {case.dtype}" for case in cases)
    architectures = ", ".join(sorted({cell.observed.gpu.architecture for cell in fitted}))
    return (
        f"The model was fitted to {'; '.join(seen)}, each only on cards of {architectures}. These errors do not cover "
        "other operations, models, precisions or architectures."
    )


def _case(case: Case) -> str:
    return f"{cells.call(case)} {size_of(case)}{f', tiles of {case.tile.tile}' if case.tile else ''}"


def _tiling(case: Case) -> str:
    return f"{case.tile.tile}, overlap {case.tile.overlap}" if case.tile else "off"
