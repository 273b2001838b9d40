"""Advice as documents: for one card on the terminal, and over all cards as the page `reports/advice.md`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from bench.analysis.advise.times import Clock
from bench.analysis.advise.ways import Advice, Local, Ranked
from bench.core.units import format_bytes, format_count
from bench.record import grouped
from bench.report import document
from bench.report.document import Block, Bullets, Document, Section, Terms, Text, detail
from bench.report.pages import advice_changes, advice_words
from bench.report.pages.advice_tables import BEYOND, card_table, size_table, ways_table
from bench.report.pages.cells import TIGHT, by_call, featured
from bench.report.pages.hybrid_tables import Networks, networks_table, title_of
from bench.vram import assumptions
from bench.workloads import models
from bench.workloads.labels import size_order, whole_size_of

PAGE = "advice.md"
#: On the terminal, more images than this get short tables, after all recommendations.
_FEW = 4
_SHORT = 3
_CONFIDENCE = ("? and ??", "medium and low confidence that it fits.")
_CHOICE = (
    "Of the ways that fit, the quickest is advised.",
    "If several take about as long, the one that changes the picture least is advised. About as long means within a "
    "tenth, or within the worst error below if one of the two times is predicted.",
)
_PICTURE = (
    ("Untiled", "no change. Slicing, which computes the images of a batch one after another, changes nothing either."),
    (
        "Tiles",
        "the picture changes where they meet: neighbours are blended over a quarter of a tile, and normalisation and "
        "attention see only one tile. Smaller tiles have more seams, so larger ones are preferred if they take about "
        "as long.",
    ),
    (
        "A lower precision",
        "the whole picture changes. It is never recommended for its time alone: only if nothing in the model's own "
        "precision fits comfortably. `bench advise --gpu NAME` shows what it would gain, and what it risks. If it may "
        "give black images, it comes after all other ways that fit.",
    ),
    (
        "float32 instead of a precision that the card lacks",
        "cards before Ampere have no bfloat16, and GTX 16 cards may give black images in float16. float32 takes more "
        "memory and changes the picture little.",
    ),
    (
        "Remote",
        "depends on the endpoint, which has a precision, tiles and an image format (JPEG by default) of its own.",
    ),
)


def page(advice: Sequence[Advice], clock: Clock | None, networks: Networks) -> Document:
    """The recommended way for each image on each card."""
    network = next(iter(networks))
    return Document(
        "What to run on each card",
        (
            Text(
                "The recommended way, its peak as a share of the card's memory, and the time of one call. "
                "`bench advise --gpu NAME` lists every way for one card at any size, with reasons."
            ),
            *_by_size(advice, networks),
            *(detail(name, *_call(group, networks)) for name, group in _by_call(advice)),
            detail("What changes the picture", Terms(_PICTURE)),
            detail("The network", networks_table({network: networks[network]})),
        ),
        (
            Terms(_legend(title_of(network, networks))),
            Bullets(
                (
                    *_CHOICE,
                    assumptions.of(advice[0].place.allocator),
                    *advice_words.place_notes(advice),
                    *advice_words.time_notes(clock, advice),
                    _assumed(advice),
                ),
                "What the advice rests on",
            ),
            Text("Written by `bench advise` from the results, `gpus.yaml` and `networks.yaml`; do not edit."),
        ),
    )


def terminal(advice: Sequence[Advice], clock: Clock | None, networks: Networks) -> Document:
    """The recommendations, all ways of each image with their reasons (of many images: the first few), and notes."""
    few = len(advice) <= _FEW
    blocks: list[Block] = []
    for each in advice:
        why = Bullets(tuple(_notes(each)) if few else (f"Why: {each.reason}.",))
        table = [ways_table([(each, ranked) for ranked in each.ranked], networks, has_reasons=True)] if few else []
        blocks.append(Section(advice_words.headline(each, networks), (why, *table)))
    blocks += [] if few else [_first_ways(name, group, networks) for name, group in _by_call(advice)]
    notes = [
        "Peak: of torch's pool, weights included; the CUDA context comes on top.",
        f"tight: {TIGHT} {_CONFIDENCE[0]}: {_CONFIDENCE[1]}",
        *_tiles_note(advice),
        assumptions.stated(os.environ, advice[0].place.allocator),
        *advice_words.risks(way for each in advice for way in each.local),
        *advice_words.place_notes(advice),
        *advice_words.time_notes(clock, advice),
        *_beyond_note([ranked for each in advice for ranked in each.ranked]),
    ]
    if any(ranked.standing == "remote" and ranked.way.time for each in advice for ranked in each.ranked):
        notes.append(
            "remote: a request from end to end over the network, with a new connection each, by an endpoint or by a "
            "card that stands in for one (`bench hybrid`); predicted if nobody timed that card. Choose another network "
            "with --network."
        )
    return Document("", (*blocks, Bullets(tuple(notes), tone="quiet")))


def _tiles_note(advice: Sequence[Advice]) -> list[str]:
    """What tiles change; nothing if there are none."""
    if not any(way.option.case.tile for each in advice for way in each.local):
        return []
    return ["Tiles are edge/overlap in pixels. They change the picture where they meet, a lower precision everywhere."]


def summary(advice: Sequence[Advice]) -> str:
    """How many of the images go which way, in a line."""
    ways = Counter(_kind_of_way(each) for each in advice)
    counts = ", ".join(f"{count} {way}" for way, count in ways.most_common())
    images = format_count(len({each.image.id for each in advice}), "image")
    return f"{images} on {format_count(len({each.place.label for each in advice}), 'card')}: {counts}"


def _kind_of_way(advice: Advice) -> str:
    best = advice.best
    if best is None:
        return "without a way"
    if not isinstance(best.way, Local):
        return "remote"
    return "untiled" if best.way.option.case.tile is None else "tiled"


def _legend(network: str) -> tuple[tuple[str, str], ...]:
    return (
        ("untiled", "the whole image at once."),
        ("tile 512", "in tiles of 512 pixels, which overlap by a quarter."),
        (
            "remote",
            f"an image from end to end at an endpoint over {network}, which takes none of the card's memory "
            "(see the page Local or remote). If nobody timed the endpoint's card, the time is "
            "predicted. Remote is advised if nothing fits comfortably and it is quicker by more than a tenth, or if it "
            "takes at most half the time and is not predicted.",
        ),
        ("tight", TIGHT),
        _CONFIDENCE,
        (BEYOND, "the case is beyond what the time model was fitted to, so its time is a range or a lower bound."),
    )


def _assumed(advice: Sequence[Advice]) -> str:
    image = advice[0].image
    context = [size for each in advice for size in each.place.context_bytes]
    return (
        f"Assumed: batch {image.axes.get('batch', 1)}, nothing else on the card (change it with `--free`), and a CUDA "
        f"context of {format_bytes(min(context))} to {format_bytes(max(context))}, or what was reported of the card."
    )


def _by_call(advice: Sequence[Advice]) -> list[tuple[str, list[Advice]]]:
    """The advice by model and operation, with their name, small images first."""
    groups = by_call(advice, lambda each: each.image)
    return [(name, sorted(group, key=lambda each: size_order(each.image))) for name, group in groups]


def _by_size(advice: Sequence[Advice], networks: Networks) -> list[Section]:
    """A table of all cards for each size; of many cards only the size nearest to the docs' as more than a detail."""
    groups = grouped(sorted(advice, key=lambda each: size_order(each.image)), lambda each: whole_size_of(each.image))
    first = featured(advice, lambda each: each.image)
    is_short = len({each.place.label for each in advice}) <= _FEW
    sections = []
    for group in groups:
        size = whole_size_of(group[0].image)
        is_shown = is_short or size == whole_size_of(first.image)
        sections.append(Section(size, _size_blocks(group, networks), folded=not is_shown, detail=not is_shown))
    return sections


