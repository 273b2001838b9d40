"""Tables of advice: the recommended way on each card, and all ways of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.analysis.advise.card import Place
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Advice, Local, Ranked
from bench.core.units import format_bytes, memory_percent
from bench.record import Case
from bench.report import document
from bench.report.document import MARKS, Cell, Column, Tone, table_of
from bench.report.pages import advice_words, cells
from bench.report.pages.cells import SURE, tile_edge
from bench.report.pages.hybrid_tables import Networks
from bench.workloads.labels import size_of, takes_tiles, whole_size_of

#: After a time that goes beyond what its model was fitted on.
BEYOND = "°"
_VERDICTS: dict[str, tuple[str, Tone]] = {
    "fits": ("fits", "good"),
    "tight": ("tight", "warning"),
    "remote": ("remote", "plain"),
    "out_of_memory": ("OOM", "bad"),
    "unsupported": ("no torch", "bad"),
    "spills": ("spills", "bad"),
}


def card_table(advice: Sequence[Advice], networks: Networks) -> document.Table:
    """One row per card, by its memory; three columns per image."""
    images = {each.image.id: each.image for each in advice}
    places = {each.place.label: each.place for each in advice}
    by_image = {
        image_id: {each.place.label: each for each in advice if each.image.id == image_id} for image_id in images
    }
    columns = [column for key, image in images.items() for column in _image_columns(image, by_image[key], networks)]
    return table_of(
        sorted(places.values(), key=lambda place: place.limit_or_total_bytes),
        (Column("Card"), lambda place: place.label),
        (Column("Memory", "bytes"), lambda place: place.limit_or_total_bytes),
        *columns,
    )


def size_table(advice: Sequence[Advice], networks: Networks) -> document.Table:
    """One row per card, by its memory; one column per model and operation, with way, share and time."""
    groups = cells.by_call(advice, lambda each: each.image)
    by_card = {name: {each.place.label: each for each in group} for name, group in groups}
    places = {each.place.label: each.place for each in advice}

    def column(name: str) -> tuple[Column, Callable[[Place], Cell]]:
        dtype = next(iter(by_card[name].values())).image.dtype
        return Column(f"{name}, {dtype}"), lambda place: _in_short(by_card[name].get(place.label), networks)

    return table_of(
        sorted(places.values(), key=lambda place: place.limit_or_total_bytes),
        (Column("Card"), lambda place: place.label),
        (Column("Memory", "bytes"), lambda place: place.limit_or_total_bytes),
        *map(column, by_card),
    )


def _in_short(advice: Advice | None, networks: Networks) -> Cell:
    """`untiled, 37%, 223 ms`; the share has a mark of its own if it is of another kind than the time."""
    if advice is None:
        return Cell()
    way, share, time = _way(advice, networks), _tight_share(advice), _best_time(advice)
    figures = [cell for cell in (share, time) if cell.text]
    kind = figures[-1].kind if figures else None
    texts = [f"{cell.text}{MARKS[cell.kind] if cell.kind and cell.kind != kind else ''}" for cell in figures]
    return Cell(text=", ".join([str(way.value), *texts]), kind=kind, tone=way.tone)


def _image_columns(
    image: Case, by_card: Mapping[str, Advice], networks: Networks
) -> list[tuple[Column, Callable[[Place], Cell]]]:
    size = whole_size_of(image)
    return [
        (Column(size), lambda place: _way(by_card[place.label], networks)),
        (Column("Share", "percent", key=f"{size}_share"), lambda place: _tight_share(by_card[place.label])),
        (Column("Time", "seconds", key=f"{size}_time"), lambda place: _best_time(by_card[place.label])),
    ]


def _way(advice: Advice, networks: Networks) -> Cell:
    """`untiled`, `float16, tile 512`, `remote`."""
    best = advice.best
    if best is None:
        return Cell(advice_words.nothing(advice))
    if not isinstance(best.way, Local):
        measured = best.way.time is not None and best.way.time.kind == "measured"
        return Cell(advice_words.way(best, networks) if measured else "remote", tone="strong")
    case, option = best.way.option.case, best.way.option
    if not takes_tiles(case):
        return Cell(option.label)
    tile = "untiled" if case.tile is None else f"tile {tile_edge(case.tile)}"
    return Cell(f"{case.dtype}, {tile}" if option.names_precision else tile)


def _tight_share(advice: Advice) -> Cell:
    """`38%`, `tight 96%?`."""
    if advice.best is None or not isinstance(advice.best.way, Local):
        return Cell()
    peak = advice.best.way.peak
    share = _share(advice.best, advice.place)
    tight = "" if peak.verdict == "fits" else f"{peak.verdict} "
    return Cell(share.value, f"{tight}{share.text}{SURE[peak.confidence]}", share.kind)


def _best_time(advice: Advice) -> Cell:
    return Cell() if advice.best is None else _time(advice.best.way.time, mark=BEYOND)


def ways_table(
    rows: Sequence[tuple[Advice, Ranked]], networks: Networks, *, title: str = "", has_reasons: bool = False
) -> document.Table:
    """One row per way of the images; with the image's size unless there are reasons."""
    size = (Column("Size"), lambda row: size_of(row[0].image))
    reason = (Column("Reason", may_wrap=True), lambda row: row[1].reason)
    return table_of(
        rows,
        *([] if has_reasons else [size]),
        (Column("Way", may_wrap=True, in_heading=True), lambda row: _named_way(*row, networks)),
        (Column("Peak", "bytes"), lambda row: _peak(row[1])),
        (Column("Share", "percent"), lambda row: _share(row[1], row[0].place)),
        (Column("Time", "seconds"), lambda row: _time(row[1].way.time)),
        (Column("Verdict"), lambda row: _verdict(row[1])),
        *([reason] if has_reasons else []),
        title=title,
    )


def _named_way(advice: Advice, ranked: Ranked, networks: Networks) -> Cell:
    """The way's name, in bold for the first one."""
    return Cell(advice_words.way(ranked, networks), tone="strong" if ranked is advice.ranked[0] else "plain")


def _peak(ranked: Ranked) -> Cell:
    """The peak, or what it needs at least if it is out of memory."""
    if not isinstance(ranked.way, Local):
        return Cell(0, "0")
    peak = ranked.way.peak
    if peak.reserved_bytes is not None:
        return Cell(peak.reserved_bytes, kind=peak.kind)
    if peak.needed_bytes is not None:
        return Cell(peak.needed_bytes, f">{format_bytes(peak.needed_bytes)}", peak.kind)
    return Cell(text="")


def _share(ranked: Ranked, place: Place) -> Cell:
    """The peak as a share of the card or its limit, as the docs give it: `38%`; empty if it is out of memory."""
    if not isinstance(ranked.way, Local):
        return Cell(0, "0%")
    if ranked.way.peak.reserved_bytes is None:
        return Cell(text="")
    percent = memory_percent(ranked.way.peak.reserved_bytes, place.limit_or_total_bytes)
    return Cell(percent, f"{percent:.0f}%" if percent >= 1 else "<1%", ranked.way.peak.kind)


def _time(time: Time | None, mark: str = "") -> Cell:
    """`2.10 s`, `11 ms to 245 ms`; with `mark` if it goes beyond the fit."""
    if time is None:
        return Cell()
    return Cell(time.seconds, f"{time.text}{mark if time.beyond else ''}", time.kind)


def _verdict(ranked: Ranked) -> Cell:
    word, tone = _VERDICTS[ranked.standing]
    confidence = SURE[ranked.way.peak.confidence] if isinstance(ranked.way, Local) else ""
    return Cell(f"{word}{confidence}", tone=tone)
