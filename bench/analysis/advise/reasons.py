"""The reasons in an advice: why a way has its place, and why the first one is recommended."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.time_order import against, quicker
from bench.analysis.advise.ways import (
    BLACK,
    COMFORTABLE_LOWER,
    EMULATED,
    OTHER_VAE,
    SPILLS,
    Local,
    Ranked,
    is_eligible,
    rank_class,
)
from bench.core.units import format_size
from bench.workloads import models


def rank_reason(way: Local, local: Sequence[Local]) -> str:
    """Why a way has its place, compared with the first local way."""
    first = local[0]
    if way.option.hazard is not None and way.peak.runs:
        return f"{way.option.risk} ({way.peak.reason})" if not way.peak.is_comfortable else way.option.risk
    if not way.peak.is_comfortable:
        return way.peak.reason
    if way is first and not way.option.is_other_vae:
        return _first_reason(way, local)
    parts = [against(way.time, first.time)] if way is not first else []
    if way.option.is_other_vae:
        parts.append(way.option.risk)
    elif way.option.is_lower and not first.option.is_lower:
        parts.append("but in lower precision")
    elif way.option.change > first.option.change and not way.option.is_exact:
        parts.append(f"changes {_result(way)} more")
    return ", ".join(filter(None, parts)) or "fits"


def _first_reason(way: Local, local: Sequence[Local]) -> str:
    same = [other for other in local if rank_class(other) == rank_class(way)]
    several = len({other.option.case.dtype for other in local}) > 1
    fits = f"{f'in {way.option.case.dtype} ' if several else ''}that fits comfortably"
    if len(same) == 1:
        return f"the only way {fits}"
    if any(other.time is None for other in same) or way.time is None:
        return f"changes {_result(way)} least of all {fits} (not all times are known)"
    if all(quicker(way.time, other.time) for other in same if other is not way):
        return f"the quickest {fits}"
    if any(other.time.between for other in same if other.time):
        return f"changes {_result(way)} least of all {fits} (their times are ranges that overlap)"
    least = min(other.time.least_s for other in same if other.time)
    if way.time.least_s == least:
        return f"the quickest {fits}"
    behind = max(0.01, way.time.least_s / least - 1)
    return f"within {behind:.0%} of the quickest {fits}, and changes {_result(way)} less"


def _result(way: Local) -> str:
    """What a way may change."""
    return "the embeddings" if models.workload(way.option.case.model).counted == "prompt" else "the picture"


def recommendation_reason(first: Local, local: Sequence[Local]) -> str:
    """The reason for the recommendation: why not a way that changes the picture less, and its own merit."""
    before = [way for way in local if way.option.change < first.option.change and way.option.case.variant == "default"]
    before = sorted((way for way in before if not way.option.is_lower), key=lambda way: way.option.change)
    unsafe = {way.option.case.dtype: way.option.risk for way in before if _is_unsafe(way)}
    less = [way for way in before if not _is_unsafe(way)]
    parts = [f"not in {dtype}: {risk}" for dtype, risk in unsafe.items()]
    parts += [f"{way.option.label}: {_drawback(way, first)}" for way in less if way.option.case.tile is None]
    tiles = [way for way in less if way.option.case.tile]
    problems = [(_problem_of_tile(way, first), way.option.label) for way in tiles]
    for problem in dict.fromkeys(problem for problem, _ in problems if problem):
        parts.append(f"{_listed([label for each, label in problems if each == problem])}: {problem}")
    return "; ".join([*parts, f"{_resort(first)}{rank_reason(first, local)}"])


def _is_unsafe(way: Local) -> bool:
    return way.option.hazard is not None and way.peak.runs


def _problem_of_tile(way: Local, first: Local) -> str:
    """Why a larger tile is not the first way; empty if it is no worse."""
    if way.peak.is_comfortable:
        return "slower" if quicker(first.time, way.time) else ""
    if way.peak.runs:
        return "spills" if way.peak.verdict == "spills" else "fits only tightly"
    return "out of memory" if way.peak.verdict == "out_of_memory" else "no torch"


def _resort(first: Local) -> str:
    """What precedes the reason for a recommendation that is a last resort."""
    first_class = rank_class(first)
    if first_class == SPILLS:
        return "nothing fits, and no remote time is known; chosen: "
    if first_class == OTHER_VAE:
        return "its own VAE does not run here, and no remote time is known; chosen: "
    if first_class == BLACK:
        return "nothing safer runs here, and no remote time is known; chosen: "
    return "" if first.peak.is_comfortable else "nothing fits comfortably; chosen: "


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) < 3 else f"{labels[0]} to {labels[-1]}"


def _drawback(way: Local, first: Local) -> str:
    """Why a way that changes the picture less than the first one is not first."""
    if way.peak.is_comfortable:
        return against(way.time, first.time) or "fits"
    time = f" ({way.time.text} {way.time.kind})" if way.time else ""
    return f"{way.peak.reason}{time}"


def remote_reason(remote: RemoteWay, first: Local | None) -> str:
    """Why remote has its place, compared with the first local way."""
    if remote.time is None:
        return f"no time known: {remote.reason}"
    compared = "" if first is None else against(remote.time, first.time, first.option.label)
    carried = f"mostly carrying {format_size(remote.carried_bytes)}" if remote.carried_bytes else ""
    return "; ".join(filter(None, ("takes none of the card's memory", compared, carried)))


def remote_first_reason(remote: Ranked, ranked: Sequence[Ranked]) -> str:
    """Why remote comes first, or why nothing does: the problem with the local ways."""
    local = [each.way for each in ranked if isinstance(each.way, Local)]
    eligible = [way for way in local if is_eligible(way)]
    if eligible and rank_class(eligible[0]) == OTHER_VAE:
        return f"{_out_of_memory_reason(local)}; here runs {eligible[0].option.label}: {eligible[0].option.risk}"
    if eligible and rank_class(eligible[0]) in {BLACK, SPILLS}:
        return f"nothing fits safely here; {eligible[0].option.label}: {rank_reason(eligible[0], local)}"
    if eligible:
        return f"{remote.reason} ({eligible[0].time.text if eligible[0].time else '-'})"
    return "; ".join(filter(None, (_emulated_reason(local), _out_of_memory_reason(local))))


def _emulated_reason(local: Sequence[Local]) -> str:
    """Why the precision that the card only emulates is not recommended; empty if no way that runs is in one."""
    emulated = next((way for way in local if rank_class(way) == EMULATED), None)
    return "" if emulated is None else f"not on this card in {emulated.option.case.dtype}: {emulated.option.risk}"


def _out_of_memory_reason(local: Sequence[Local]) -> str:
    """Why nothing runs, by the way that needs least; empty if all ways run."""
    ways = [way for way in local if not way.peak.runs]
    if not ways:
        return ""
    smallest = min(ways, key=lambda way: (way.peak.needed_bytes is None, way.peak.needed_bytes or 0))
    if smallest.peak.verdict == "unsupported":
        return f"nothing runs here: {smallest.peak.reason}"
    return f"nothing fits here; {smallest.option.label}: {smallest.peak.reason}"


def quicker_remote(remote: RemoteWay, first: Local | None) -> str | None:
    """A sentence on what remote would gain, if it is not recommended."""
    if first is None or remote.time is None or not quicker(remote.time, first.time):
        return None
    less = against(remote.time, first.time)
    return f"remote, by {remote.by}, {remote.time.text} ({remote.time.kind}), {less}"


def quicker_other(first: Ranked, local: Sequence[Local]) -> str | None:
    """A sentence on what another VAE for the same latents would gain, if it is not recommended."""
    ways = [way for way in local if way.option.is_other_vae and way.peak.is_comfortable and way is not first.way]
    way = next((way for way in ways if quicker(way.time, first.way.time)), None)
    if way is None or way.time is None:
        return None
    less = against(way.time, first.way.time)
    return f"{way.option.label}, {way.time.text} ({way.time.kind}), {less}, but {way.option.risk}"


def quicker_lower(first: Ranked, local: Sequence[Local]) -> str | None:
    """A sentence on what a lower precision would gain, if it is not recommended."""
    if isinstance(first.way, Local) and first.way.option.is_lower:
        return None
    candidates = [
        (way, way.time)
        for way in local
        if way.option.is_lower
        and rank_class(way) in {COMFORTABLE_LOWER, BLACK}
        and way.peak.is_comfortable
        and way.time is not None
        and quicker(way.time, first.way.time)
    ]
    if not candidates:
        return None
    way, time = candidates[0]
    less = against(time, first.way.time)
    risk = ", which may give black images" if way.option.hazard == "black_images" else ""
    return f"{way.option.label}, {time.text} ({time.kind}), {less}, but in lower precision{risk}"
