"""The page of advice over all cards, `reports/advice.md`. Reads what `advise` ranked; never torch.

A cell is the recommended way for one image on one card, with its share of memory and its time, each marked with what
it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.analysis.advise.ranking import Advice, Local
from bench.analysis.advise.times import Clock
from bench.core.units import format_bytes, format_count
from bench.report.pages import advice_words
from bench.report.pages.hybrid_tables import Networks, networks_table, title_of
from bench.report.pages.kinds import SURE, TIGHT
from bench.report.render import markdown
from bench.report.render.markdown import safe
from bench.vram.assumptions import ASSUMPTIONS
from bench.workloads import models
from bench.workloads.labels import whole_size_of

PAGE = "advice.md"
#: What stands in a cell, where the whole words would make the tables unreadable.
_MARKS = {"measured": "*meas*", "published": "*pub*", "predicted": "*pred*", "simulated": "*sim*"}
_BEYOND = "†"
_PICTURE = (
    "**Untiled** changes nothing. Nor does slicing, which computes the images of a batch one after another.",
    "**Tiles** change the picture where they meet: neighbours are blended over a quarter of a tile, and normalisation "
    "and attention see a tile and no more. Smaller tiles have more seams, so that larger ones are preferred where they "
    "take about as long.",
    "**A lower precision** changes all of it, and is never recommended for its time alone: only where nothing in the "
    "model's own precision fits comfortably. `bench advise --gpu NAME` tells what it would gain, and what it risks.",
    "**Remote** is what the endpoint makes of it: its precision, tiles and image format (a JPEG unless asked) are its "
    "own.",
)


def render(advice: Sequence[Advice], clock: Clock | None, networks: Networks) -> str:
    """The page. Ends in a newline."""
    over = safe(title_of(next(iter(networks)), networks))
    texts = [
        "# Which way to take on which card",
        "Written by `bench advise` from the results, `gpus.yaml` and `networks.yaml`; edit nothing here. "
        "`bench advise --gpu NAME` tells all ways of one card, with reasons.",
        markdown.bullets(
            [
                *_legend(over),
                ASSUMPTIONS,
                *map(safe, advice_words.of_places(advice)),
                *map(safe, advice_words.of_times(clock, advice)),
                _assumed(advice),
            ]
        ),
    ]
    for key, operation in dict.fromkeys((one.image.model, one.image.operation) for one in advice):
        mine = [one for one in advice if (one.image.model, one.image.operation) == (key, operation)]
        dtype = mine[0].image.dtype
        own = models.get(key).dtype
        which = "which the model has as its own" if dtype == own else f"while the model's own precision is {own}"
        texts += [f"## {safe(models.title(key))} {safe(operation)}", f"In {dtype}, {which}.", _table(mine, networks)]
        recommended = [one.best.way for one in mine if one.best]
        texts += [safe(line) for line in advice_words.risks(way for way in recommended if isinstance(way, Local))]
        told = advice_words.beyond(one.best for one in mine if one.best)
        texts += [f"{_BEYOND} Beyond what the time model was fitted on: {safe(told)}."] if told else []
    name = next(iter(networks))
    texts += ["## What changes the picture", markdown.bullets(_PICTURE)]
    texts += ["## The network", markdown.render_table(networks_table({name: networks[name]}))]
    return "\n\n".join(texts) + "\n"


def summary(advice: Sequence[Advice]) -> str:
    """How many of the images fit in which way, in a line."""
    ways = Counter(_kind(one) for one in advice)
    told = ", ".join(f"{count} {way}" for way, count in ways.most_common())
    images = format_count(len({one.image.id for one in advice}), "image")
    return f"{images} on {format_count(len({one.place.label for one in advice}), 'card')}: {told}"


def _kind(one: Advice) -> str:
    best = one.best
    if best is None:
        return "without a way"
    if not isinstance(best.way, Local):
        return "remote"
    return "untiled" if best.way.option.case.tile is None else "tiled"


def _legend(network: str) -> list[str]:
    return [
        "A cell is the way to take: its peak as a share of the card's memory, as the docs give it, and the time of one "
        "call. *meas*: measured by this program. *pub*: printed in the docs, not measured by this program; what they "
        "do not say of it (precision, tile) is assumed from the model zoo. *pred*: predicted, without a GPU. One mark "
        f"at the end stands for both figures. {_BEYOND}: the time goes beyond what its model was fitted on.",
        f"*sim*: simulated, an image from end to end at an endpoint over {network}; it takes none of the card's memory "
        "(`hybrid.md`); where nobody timed the card that would compute it there, its time is predicted, and so is the "
        "whole (*pred*). Remote is advised where nothing fits comfortably and it is quicker by more than a tenth, or "
        "where it takes at most half the time and is not predicted.",
        "*untiled*: the whole image at once. *tile 512*: in tiles of so many pixels, which overlap by a quarter. Of "
        "what fits the quickest is advised, and of what takes about as long (within a tenth; where one of two times is "
        "predicted, within the worst error below) what changes the picture least.",
        f"*tight*: {TIGHT} ? and ??: medium and low confidence that it fits.",
    ]


def _assumed(advice: Sequence[Advice]) -> str:
    """What holds for all cells."""
    image = advice[0].image
    spare = [one.place.usable_bytes - pool for one in advice for pool in one.place.capacities]
    return (
        f"Assumed: batch {image.axes.get('batch', 1)}, nothing else on the card (`--free` says otherwise), and a CUDA "
        f"context of {format_bytes(min(spare))} to {format_bytes(max(spare))}, or what was reported of the card itself."
    )


def _table(advice: Sequence[Advice], networks: Networks) -> str:
    """A row a card, by its memory; a column an image."""
    images = {one.image.id: one.image for one in advice}
    cells = {(one.place.label, one.image.id): _cell(one, networks) for one in advice}
    places = sorted({one.place.label: one.place for one in advice}.values(), key=lambda place: place.whole_bytes)
    rows = [
        [safe(place.label), format_bytes(place.whole_bytes), *(cells[place.label, image] for image in images)]
        for place in places
    ]
    headers = ["Card", "Memory", *(whole_size_of(image) for image in images.values())]
    return markdown.table(headers, rows, "lr" + "l" * len(images))


def _cell(one: Advice, networks: Networks) -> str:
    """`tile 512: 38%, 2.10 s *pred*†`."""
    best = one.best
    if best is None:
        return "no torch" if any(way.peak.verdict == "unsupported" for way in one.local) else "nothing fits"
    time = best.way.time
    after = _BEYOND if time and time.beyond else ""
    if not isinstance(best.way, Local):
        said = advice_words.way(best, networks) if time and time.kind == "measured" else "remote"
        mark = _mark(time.kind if time else None)
        return f"**{safe(said)}**: {time.text if time else '-'} {mark}{after}"
    tile = best.way.option.case.tile
    way = "untiled" if tile is None else f"tile {tile.tile}"
    way = f"{best.way.option.case.dtype}, {way}" if best.way.option.is_lower else way
    peak, kind = best.way.peak, best.way.peak.kind
    tight = "tight " if peak.verdict == "tight" else ""
    share = f"{tight}{advice_words.share(best.way, one.place)}{SURE[peak.confidence]}"
    if time is None:
        return f"{way}: {share} {_mark(kind)}"
    first = f" {_mark(kind)}" if kind != time.kind else ""
    return f"{way}: {share}{first}, {time.text} {_mark(time.kind)}{after}"


def _mark(kind: str | None) -> str:
    return _MARKS.get(kind or "", "")
