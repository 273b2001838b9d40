"""Words of `bench advise` that its terminal output and its page share. Reads what `advise` ranked; never torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.analysis.advise.card import Place
from bench.analysis.advise.ranking import Advice, Local, Ranked
from bench.analysis.advise.remote_way import Away
from bench.analysis.advise.times import TIGHT, Clock, Time
from bench.core.units import format_bytes, memory_percent
from bench.record import Case
from bench.report.pages import cost_page
from bench.report.pages.hybrid_tables import Networks, title_of
from bench.report.pages.kinds import MEMORY_ASSUMED
from bench.workloads import models

_RANGES = (
    "A range: the time model was not fitted on that architecture. Its lower end is the time of the products at the "
    "card's rated rates. Its upper end is the predicted time of the quickest fitted card that is not faster in any "
    "rate, plus the model's worst error; without such a card there is none ('at least'). A range is quicker than "
    "another time only if all of it is."
)
_TIGHT = "'At least' of a tight fit: the model's time is for the preferred kernels, and leaner ones may be slower."
NOTHING = "nothing fits, and there is no figure of remote"


def title(image: Case) -> str:
    """`SDXL decode 2048x2048`, with the batch where that is not 1."""
    return cost_page.title(image)


def way(ranked: Ranked, networks: Networks) -> str:
    """`tile 512/128`, `remote over Fibre`."""
    return ranked.way.option.label if isinstance(ranked.way, Local) else away(ranked.way, networks)


def away(found: Away, networks: Networks) -> str:
    """`remote over Fibre`; `remote at mine` as it was measured."""
    if found.time is not None and found.time.kind == "measured":
        return f"remote at {found.by}"
    return f"remote over {title_of(found.network, networks)}"


def headline(advice: Advice, networks: Networks) -> str:
    """The recommendation for an image, in one line."""
    start = f"{title(advice.image)} on {advice.place.label}"
    best = advice.best
    if best is None:
        return f"{start}: {NOTHING}"
    text = f"{start}: {way(best, networks)}{precision(best)}: "
    if isinstance(best.way, Away):
        by = f", computed by {best.way.by}" if best.way.time and best.way.time.kind != "measured" else ""
        return f"{text}none of its memory, {_about(best.way.time)}{by}"
    peak = best.way.peak
    tight = "tight, " if peak.verdict == "tight" else ""
    sure = "" if peak.confidence == "high" else f", {peak.confidence} confidence"
    room = format_bytes(advice.place.usable_bytes) + (" free" if advice.place.free_bytes is not None else "")
    risk = f". Risk of {best.way.option.case.dtype}: {best.way.option.risk}" if best.way.option.risk else ""
    return (
        f"{text}{tight}{format_bytes(peak.reserved_bytes)} of {room} ({peak.kind}{sure}), {_about(best.way.time)}{risk}"
    )


def precision(ranked: Ranked) -> str:
    """` in float16 (its own precision is float32)`; empty for the model's own, and for remote."""
    if not isinstance(ranked.way, Local):
        return ""
    option = ranked.way.option
    own = models.get(option.case.model).dtype
    if option.case.dtype == own:
        return ""
    return f"{'' if option.is_lower else f' in {option.case.dtype}'} (its own precision is {own})"


def risks(ways: Iterable[Local]) -> list[str]:
    """What the precisions of these ways risk, each once."""
    named = dict.fromkeys((way.option.case.dtype, way.option.risk) for way in ways if way.option.risk)
    return [f"Risk of {dtype}: {risk}." for dtype, risk in named]


def _about(time: Time | None) -> str:
    """`about 2.10 s (predicted, median error 6%, worst 18%)`; `1.20 s (published)`; a range says that it is one."""
    if time is None:
        return "time not known"
    if time.between is not None and time.between.most_s is not None:
        return f"between {time.text.replace(' to ', ' and ')} (a predicted range, beyond what was fitted)"
    if time.between is not None:
        return f"{time.text} (predicted, beyond what was fitted)"
    about = "about " if time.kind in {"predicted", "simulated"} else ""
    return f"{about}{time.text} ({time.kind}{_error(time)})"


