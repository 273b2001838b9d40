"""Sentences about advice that the terminal and the page share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import SPILLED
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import EMULATED, TIGHT, Clock, Time
from bench.analysis.advise.ways import Advice, Local, Ranked
from bench.core.units import format_bytes
from bench.report.pages.cells import MEMORY_ASSUMED
from bench.report.pages.cost_page import title
from bench.report.pages.hybrid_tables import Networks, title_of
from bench.workloads import models

_RANGES = (
    "A time is given as a range if the case goes beyond what the time model was fitted to: the predicted time divided "
    "and multiplied by a factor that follows from the errors with an architecture left out of the fit "
    "(reports/time_model.md has the rule). Without such a factor only the lower end is known ('at least')."
)
_QUICKER = "A range counts as quicker than another time only if all of it is."
_TIGHT = (
    "'At least' for a tight fit: the model's time is for the preferred kernels, and low-workspace ones may be slower."
)
_EMULATED = "'At least' for an emulated precision: by how much emulation is slower is not known."

_WINDOWS = (
    "On Windows (WDDM) and WSL, NVIDIA's driver gives a call system memory (up to half of it) once the card's is used "
    "up. The call then runs far slower. How much slower is not known for a VAE (a language model ran at about a tenth "
    "of its speed), so its time is at least that with enough memory. The setting 'CUDA - Sysmem Fallback Policy: "
    "Prefer No Sysmem Fallback' makes it fail instead, but not in WSL. Windows is assumed to keep up to 15% of the "
    "card for itself; give what is free with --free."
)

#: c10/cuda/CUDAAllocatorConfig.h: `expandable_segments()` warns and is false without PYTORCH_C10_DRIVER_API_SUPPORTED.
_NO_SEGMENTS = (
    "torch for Windows has no expandable segments: it warns and uses its native allocator, so these figures hold in "
    "WSL alone. For Windows itself, give --allocator native."
)


def way(ranked: Ranked, networks: Networks) -> str:
    """`tile 512/128`, `remote over Fibre`; `remote at mine` for a measured endpoint."""
    if isinstance(ranked.way, Local):
        return ranked.way.option.label
    if ranked.way.time is not None and ranked.way.time.kind == "measured":
        return f"remote at {ranked.way.by}"
    return f"remote over {title_of(ranked.way.network, networks)}"


def headline(advice: Advice, networks: Networks) -> str:
    """The recommendation for an image, in one line."""
    start = f"{title(advice.image)} on {advice.place.label}"
    best = advice.best
    if best is None:
        return f"{start}: {nothing(advice)}, and no remote time is known"
    start = f"{start}: {way(best, networks)}{_precision(best)}"
    if isinstance(best.way, RemoteWay):
        by = f", computed by {best.way.by}" if best.way.time and best.way.time.kind != "measured" else ""
        return f"{start}: none of its memory, {_about(best.way.time)}{by}"
    peak, option = best.way.peak, best.way.option
    tight = f"{peak.verdict}, " if peak.verdict != "fits" else ""
    confidence = "" if peak.confidence == "high" else f", {peak.confidence} confidence"
    band = "" if peak.band is None or peak.band[0] == peak.band[1] else f", {peak_range(peak.band)}"
    room = format_bytes(advice.place.available_bytes) + (" free" if advice.place.free_bytes is not None else "")
    memory = f"{tight}{format_bytes(peak.reserved_bytes)} of {room} ({peak.kind}{band}{confidence})"
    risk = f". Risk of {option.case.dtype}: {option.risk}" if option.risk else ""
    return f"{start}: {memory}, {_about(best.way.time)}{risk}"


def nothing(advice: Advice) -> str:
    """Why nothing on the card is recommended, in two or three words."""
    if any(way.peak.verdict == "unsupported" for way in advice.local):
        return "no torch"
    return f"no {advice.image.dtype} here" if any(way.peak.runs for way in advice.local) else "nothing fits"


def _precision(ranked: Ranked) -> str:
    """` in float16 (its own precision is float32)`; empty for the model's own precision, and for remote."""
    if not isinstance(ranked.way, Local):
        return ""
    option = ranked.way.option
    own = models.get(option.case.model).dtype
    if option.case.dtype == own:
        return ""
    return f"{'' if option.names_precision else f' in {option.case.dtype}'} (its own precision is {own})"


def peak_range(band: tuple[int, int]) -> str:
    """`4.20 GiB to 5.30 GiB`."""
    return " to ".join(map(format_bytes, band))


def _about(time: Time | None) -> str:
    """`about 2.10 s (predicted, median error 6%, worst 18%)`; `1.20 s (published)`; a range as such."""
    if time is None:
        return "time not known"
    if time.between is not None and time.between.most_s is not None:
        return f"between {time.text.replace(' to ', ' and ')} (a predicted range, outside the fitted range)"
    if time.between is not None:
        return f"{time.text} (predicted, outside the fitted range)"
    about = "about " if time.kind in {"predicted", "simulated"} else ""
    return f"{about}{time.text} ({time.kind}{_error(time)})"


