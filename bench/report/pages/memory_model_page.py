"""The page on predicted memory: every cell of the docs' tables, its prediction, and other programs' estimates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.analysis.memory.agreement import Agreement, agreement
from bench.analysis.memory.agreement import Cell as Published
from bench.core.units import format_bytes, format_count, format_relative
from bench.record import Case, grouped
from bench.report import document
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Picture,
    Section,
    Terms,
    Text,
    detail,
    table_of,
)
from bench.report.pages import cells
from bench.report.pages.cells import by_call, in_size_order
from bench.workloads.labels import size_of

PAGE = "memory_model.md"
PLOT = "memory_model.png"

_ESTIMATES = (
    (
        "this program",
        "what `bench predict` predicts without calibrations: live tensors from a trace of the model, workspaces of "
        "convolutions (memory that cuDNN takes besides the tensors), and a model of torch's allocator. A workspace is "
        "a share of the convolution's input and output, and these shares are fitted to these cells.",
    ),
    (
        "shares of the other architecture",
        "the same for an Ada card with the shares that are fitted to Ampere cards, and the other way round. So these "
        "cells had no part in the fit.",
    ),
    (
        "the rule for unknown architectures",
        "the same with the share, and the range, that predictions use for architectures without published peaks.",
    ),
    (
        "ComfyUI",
        "what ComfyUI frees before a call (`comfy/sd.py`, `memory_used_encode` and `memory_used_decode`): 1767 "
        "(encode) or 2178 (decode) times the image's pixels and the bytes of a value. With tiles too it counts the "
        "whole image.",
    ),
    (
        "InvokeAI",
        "likewise with 1100 and 2200 (`vae_working_memory.py`). With tiles it counts the pixels of one tile, and adds "
        "a quarter. In float32 it adds 250 MiB.",
    ),
)
_READING = (
    "The error is that of the peak that torch reserves, relative to the published peak, which the docs print as a "
    "share of the card's memory. `wrong verdict` marks cells whose verdict is wrong.",
    "A verdict says whether the call runs on the card. For ComfyUI and InvokeAI it does if the estimate is at most the "
    "card's memory less a CUDA context of typical size. Neither counts weights, so the model's are added.",
    "ComfyUI and InvokeAI free as much memory as they estimate, so their estimates are meant to be too high rather "
    "than too low.",
    "If the image is no larger than a tile, the tiled and the untiled call are the same. The docs print it twice, and "
    "it counts twice here.",
    "The docs do not say which versions of torch and cuDNN their figures were measured with.",
)


def page(published: Sequence[Published]) -> Document:
    """The page of the published cells with their estimates; `published` must not be empty."""
    names = tuple(published[0].guesses)
    blocks: tuple[Block, ...] = (
        Text(_answer(agreement(published, names[0]))),
        _summary(published, names),
        Picture(PLOT, "Estimated over published peak, for every cell"),
        Section("By model, tiling and card", _parts(published, names)),
        detail("Every cell", *(_cells(name, group, names) for name, group in _by_call(published))),
    )
    legend = (
        Terms(tuple((name, meaning) for name, meaning in _ESTIMATES if name in names)),
        Bullets(_READING),
        Text("Written by `bench report` from the docs' published figures; do not edit."),
    )
    return Document("Predicted memory against the docs' tables", blocks, legend)


def _answer(result: Agreement) -> str:
    worst = None if result.worst is None else abs(result.worst)
    return (
        f"{result.right} of {format_count(result.cells, 'verdict')} are right. The median error of the predicted peak "
        f"is {_percent(result.median)} and the worst {_percent(worst)}, over {format_count(result.peaks, 'peak')}. "
        f"{result.within} of {result.banded} published peaks are in the predicted range, whose upper end is typically "
        f"{_ratio(result.width)} times its lower end (median)."
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _summary(published: Sequence[Published], names: Sequence[str]) -> document.Table:
    return table_of(
        [(name, agreement(published, name)) for name in names],
        (Column("Estimate"), lambda row: row[0]),
        (Column("Median error", "ratio"), lambda row: cells.share(row[1].median)),
        (Column("Worst", "ratio"), lambda row: Cell() if row[1].worst is None else cells.change(row[1].worst)),
        (Column("Verdicts right", right=True), lambda row: f"{row[1].right} of {row[1].cells}"),
        (Column("In the range", right=True), lambda row: _share(row[1].within, row[1].banded)),
        (Column("Range, high over low", "ratio"), lambda row: Cell(row[1].width, text=_ratio(row[1].width))),
    )


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "-"


def _parts(published: Sequence[Published], names: Sequence[str]) -> tuple[Block, ...]:
    """Errors and verdicts by model and operation, by tiling and by card, with a column for each estimate."""
    kinds: tuple[Callable[[Published], str], ...] = (
        lambda cell: cells.call(cell.record.case),
        lambda cell: "tiled" if cell.record.case.tile else "untiled",
        lambda cell: cell.record.device.name,
    )
    rows = [
        (kind(group[0]), {name: agreement(group, name) for name in names})
        for kind in kinds
        for group in grouped(published, kind)
    ]
    errors = table_of(
        rows,
        (Column("Cells"), lambda row: row[0]),
        *((Column(_headed(name), right=True), _errors_of(name)) for name in names),
        title="Median error and worst error",
    )
    verdicts = table_of(
        rows,
        (Column("Cells"), lambda row: row[0]),
        *((Column(_headed(name), right=True), _verdicts_of(name)) for name in names),
        title="Right verdicts",
    )
    return errors, verdicts


def _errors_of(name: str) -> Callable[[tuple[str, dict[str, Agreement]]], str]:
    return lambda row: f"{_percent(row[1][name].median)}, {_signed(row[1][name].worst)}"


def _signed(value: float | None) -> str:
    return "-" if value is None else format_relative(value)


def _verdicts_of(name: str) -> Callable[[tuple[str, dict[str, Agreement]]], str]:
    return lambda row: _share(row[1][name].right, row[1][name].cells)


def _by_call(published: Sequence[Published]) -> list[tuple[str, list[Published]]]:
    return by_call(published, lambda cell: cell.record.case)


def _cells(name: str, group: Sequence[Published], names: Sequence[str]) -> Section:
    ordered = in_size_order(group, lambda cell: cell.record.case, lambda cell: cell.record.device.name)
    own, *others = names
    table = table_of(
        ordered,
        (Column("Card"), lambda cell: cell.record.device.name),
        (Column("Size"), lambda cell: size_of(cell.record.case)),
        (Column("Tiles"), lambda cell: _tiles(cell.record.case)),
        (Column("Published", "bytes"), lambda cell: _peak(cell.published_bytes)),
        (Column("Predicted", "bytes"), lambda cell: _peak(cell.guesses[own].reserved_bytes)),
        (Column("Range", right=True), lambda cell: _band(cell.guesses[own].band)),
        (Column("Error", "ratio"), _error_of(own)),
        *((Column(_headed(each), "ratio"), _error_of(each)) for each in others),
    )
    return Section(name, (table,), folded=True)


def _error_of(name: str) -> Callable[[Published], Cell]:
    """A cell with the error of an estimate, and its verdict if that is wrong."""

    def cell(published: Published) -> Cell:
        error = published.error(name)
        wrong = "" if published.is_right(name) else "wrong verdict"
        return Cell(text="-", note=wrong) if error is None else Cell(error, text=f"{error:+.1%}", note=wrong)

    return cell


def _headed(name: str) -> str:
    return name[0].upper() + name[1:]


def _tiles(case: Case) -> str:
    return str(case.tile.tile) if case.tile else "off"


def _peak(size: int | None) -> Cell:
    return Cell(text=cells.OOM) if size is None else Cell(size)


def _band(band: tuple[int, int] | None) -> str:
    return "-" if band is None else f"{format_bytes(band[0])} to {format_bytes(band[1])}"