def _error(time: Time) -> str:
    """How far a predicted time may be off; what goes beyond the fit has no error of its own."""
    if time.kind != "predicted":
        return ""
    if time.errors is None or time.beyond:
        return f"{' beyond what was fitted' if time.beyond else ''}, error not known"
    return f", median error {time.errors.median:.0%}, worst {abs(time.errors.worst.error):.0%}"


def share(way: Local, place: Place) -> str:
    """The peak as a share of the card or its limit, as the docs give it: `38%`; empty where it is out of memory."""
    if way.peak.reserved_bytes is None:
        return ""
    percent = memory_percent(way.peak.reserved_bytes, place.whole_bytes)
    return f"{percent:.0f}%" if percent >= 1 else "<1%"


def beyond(ways: Iterable[Ranked]) -> str:
    """In what the predicted times of these ways go beyond what the model was fitted on; empty where in nothing."""
    times = [one.way.time for one in ways]
    found: dict[str, list[str]] = {}
    for word in dict.fromkeys(word for time in times if time for word in time.beyond):
        name, _, fitted = word.partition(" (")
        found.setdefault(fitted, []).append(name)
    return "; ".join(f"{', '.join(names)}{f' ({fitted}' if fitted else ''}" for fitted, names in found.items())


def of_places(advice: Sequence[Advice]) -> list[str]:
    """What is assumed about the cards, what is not known, and on which of them torch does not run."""
    places = {one.place.card: one.place for one in advice if one.place.card is not None}
    assumed = [name for name, place in places.items() if place.is_memory_assumed]
    rateless = [name for name, place in places.items() if place.gpu is None or not place.gpu.has_rates]
    notes = [f"Memory assumed: what each of {', '.join(assumed)} {MEMORY_ASSUMED}."] if assumed else []
    if rateless:
        notes.append(f"Not all rates of {', '.join(rateless)} are known, so no time is predicted there.")
    reasons = {
        one.place.card: way.peak.reason for one in advice for way in one.local if way.peak.verdict == "unsupported"
    }
    return notes + [f"No torch for {name}: {reason}." for name, reason in reasons.items()]


def of_times(clock: Clock | None, advice: Sequence[Advice]) -> list[str]:
    """What is to be known of predicted times, in sentences."""
    if all(one.place.card is None for one in advice):
        return ["No times: memory alone names no card. Give --gpu as well, with --vram-limit for what it may take."]
    if clock is None:
        return [
            "Nothing is predicted of times: the results have too few of cards in gpus.yaml. results/published/ has the "
            "docs'."
        ]
    if clock.errors is None:
        return [
            "predicted times: by a model fitted on one card alone; how far it is off on another is not known.",
            *_of_ranges(advice),
        ]
    worst = clock.errors.worst
    return [
        f"predicted times: by a model fitted on {clock.errors.cells} times. With each card in turn left out of the fit "
        f"the median error was {clock.errors.median:.1%} and the worst {abs(worst.error):.1%} ({worst.observed.card}, "
        f"{title(worst.observed.case)}). What goes beyond those times is told, and no error is known of it.",
        *_of_ranges(advice),
    ]


def _of_ranges(advice: Sequence[Advice]) -> list[str]:
    """What ranges and least times mean, if there are any."""
    times = [ranked.way.time for one in advice for ranked in one.ranked]
    ranges = [time for time in times if time is not None and time.between is not None]
    notes = [_RANGES] if any(not _is_tight(time) for time in ranges) else []
    return notes + ([_TIGHT] if any(_is_tight(time) for time in ranges) else [])


def _is_tight(time: Time) -> bool:
    return TIGHT in time.beyond