def _error(time: Time) -> str:
    """How far a predicted time may be off. The model's error does not hold beyond what it was fitted on."""
    if time.kind != "predicted":
        return ""
    if time.errors is None or time.beyond:
        return f"{' outside the fitted range' if time.beyond else ''}, error unknown"
    return f", median error {time.errors.median:.0%}, worst {abs(time.errors.worst.error):.0%}"


def risks(ways: Iterable[Local]) -> list[str]:
    """The risks of the precisions and of the other VAEs of these ways, each once."""
    named = dict.fromkeys(
        (way.option.other_model or f"Risk of {way.option.case.dtype}", way.option.risk)
        for way in ways
        if way.option.risk
    )
    return [f"{name}: {risk}." for name, risk in named]


def replaced(advice: Sequence[Advice]) -> list[str]:
    """Why the requested precision was replaced on some cards: `Turing ...: compute capability 7.5 has no bfloat16`."""
    cards: dict[str, list[str]] = {}
    for each in advice:
        for way in each.local:
            if (
                way.option.hazard
                and not way.option.is_other_vae
                and way.option.case.dtype == each.image.dtype
                and each.place.card is not None
            ):
                cards.setdefault(way.option.risk, []).append(each.place.card)
    return [f"{', '.join(dict.fromkeys(names))}: {risk}." for risk, names in cards.items()]


def beyond(times: Iterable[Time | None]) -> str:
    """What of these times the time model was not fitted to; empty if nothing."""
    names: dict[str, list[str]] = {}
    for word in dict.fromkeys(word for time in times if time for word in time.beyond):
        name, _, fitted = word.partition(" (")
        names.setdefault(fitted, []).append(name)
    return "; ".join(f"{', '.join(alike)}{f' ({fitted}' if fitted else ''}" for fitted, alike in names.items())


def place_notes(advice: Sequence[Advice]) -> list[str]:
    """Notes on what is assumed or unknown about the cards, and on cards that torch does not run on."""
    places = {each.place.card: each.place for each in advice if each.place.card is not None}
    assumed = [name for name, place in places.items() if place.is_memory_assumed]
    notes = [f"Memory assumed for {', '.join(assumed)}: {MEMORY_ASSUMED}."] if assumed else []
    notes += rateless(places.values())
    unsupported = {
        each.place.card: way.peak.reason for each in advice for way in each.local if way.peak.verdict == "unsupported"
    }
    notes += system_notes(advice)
    return notes + [f"No torch for {name}: {reason}." for name, reason in unsupported.items()]


def rateless(places: Iterable[Place]) -> list[str]:
    """For which of these cards only memory is predicted, with the rates that gpus.yaml does not have."""
    named = dict.fromkeys(f"{place.card} ({', '.join(place.unknown_rates)})" for place in places if place.unknown_rates)
    cards = ", ".join(named)
    return [f"No times are predicted for {cards}: gpus.yaml does not have all of their rates."] if named else []


def system_notes(advice: Sequence[Advice]) -> list[str]:
    """What is different on Windows, if the advice is for it."""
    allocators = {each.place.allocator for each in advice if each.place.os == "windows"}
    return [*([_WINDOWS] if allocators else []), *([_NO_SEGMENTS] if "expandable" in allocators else [])]


def time_notes(clock: Clock | None, advice: Sequence[Advice]) -> list[str]:
    """How predicted times are made, and how far they are off."""
    times = [ranked.way.time for each in advice for ranked in each.ranked]
    if all(each.place.card is None for each in advice):
        return ["Times need a GPU model: add --gpu. --vram-limit then says how much of its memory may be used."]
    if clock is None:
        return [
            "No times are predicted: the results have too few times of cards in gpus.yaml. Add results/published/, "
            "which has the docs'."
        ]
    if not any(time is not None and time.kind == "predicted" for time in times):
        return []
    if clock.errors is None:
        return [
            "Times are predicted by a model fitted to a single card. Its error on other cards is unknown.",
            *_notes_on_ranges(times),
        ]
    worst = clock.errors.worst
    return [
        f"Times are predicted by a model fitted to {clock.errors.cells} timings. With each card in turn left out of "
        f"the fit, the median error was {clock.errors.median:.1%} and the worst {abs(worst.error):.1%} "
        f"({worst.observed.card}, {title(worst.observed.case)}). These errors do not hold for cases unlike those "
        "timings.",
        *_notes_on_ranges(times),
    ]


def _notes_on_ranges(times: Sequence[Time | None]) -> list[str]:
    notes = range_notes(times)
    return [f"{note} {_QUICKER}" if note == _RANGES else note for note in notes]


def range_notes(times: Iterable[Time | None]) -> list[str]:
    """The meaning of ranges and least times, if there are any."""
    ranges = [set(time.beyond) for time in times if time is not None and time.between is not None]
    slower = {_TIGHT: TIGHT, _EMULATED: EMULATED}  # of what spills, `_WINDOWS` tells
    notes = [_RANGES] if any(words.isdisjoint({TIGHT, SPILLED, EMULATED}) for words in ranges) else []
    return notes + [note for note, name in slower.items() if any(name in words for words in ranges)]
