"""The page on predicted times: the model, its figures, its errors on times left out of the fit, and the range beyond.

The plot is `time_plot`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.analysis.speed.clock import Clock
from bench.analysis.speed.evaluation import Check, Evaluation, Trial
from bench.analysis.speed.extrapolation import is_other_class
from bench.analysis.speed.fit import LEAST, Model
from bench.analysis.speed.held_out import Cell as HeldOut
from bench.analysis.speed.held_out import Errors, errors
from bench.analysis.speed.observation import LEAST_S
from bench.analysis.speed.parts import CACHE_BYTES, FORM
from bench.core.units import format_seconds
from bench.record import Case, grouped
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Picture,
    Section,
    Table,
    Terms,
    Text,
    detail,
    table,
    table_of,
)
from bench.report.pages import cells
from bench.workloads.labels import size_of, size_order

#: The plot's file.
PLOT = "time_model.png"
_PARTS = (
    (
        "products",
        "FLOPs of convolutions and linear layers over the card's rate for them. In float32 that is the TF32 rate for "
        "convolutions and the FP32 rate for linear layers, as torch does by default",
    ),
    (
        "attention",
        "FLOPs of its two products over the rate of the tensor cores; torch's float32 kernel computes each as three "
        "TF32 products",
    ),
    (
        "memory",
        "bytes that kernels read and write over the memory's bandwidth, of tensors that do not stay in the L2 cache. A "
        f"tensor is taken to stay there if it is smaller than {FORM.cache_share:g} times the cache",
    ),
    ("cache", f"bytes of all tensors over {CACHE_BYTES} bytes for each clock cycle and multiprocessor"),
    (
        "group normalisation",
        "clock cycles for mean and variance. torch computes those of a group in one block of threads, so 32 groups "
        "keep 32 multiprocessors busy on any card, and a card with a higher clock is quicker",
    ),
    ("launches", "the kernels that blend tiles: four for each row or column, too short to hide their launch"),
)
_RULE = (
    "Each architecture is left out of the fit in turn, and the worst of these predictions sets the range. If it is off "
    "by a factor of 1.2, the range is from the predicted time divided by 1.44, the square of 1.2, to the predicted "
    "time multiplied by 1.44. The factor is squared because so few architectures are known.",
    "The lower end is at least the time of the matrix products at the card's rated rates.",
    "The same range is used for whatever else goes beyond the fit: a model, a precision, an operation, a batch or a "
    "ratio of tensor cores to FP32 units that no fitted time has, and times below the shortest fitted one. Of a tight "
    "fit only the lower end is known.",
    "A model of a class of which no time was fitted may run kernels that were never timed. The factor is then applied "
    "twice, which is a guess.",
    "A variant with other kernels (`channels-last`, `compiled`) has no predicted time until one has been measured.",
)
_HISTORY = (
    "The rule was not written blind. The time of Flux below, published for an H200, was known before the terms of the "
    "model and the rule were chosen. That the model then was far too quick on it showed that group normalisation was "
    "missing.",
    "The first rule took one error for each architecture and Student's t at 90%. For two architectures that is 2.92 "
    "times their root mean square, and the ends of its ranges were a factor of 3.1 apart. A factor of 3 had been set "
    "beforehand as the widest that is of use, so the rule was changed to twice the worst error.",
    "No figure and no range was fitted to the times below. But since both choices were made with that of Flux in "
    "sight, that it is in its range does not confirm the rule. The times of FLUX.2 came later, and no figure was "
    "changed for them. The wider range of other classes was chosen when they were known, before they were predicted.",
)
_NOT_PREDICTED = (
    "No range: the model of times does not know the kernels of that setting, or those of that call were not counted."
)
_LIMITS = (
    "The form of the model was chosen by these same errors, so they make it look somewhat better than it is.",
    "The rates are the makers', at the rated boost clock. A card's actual clock depends on its cooler and its power "
    "limit, which the model does not know: all times of a card may be too long, or all too short.",
    "All fitted cards have GDDR memory and tensor cores that are 2 times (float16) and once (float32) as fast as their "
    "FP32 units, so it is least certain how the time divides between these on cards with HBM or other tensor cores.",
    "Small images take longer than predicted, because they do not fill a card. The model does not know that.",
    "Copies to the layout that tensor cores need, and back, were tried as a part. Its figure came to 0, because that "
    "of memory includes them. So a batch, whose layouts differ, is beyond the fit, and so is `channels-last`.",
    "float16 and bfloat16 share their figures, whichever of them was measured.",
)


def page(evaluation: Evaluation) -> Document:
    """The page of a fitted model and its errors."""
    cards, architectures = evaluation.cards, evaluation.architectures
    blocks: tuple[Block, ...] = (
        Text(_answer(cards, "card")),
        *([Text(_answer(architectures, "architecture"))] if architectures else []),
        *([Text(_range_answer(evaluation.clock))]),
        Picture(PLOT, "Predicted over published time, with each card and each architecture left out of the fit."),
        Section("The model", _model(evaluation.clock.model)),
        Section("Error of each card", (_groups(cards, "Card left out", lambda cell: cell.observed.card),)),
        *([Section("Error of each architecture", (_by_architecture(evaluation),))] if architectures else []),
        Section("Beyond the fit", _beyond(evaluation)),
        *([detail("Other forms of the model", *_trials(evaluation))] if evaluation.trials else []),
        detail("All times", Bullets(_times_legend()), _times(evaluation)),
        Section("Limits", (Bullets((_fitted_to(cards), *_LIMITS)),)),
    )
    written = Text("Written by `bench report` from the results and `configs/gpus.yaml`; do not edit.")
    return Document("Time on a card that nobody measured", blocks, (written,))


def _answer(held_out: Sequence[HeldOut], what: str) -> str:
    result = errors(held_out)
    return (
        f"With each {what} left out of the fit in turn, the median error over all {result.cells} times is "
        f"{result.median:.1%} and the worst is {abs(result.worst.error):.1%}: {_worst(result.worst)}."
    )


def _range_answer(clock: Clock) -> str:
    if clock.spread is None:
        return "Beyond what was fitted, only a least time is known, because the fit has only one architecture."
    return (
        f"Beyond what was fitted, the time is a range: from the predicted time divided by {clock.spread:.2f} to the "
        f"predicted time multiplied by it."
    )


def _worst(cell: HeldOut) -> str:
    return f"{cell.observed.card}, {_case(cell.observed.case)}"


def _model(model: Model) -> tuple[Block, ...]:
    half, single, least = model.half, model.single, LEAST
    rows = [
        ("products, float16 and bfloat16", *_factor(half.products, least.half.products, "the rate")),
        ("products, float32", *_factor(single.products, least.single.products, "the rate")),
        ("attention, float16 and bfloat16", *_factor(half.attention, least.half.attention, "the rate")),
        ("attention, float32", *_factor(single.attention, least.single.attention, "the rate")),
        ("memory", *_factor(model.memory, least.memory, "the bandwidth")),
        ("cache", Cell(model.cache, text=f"{model.cache:.2f}"), _per_cycle(model.cache)),
        (
            "group normalisation",
            Cell(model.normalisation, text=f"{model.normalisation:.2f}"),
            "clock cycles for a value, in one block",
        ),
        ("launches", Cell(model.launch_s, text=f"{model.launch_s * 1e6:.2g} µs"), "each"),
    ]
    return (
        Text("The time of a call is the sum of its parts. Each is a fitted figure times a quantity:"),
        Terms(_PARTS),
        Text(
            "FLOPs, tensors and launches are counted in the trace of the real module; the rates are those of "
            "`configs/gpus.yaml`. The figures are fitted by least squares on the relative errors. No figure may be "
            "below what the hardware allows: 1, for a factor of the least possible time."
        ),
        table([Column("Part"), Column("Figure", right=True), Column("Meaning")], rows),
    )


def _factor(factor: float, least: float, rate: str) -> tuple[Cell, str]:
    """A factor of the least possible time, and the share of the rate it means."""
    bound = ", the least that is allowed" if factor <= least else ""
    return Cell(factor, text=f"{factor:.2f}"), f"{1 / factor:.0%} of {rate}{bound}"


def _per_cycle(factor: float) -> str:
    bound = ", the most that is allowed" if factor <= 1 else ""
    return f"{CACHE_BYTES / factor:.2g} bytes a cycle and multiprocessor{bound}"


def _by_architecture(evaluation: Evaluation) -> Table:
    names = {
        id(cell): f"{seen.gpu.architecture} ({seen.gpu.compute_capability})"
        for cell, seen in zip(evaluation.architectures, evaluation.fitted, strict=True)
    }
    return _groups(evaluation.architectures, "Architecture left out", lambda cell: names[id(cell)])


def _groups(held_out: Sequence[HeldOut], header: str, name_of: Callable[[HeldOut], str]) -> Table:
    groups = grouped(held_out, name_of)
    return table_of(
        [(name_of(group[0]), errors(group)) for group in groups],
        (Column(header), lambda row: row[0]),
        (Column("Times", "count"), lambda row: row[1].cells),
        (Column("Median error", "ratio"), lambda row: cells.share(row[1].median)),
        (Column("Worst", "ratio"), lambda row: cells.change(row[1].worst.error)),
        (Column("Worst case"), lambda row: _worst_case(row[1].worst, header)),
    )


def _worst_case(cell: HeldOut, header: str) -> str:
    return _case(cell.observed.case) if header.startswith("Card") else _worst(cell)


def _beyond(evaluation: Evaluation) -> tuple[Block, ...]:
    checks = evaluation.checks
    if not checks:
        return (Bullets(_RULE),)
    return (
        Bullets(_RULE),
        detail("How the rule came about", Bullets(_HISTORY)),
        Text("Published elsewhere, and in no fit:"),
        _checks(checks),
        *([Text(_NOT_PREDICTED)] if any(check.estimate is None for check in checks) else []),
        *_of_other_classes(checks, evaluation.clock),
    )


def _of_other_classes(checks: Sequence[Check], clock: Clock) -> list[Block]:
    """What the second factor of other classes decides: how many of their times are in the range of one."""
    factors = [
        check.published.seconds / check.estimate.seconds
        for check in checks
        if check.estimate is not None and is_other_class(check.published.case, clock.scope)
    ]
    if not factors or clock.spread is None:
        return []
    inside = sum(1 / clock.spread <= factor <= clock.spread for factor in factors)
    return [
        Text(
            f"Of these times {len(factors)} are of another class. If the factor were applied once for them, {inside} "
            "would be in their range."
        )
    ]


def _checks(checks: Sequence[Check]) -> Table:
    return table_of(
        checks,
        (Column("Card"), lambda check: check.published.card),
        (Column("Call"), lambda check: _case(check.published.case)),
        (Column("Precision"), lambda check: check.published.case.dtype),
        (Column("Setting"), lambda check: check.published.setting),
        (Column("Published", "seconds"), lambda check: check.published.seconds),
        (Column("From", "seconds"), lambda check: _end(check, "least")),
        (Column("To", "seconds"), lambda check: _end(check, "most")),
        (Column("Source"), lambda check: check.published.source),
    )


def _end(check: Check, end: str) -> Cell:
    if check.estimate is None:
        return Cell()
    between = check.estimate.between
    if between is None:
        return Cell(check.estimate.seconds, kind="predicted")
    return Cell(between.least_s if end == "least" else between.most_s, kind="predicted")


def _trials(evaluation: Evaluation) -> tuple[Block, ...]:
    return (
        Text(
            "Two choices were made by reasoning, not by fitting. A tensor counts as staying in the L2 cache until the "
            f"next kernel reads it if it is smaller than {FORM.cache_share:g} times the cache, because a kernel's "
            "input and output need room at the same time (with 0 nothing stays). And only the launches of kernels that "
            "blend tiles count, because a kernel that takes longer than a launch hides the launch of the next one."
        ),
        Text(
            "Other choices give other figures, above all for group normalisation, which the times of the fitted cards "
            "do not determine well. The last column counts the times above that are in no fit and in the range:"
        ),
        table_of(
            evaluation.trials,
            (Column("Share of the cache", right=True), lambda trial: f"{trial.form.cache_share:g}"),
            (Column("Launches that count"), lambda trial: "all" if trial.form.every_launch else "blends"),
            (Column("Median, card left out", "ratio"), lambda trial: _median(trial.clock.errors)),
            (Column("Worst, card left out", "ratio"), lambda trial: _largest(trial.clock.errors)),
            (Column("Median, architecture left out", "ratio"), lambda trial: _median(trial.clock.architecture_errors)),
            (Column("Worst, architecture left out", "ratio"), lambda trial: _largest(trial.clock.architecture_errors)),
            (Column("Cycles of group normalisation", right=True), _cycles),
            (Column("Not fitted, in the range", right=True), _in_range),
        ),
    )


def _median(result: Errors | None) -> Cell:
    return cells.share(None if result is None else result.median)


def _largest(result: Errors | None) -> Cell:
    return cells.share(None if result is None else abs(result.worst.error))


def _cycles(trial: Trial) -> Cell:
    figure = trial.clock.model.normalisation
    return Cell(figure, text=f"{figure:.2f}")


def _in_range(trial: Trial) -> str:
    predicted = [check for check in trial.checks if check.estimate is not None]
    return f"{sum(check.holds for check in predicted)} of {len(predicted)}"


def _times(evaluation: Evaluation) -> Table:
    by_architecture = {id(cell): None for cell in evaluation.cards} | {
        id(cell): other for cell, other in zip(evaluation.cards, evaluation.architectures, strict=False)
    }
    groups = grouped(
        evaluation.cards, lambda cell: (cell.observed.card, cells.call(cell.observed.case), cell.observed.case.dtype)
    )
    ordered = [cell for group in groups for cell in sorted(group, key=lambda cell: size_order(cell.observed.case))]

    def architecture_error(cell: HeldOut) -> Cell:
        other = by_architecture[id(cell)]
        return Cell() if other is None else cells.change(other.error)

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
        (Column("Error without its architecture", "ratio"), architecture_error),
    )


def _times_legend() -> tuple[str, ...]:
    return (
        "Each prediction uses the model fitted without the times of that card, and the last column the one fitted "
        "without those of its architecture. The error is relative to the known time. Precision, batch and tile of "
        "published times are assumed from the model zoo.",
        f"Only times above {format_seconds(LEAST_S)} are listed: the docs print whole milliseconds, which is too "
        "coarse for shorter ones.",
        "If the image is no larger than a tile, the tiled and the untiled call are the same. The docs print it twice, "
        "and it counts twice here.",
    )


def _fitted_to(fitted: Sequence[HeldOut]) -> str:
    cases = [cell.observed.case for cell in fitted]
    seen = dict.fromkeys(f"{cells.call(case)} in {case.dtype}" for case in cases)
    return f"The model was fitted to {'; '.join(seen)}. Its errors do not cover anything else."


def _case(case: Case) -> str:
    return f"{cells.call(case)} {size_of(case)}{f', tiles of {cells.tile_edge(case.tile)}' if case.tile else ''}"


def _tiling(case: Case) -> str:
    return f"{case.tile.tile}, overlap {case.tile.overlap}" if case.tile else "off"