def _size_blocks(advice: Sequence[Advice], networks: Networks) -> tuple[Block, ...]:
    best = [each.best for each in advice if each.best]
    notes = [
        *advice_words.replaced(advice),
        *advice_words.risks(ranked.way for ranked in best if isinstance(ranked.way, Local)),
        *(f"{BEYOND} {line}" for line in _beyond_note(best)),
    ]
    return size_table(advice, networks), *([Bullets(tuple(dict.fromkeys(notes)))] if notes else [])


def _call(advice: Sequence[Advice], networks: Networks) -> tuple[Block, ...]:
    image = advice[0].image
    own = models.get(image.model).dtype
    which = "the model's own precision" if image.dtype == own else f"while the model's own precision is {own}"
    return Text(f"In {image.dtype}, {which}."), card_table(advice, networks)


def _notes(advice: Advice) -> list[str]:
    """Why, what a lower precision or remote would gain, what would change it, and what is worth measuring."""
    notes = [f"Why: {advice.reason}."]
    notes += [f"Quicker: {advice.quicker}."] if advice.quicker else []
    notes += [f"{line}." for line in advice_changes.lines(advice)]
    return notes + [f"Worth measuring: {line}." for line in advice_changes.worth_measuring(advice)]


def _beyond_note(ways: Sequence[Ranked]) -> list[str]:
    beyond = advice_words.beyond(ranked.way.time for ranked in ways)
    return [f"The time model was not fitted to: {beyond}."] if beyond else []


def _first_ways(name: str, group: Sequence[Advice], networks: Networks) -> document.Table:
    rows = [(each, ranked) for each in group for ranked in each.ranked[:_SHORT]]
    return ways_table(rows, networks, title=f"{name}: the best {_SHORT} ways")
