"""What would change an advice: the ways are predicted and ranked again under other conditions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench.analysis.advise import changes
from bench.analysis.advise.changes import is_same
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.variants import worth_measuring
from bench.analysis.advise.ways import COMFORTABLE, Advice, Change, Local, Ranked, rank_class
from bench.analysis.hybrid.scenario import Request
from bench.config import load_gpus
from bench.core.boundary import find
from bench.core.units import GIB, MIB
from bench.predictions import advice as advising
from bench.predictions.advice import Evidence, Scope
from bench.predictions.target_cards import TargetCard
from bench.record import Axes
from bench.workloads import models
from bench.workloads.labels import FRAMES, frames_of

#: Memory is named in steps of a tenth of a GiB, which is printed exactly: what a user reads is what was ranked.
_STEPS_IN_GIB = 10


@dataclass(frozen=True, slots=True)
class _Question:
    """An advice, and what is needed to rank its ways again.

    Attributes:
        card: the card that the advice is for.
        scope: the precisions that were looked at.
        remote_ways: the remote way for a request.
    """

    advice: Advice
    card: TargetCard
    evidence: Evidence
    scope: Scope
    remote_ways: Callable[[Request], RemoteWay]

    def best_with(self, available_bytes: int) -> Ranked | None:
        """The recommendation with this much memory available."""
        card = replace(self.card, place=self.card.place.with_available(available_bytes))
        remote = self.remote_ways(self.evidence.comparison.request)
        return advising.rank(self.advice.image, card, self.evidence, self.scope, remote).best

    def remote_at(self, round_trip_s: float) -> RemoteWay:
        """The remote way over the same network with another round trip."""
        request = self.evidence.comparison.request
        path = request.paths[request.network].with_rtt(round_trip_s)
        return self.remote_ways(replace(request, paths={**request.paths, request.network: path}))


def with_changes(advice: Advice, card: TargetCard, evidence: Evidence, scope: Scope) -> Advice:
    """The advice with what would change it, and the variants that are worth measuring.

    `card` is the one that the advice is for, and `scope` the precisions that were looked at.
    """
    question = _Question(advice, card, evidence, scope, advising.remote_ways_of(advice.image, evidence))
    network = changes.of_round_trip(advice, question.remote_at)
    all_changes = [
        *_of_more_memory(question),
        *_of_less_memory(question),
        *_of_precision(question),
        *_of_fewer_frames(question),
        *([network] if network else []),
        *changes.of_measuring(advice),
    ]
    return replace(advice, changes=tuple(all_changes), variants=worth_measuring(advice.image, advice.place))


def _rounded_up(needed_bytes: int) -> int:
    return math.ceil(math.ceil(needed_bytes * _STEPS_IN_GIB / GIB) * GIB / _STEPS_IN_GIB)


def _of_more_memory(question: _Question) -> Iterator[Change]:
    """The least and the most memory at which a way that changes the picture less becomes the recommendation.

    No more than the largest card in gpus.yaml has.
    """
    advice, place = question.advice, question.card.place
    most_bytes = max(gpu.memory_bytes for gpu in load_gpus().cards.values())
    by_case: dict[str, Change] = {}
    for way in changes.to_try_with_more_memory(advice):
        available_bytes = _rounded_up(place.needed_bytes(way.peak.taken_bytes or 0))
        if available_bytes > most_bytes:
            continue
        best = question.best_with(available_bytes)
        if best is None or is_same(best, advice.best) or not isinstance(best.way, Local):
            continue
        is_other_card = available_bytes > place.total_bytes
        key = best.way.option.case.id
        if key not in by_case or available_bytes < (by_case[key].at_bytes or 0):
            by_case[key] = Change("more_memory", best, available_bytes, is_other_card)
    ways = sorted(by_case.values(), key=lambda change: change.at_bytes or 0)
    yield from ways if len(ways) < 2 else (ways[0], ways[-1])


def _of_less_memory(question: _Question) -> Iterator[Change]:
    """The free memory below which the recommendation no longer fits comfortably, and what comes first then."""
    advice, place = question.advice, question.card.place
    if advice.best is None or not isinstance(advice.best.way, Local):
        return
    peak = advice.best.way.peak
    if not peak.is_comfortable or peak.reserved_bytes is None:
        return
    needed_bytes = place.needed_bytes(peak.reserved_bytes)
    at_bytes = _rounded_up(needed_bytes)
    if at_bytes > place.available_bytes or not is_same(question.best_with(at_bytes), advice.best):
        return
    best = question.best_with(needed_bytes - MIB)
    if not is_same(best, advice.best):
        yield Change("less_memory", best, at_bytes)


def _of_precision(question: _Question) -> Iterator[Change]:
    """What would come first in the model's own precision, if the one that was asked for has a risk."""
    advice, evidence = question.advice, question.evidence
    own = models.get(advice.image.model).dtype
    if not question.scope.fixed or not any(way.option.risk for way in advice.local):
        return
    image = advice.image.model_copy(update={"dtype": own})
    remote = advising.remote_ways_of(image, evidence)(evidence.comparison.request)
    best = advising.rank(image, question.card, evidence, Scope(lower=True), remote).best
    if not is_same(best, advice.best):
        yield Change("any_precision", best)


def _of_fewer_frames(question: _Question) -> Iterator[Change]:
    """The longest shorter video that fits untiled, if this one does not; nothing for images."""
    advice = question.advice
    frames, best = frames_of(advice.image), advice.best
    if frames is None or (best is not None and isinstance(best.way, Local) and _is_safe_untiled(best.way)):
        return
    check = models.axes(advice.image.model)[FRAMES].check
    valid = [count for count in range(1, frames) if not check(count)]

    def best_at(place: int) -> Ranked | None:
        axes = Axes({**advice.image.axes, FRAMES: valid[place - 1]})
        image = advice.image.model_copy(update={"axes": axes})
        # the best of the untiled ways alone: what is remote, or in tiles, is there for the whole video too
        alone = replace(question.scope, lower=False, others=False, untiled=True)
        return advising.rank(image, question.card, question.evidence, alone, RemoteWay("", None, "", "")).best

    def fits(place: int) -> bool:
        ranked = best_at(place)
        return ranked is not None and isinstance(ranked.way, Local) and _is_safe_untiled(ranked.way)

    last = find(fits, lambda: len(valid) // 2, len(valid), 0).last
    if last:
        yield Change("fewer_frames", best_at(last), at_frames=valid[last - 1])


def _is_safe_untiled(way: Local) -> bool:
    return way.option.case.tile is None and rank_class(way) == COMFORTABLE
