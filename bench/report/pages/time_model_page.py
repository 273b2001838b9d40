"""The page on predicted times: the model, its figures, and how far it is off on cards that it has not seen.

Reads what `speed` fitted; never torch. Every time is marked published (or measured) or predicted.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.analysis.speed.fit import Model
from bench.analysis.speed.held_out import Cell, errors
from bench.analysis.speed.observation import LEAST_S
from bench.core.units import format_relative, format_seconds
from bench.record import Case
from bench.report.pages.kinds import marked
from bench.report.render import markdown
from bench.report.render.markdown import safe
from bench.workloads import models
from bench.workloads.labels import size_of

_MODEL = (
    "A call takes the sum of four parts, each a fitted figure times what the case and the card give:",
    (
        "*products*: FLOPs of convolutions and linear layers over the card's rate for them (float32: TF32 for "
        "convolutions, FP32 for linear layers, as torch does by default);",
        "*attention*: FLOPs of its two products over the tensor cores' rate;",
        "*traffic*: bytes that kernels read and write over the memory's bandwidth, as if nothing stayed in a cache;",
        "*launches*: the kernels that blend tiles, a row or column at a time, and take no more than their launch.",
    ),
    "FLOPs, bytes and launches are counted on the real module, the rates are those of `configs/gpus.yaml`. The figures "
    "are those of the least sum of squared relative errors, none below 0.",
)
_LEGEND = (
    "*published*: printed in the docs, not measured by this program; what they do not say of it (precision, batch, "
    "tile) is assumed from the model zoo. *measured*: by this program. *predicted*: by the model as fitted **without "
    "any time of that card**. The error is that of the prediction, relative to the other time.",
    "Times above {least}: the docs print whole milliseconds, so what is shorter says too little.",
    "Where the image is no larger than a tile, tiled and untiled are one call, printed twice in the docs and counted "
    "twice here.",
)
_LIMITS = (
    "The form of the model was chosen by these same errors, so they flatter it somewhat.",
    "Rates are the makers', at the rated boost clock. What a card runs at depends on its cooler and its power limit, "
    "which no figure here knows: a card may be off to one side throughout.",
    "Caches have no part in it. What a large L2 gains on small images is in the error.",
    "Small images do not fill a card, and other kernels than those that blend tiles take time to launch as well: on a "
    "quick card small images take longer than predicted.",
    "float16 and bfloat16 share their figures, whichever of them was seen.",
)


def render(model: Model, cells: Sequence[Cell], others: Sequence[Cell] = ()) -> str:
    """The page. Ends in a newline.

    `cells` are all that the model was fitted on, `others` what it was not; each predicted without its card.
    """
    texts = [
        "# Time on a card that nobody measured",
        "Written by `bench report` from the results and `gpus.yaml`; edit nothing here.",
        *_answer(cells),
        *_other_answer(others),
        "## The model",
        _MODEL[0],
        markdown.bullets(_MODEL[1]),
        _MODEL[2],
        _figures(model),
        "## By card left out",
        _cards(cells),
        *(["### Of what was not fitted", _cards(others)] if others else []),
        "## Every cell",
        markdown.bullets([line.format(least=format_seconds(LEAST_S)) for line in _LEGEND]),
        _table(cells),
        *(["### Of what was not fitted", _table(others)] if others else []),
        "## What it does not know",
        markdown.bullets([*_unseen(cells), *_LIMITS]),
    ]
    return "\n\n".join(texts) + "\n"


def _answer(cells: Sequence[Cell]) -> list[str]:
    """Median and worst, in a paragraph."""
    all_of_them = errors(cells)
    worst = all_of_them.worst
    return [
        f"Each card in turn left out of the fit, the median error of {all_of_them.cells} times is "
        f"**{all_of_them.median:.1%}** and the worst **{abs(worst.error):.1%}**: "
        f"{safe(worst.observed.card)}, {safe(_case(worst.observed.case))}."
    ]


def _other_answer(cells: Sequence[Cell]) -> list[str]:
    """How far it is off where nothing was fitted: median, worst and to which side, in a paragraph."""
    if not cells:
        return []
    held_out = errors(cells)
    worst = held_out.worst
    operations = _listed({cell.observed.case.operation for cell in cells})
    return [
        f"Of {operations} nothing is fitted. The same model, again without any time of the card, is off there by "
        f"**{held_out.median:.1%}** in the median of {held_out.cells} times and **{abs(worst.error):.1%}** at worst: "
        f"{safe(worst.observed.card)}, {safe(_case(worst.observed.case))}. On average it says "
        f"{format_relative(statistics.fmean(cell.error for cell in cells))}."
    ]


def _listed(names: set[str]) -> str:
    return " and ".join(sorted(names))


def _figures(model: Model) -> str:
    half, single = model.half, model.single
    rows = [
        ["products, float16 and bfloat16", f"{half.products:.2f}", _reached(half.products, "the rate")],
        ["products, float32", f"{single.products:.2f}", _reached(single.products, "the rate")],
        ["attention, float16 and bfloat16", f"{half.attention:.2f}", _reached(half.attention, "the rate")],
        ["attention, float32", f"{single.attention:.2f}", _reached(single.attention, "the rate")],
        ["traffic", f"{model.traffic:.2f}", _reached(model.traffic, "the bandwidth")],
        ["launches", f"{model.launch_s * 1e6:.2g} µs", "each"],
    ]
    return markdown.table(["Part", "Figure", "Which is"], rows, "lrl")


def _reached(factor: float, what: str) -> str:
    """What a factor of the least time means; above the bandwidth is what a cache spares."""
    return f"{1 / factor:.0%} of {what}" if factor else "no time at all"


def _cards(cells: Sequence[Cell]) -> str:
    rows = []
    for card in dict.fromkeys(cell.observed.card for cell in cells):
        own = [cell for cell in cells if cell.observed.card == card]
        found = errors(own)
        rows.append(
            [
                safe(card),
                str(found.cells),
                f"{found.median:.1%}",
                format_relative(found.worst.error),
                safe(_case(found.worst.observed.case)),
            ]
        )
    return markdown.table(["Card left out", "Times", "Median error", "Worst", "Worst is"], rows, "lrrrl")


def _table(cells: Sequence[Cell]) -> str:
    rows = []
    for cell in cells:
        observed, case = cell.observed, cell.observed.case
        rows.append(
            [
                safe(observed.card),
                safe(f"{models.title(case.model)} {case.operation}"),
                case.dtype,
                size_of(case),
                _tiling(case),
                marked(format_seconds(observed.seconds), observed.kind),
                marked(format_seconds(cell.predicted_s), "predicted"),
                format_relative(cell.error),
            ]
        )
    headers = ["Card left out", "Call", "Precision", "Size", "Tiles", "Time", "Predicted", "Error"]
    return markdown.table(headers, rows, "lllllrrr")


def _unseen(cells: Sequence[Cell]) -> list[str]:
    """What the cells have, so that the reader sees what they have not."""
    cases = [cell.observed.case for cell in cells]
    seen = {f"{models.title(case.model)} {case.operation} in {case.dtype}": None for case in cases}
    architectures = ", ".join(sorted({cell.observed.gpu.architecture for cell in cells}))
    return [
        f"It was fitted on {safe('; '.join(seen))}, each on cards of {architectures} alone. A prediction of another "
        "operation, model, precision or architecture goes beyond these times, and none of these errors is of that."
    ]


def _case(case: Case) -> str:
    tiles = f", tiles of {case.tile.tile}" if case.tile else ""
    return f"{models.title(case.model)} {case.operation} {size_of(case)}{tiles}"


def _tiling(case: Case) -> str:
    return f"{case.tile.tile}, overlap {case.tile.overlap}" if case.tile else "off"
