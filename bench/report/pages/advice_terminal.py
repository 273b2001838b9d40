"""Advice for one card on the terminal: the recommendations first, then how all ways stand."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from bench.analysis.advise.ranking import Advice, Local, Ranked
from bench.analysis.advise.times import Clock, Time
from bench.core.units import format_bytes, one_line
from bench.report.pages import advice_words
from bench.report.pages.hybrid_tables import Networks
from bench.report.pages.kinds import SURE, TIGHT
from bench.report.render.terminal import Column, Draw, print_table, say
from bench.vram import assumptions
from bench.workloads.labels import size_of

#: With more images than this tables are short, and stand after all recommendations.
_FEW = 4
_SHORT = 3
_VERDICTS = {"fits": "fits", "tight": "tight", "remote": "remote", "out_of_memory": "OOM", "unsupported": "no torch"}
_LEGEND = (
    f"Peak: of torch's pool, weights included; the CUDA context comes on top. tight: {TIGHT} ? and ??: medium and low "
    "confidence.",
    "Tiles are given as edge/overlap in pixels. They change the picture where they meet; a lower precision all of it.",
)


def draw(advice: Sequence[Advice], clock: Clock | None, networks: Networks) -> Draw:
    """The advice, the recommendations in bold."""

    def onto(console: Console) -> None:
        few = len(advice) <= _FEW
        for one in advice:
            say(console, one_line(advice_words.headline(one, networks)), "bold")
            for line in _notes(one) if few else [f"Why: {one.reason}."]:
                say(console, one_line(line), indent=2)
            if few:
                _print_table(console, [one], networks, None)
        for group in [] if few else _groups(advice):
            _print_table(console, group, networks, _SHORT)
        risks = advice_words.risks(way for one in advice for way in one.local)
        for line in (
            *_LEGEND,
            assumptions.stated(os.environ),
            *risks,
            *advice_words.of_places(advice),
            *advice_words.of_times(clock, advice),
            *_beyond(advice),
            *_remote(advice),
        ):
            say(console, one_line(line), "dim")

    return onto


def _notes(one: Advice) -> list[str]:
    """Why, what a lower precision would gain, and in what its time goes beyond what was fitted."""
    told = advice_words.beyond([one.best] if one.best else [])
    notes = [f"Why: {one.reason}."]
    notes += [f"Quicker: {one.quicker}."] if one.quicker else []
    return notes + ([f"Its time goes beyond what was fitted: {told}."] if told else [])


def _beyond(advice: Sequence[Advice]) -> list[str]:
    """In what times of all tables go beyond what was fitted."""
    told = advice_words.beyond(ranked for one in advice for ranked in one.ranked)
    return [f"Beyond the times that the model was fitted on: {told}."] if told else []


def _groups(advice: Sequence[Advice]) -> list[list[Advice]]:
    """By model and operation."""
    found: dict[tuple[str, str], list[Advice]] = {}
    for one in advice:
        found.setdefault((one.image.model, one.image.operation), []).append(one)
    return list(found.values())


def _print_table(console: Console, advice: Sequence[Advice], networks: Networks, most: int | None) -> None:
    """All ways of one image with their reasons, or the first few of several."""
    title = ""
    columns = [
        Column("Way", wraps=True, heads=True),
        *(Column("Peak", "right"), Column("Share", "right"), Column("")),
        *(Column("Time", "right"), Column(""), Column("Verdict")),
    ]
    if most is not None:
        title = one_line(f"{advice_words.title(advice[0].image).rpartition(' ')[0]}: the first {most} of the ways")
        columns = [Column("Size"), *columns]
    else:
        columns.append(Column("Reason", wraps=True))
    rows = []
    for one in advice:
        for place, ranked in enumerate(one.ranked[:most]):
            size = [] if most is None else ["" if place else size_of(one.image)]
            reason = [ranked.reason] if most is None else []
            cells = [*size, *_cells(ranked, one, networks), *reason]
            rows.append([Text(one_line(cell), style="" if place else "bold") for cell in cells])
    print_table(console, columns, rows, title)


def _cells(ranked: Ranked, one: Advice, networks: Networks) -> list[str]:
    """Way, peak with its kind, time with its kind, verdict."""
    time, verdict = _time(ranked.way.time), _VERDICTS[ranked.standing]
    if not isinstance(ranked.way, Local):
        return [advice_words.way(ranked, networks), "0", "", "", *time, verdict]
    peak = ranked.way.peak
    sure = SURE[peak.confidence]
    least = f">{format_bytes(peak.needed_bytes)}" if peak.needed_bytes is not None else ""
    size = format_bytes(peak.reserved_bytes) if peak.reserved_bytes is not None else least
    share = advice_words.share(ranked.way, one.place)
    return [advice_words.way(ranked, networks), size, share, peak.kind, *time, f"{verdict}{sure}"]


def _time(time: Time | None) -> list[str]:
    return ["-", ""] if time is None else [time.text, time.kind]


def _remote(advice: Sequence[Advice]) -> list[str]:
    """What remote times are, where there are any."""
    if not any(one.standing == "remote" and one.way.time for each in advice for one in each.ranked):
        return []
    return [
        "remote: an image from end to end over the network, a new connection each, by an endpoint or by a card that "
        "stands in for one (`bench hybrid`); predicted where nobody timed that card. --network names another."
    ]
