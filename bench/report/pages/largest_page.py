"""The largest images and batches that fit cards, for the terminal (`bench predict --fits`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from bench.analysis.planning.largest_image import Largest, LargestImages
from bench.core.boundary import Boundary
from bench.record import Case
from bench.report import document
from bench.report.document import Bullets, Cell, Column, Document, table_of
from bench.report.pages import cells
from bench.report.pages.cells import MEMORY_ASSUMED, tile_edge
from bench.report.pages.predicted_tables import WORDS
from bench.vram import assumptions

_OF_IMAGES = "Edges of square images in pixels, or numbers of untiled images in a batch"
_OF_PROMPTS = "numbers of prompts in a batch"
_LEGEND = (
    "{counted}. Before the slash is the largest that fits with memory to spare (high or medium confidence), after it "
    "the largest that runs at all (tight, or fits with low confidence). Every figure is predicted; 0 means that none "
    "fits."
)
_TILED = (
    "Tiled: in the model's own tiles, with their edge in brackets. An image no larger than a tile is computed whole."
)
_MOST = "+: nothing larger was tried."
_INDEX_LIMIT = (
    "+ without tiles: a larger image or batch has a tensor of 2^31 elements or more. What kernels take beyond 32-bit "
    "indices is not known, so nothing larger was tried."
)
_TILED_MOST = "+ in tiles: nothing larger than {most} px was tried."
_GAPS = "~: some slightly smaller sizes do not fit, because the allocator places their tensors less well."


def terminal(results: Sequence[LargestImages]) -> Document:
    """A table for each card; for several cards, one for each model, operation and precision."""
    is_one_card = len({each.place.label for each in results}) == 1
    return Document("", (_table(results, is_one_card=is_one_card), Bullets(tuple(_notes(results)), tone="quiet")))


def _table(results: Sequence[LargestImages], *, is_one_card: bool) -> document.Table:
    edges = dict.fromkeys(edge for each in results for edge in each.batches)
    lengths = dict.fromkeys(tokens for each in results for tokens in each.prompts)
    of_images = [
        (Column("Untiled", right=True), lambda each: _cell(each, each.untiled)),
        (Column("Tiled", right=True), _tiled_cell),
    ]
    return table_of(
        results,
        (Column("Card", splits_table=is_one_card, may_wrap=True), lambda each: each.place.label),
        (Column("Call", splits_table=not is_one_card), lambda each: _call(each.case)),
        *(of_images if edges or not lengths else ()),
        *(_batch_column(edge) for edge in edges),
        *(_prompts_column(tokens) for tokens in lengths),
        title="What fits",
    )


def _batch_column(edge: int) -> tuple[Column, Callable[[LargestImages], Cell]]:
    return Column(f"Batch at {edge}", right=True), lambda each: _cell(each, each.batches.get(edge))


def _prompts_column(tokens: int) -> tuple[Column, Callable[[LargestImages], Cell]]:
    return Column(f"Prompts of {tokens} tokens", right=True), lambda each: _cell(each, each.prompts.get(tokens))


def _call(case: Case) -> str:
    return f"{cells.call(case)}, {case.dtype}"


def _cell(images: LargestImages, largest: Largest | None) -> Cell:
    """`1624 / 2440`, `8192+`, `0`."""
    if images.no_torch is not None:
        return Cell(text=WORDS["unsupported"], tone="bad")
    if largest is None:
        return Cell()
    fits, runs = _number(largest.fits), _number(largest.runs)
    text = fits if fits == runs else f"{fits} / {runs}"
    return Cell(text=text, tone="plain" if largest.fits.last else "warning" if largest.runs.last else "bad")


def _tiled_cell(images: LargestImages) -> Cell:
    cell = _cell(images, images.tiled)
    if images.tile is None or images.tiled is None:
        return cell
    return Cell(text=f"{cell.text} ({tile_edge(images.tile)})", tone=cell.tone)


def _number(boundary: Boundary) -> str:
    return f"{boundary.last}{'+' if boundary.is_most else ''}{'~' if boundary.has_gaps else ''}"


def _legend(results: Sequence[LargestImages]) -> list[str]:
    """What the figures of the table are."""
    has_prompts = any(each.prompts for each in results)
    has_images = not has_prompts or any(each.untiled or each.tiled or each.batches for each in results)
    counted = [_OF_IMAGES] if has_images else []
    counted += [_OF_PROMPTS if has_images else _OF_PROMPTS.capitalize()] if has_prompts else []
    return [_LEGEND.format(counted="; ".join(counted)), *([_TILED] if has_images else [])]


def _notes(results: Sequence[LargestImages]) -> list[str]:
    """The legend, what limits the search, and what is assumed."""
    untiled = [
        largest
        for each in results
        for largest in (each.untiled, *each.batches.values(), *each.prompts.values())
        if largest
    ]
    tiled = [each.tiled for each in results if each.tiled]
    notes = _legend(results)
    if any(largest.runs.is_most and largest.is_index_limit for largest in untiled):
        notes.append(_INDEX_LIMIT)
    if any(largest.runs.is_most and not largest.is_index_limit for largest in untiled):
        notes.append(_MOST)
    if any(largest.runs.is_most for largest in tiled):
        most = sorted({largest.most for largest in tiled})
        notes.append(_TILED_MOST.format(most=" or ".join(map(str, most))))
    if any(grade.has_gaps for largest in (*untiled, *tiled) for grade in (largest.fits, largest.runs)):
        notes.append(_GAPS)
    assumed = dict.fromkeys(each.place.card for each in results if each.place.card and each.place.is_memory_assumed)
    notes += [f"Memory assumed for {', '.join(assumed)}: {MEMORY_ASSUMED}."] if assumed else []
    no_torch = dict.fromkeys((each.place.card, each.no_torch) for each in results if each.no_torch)
    notes += [f"No torch for {card}: {reason}." for card, reason in no_torch]
    lacking = dict.fromkeys((each.case.dtype, each.place.label, each.lacks) for each in results if each.lacks)
    notes += [f"Not in {dtype} on {card}: {reason}." for dtype, card, reason in lacking]
    return [*notes, assumptions.stated(os.environ, results[0].place.allocator)]
