"""What was measured (and published) laid over the verdicts that come with the program.

A record of a device replaces the prediction for that card, as in `bench advise`, and the recommendation follows by the
same rule. A device that gpus.yaml does not have becomes a card of its own, with what was measured on it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.analysis.advise import peaks, precision, remote_way, times
from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import call_of
from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.precision import Hazard
from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import alike
from bench.analysis.speed import shipped
from bench.analysis.speed.held_out import Errors
from bench.analysis.verdicts import recommendation
from bench.analysis.verdicts.questions import (
    RUNS,
    Figures,
    Key,
    OnCard,
    Question,
    Remote,
    Verdicts,
    Way,
    case_of,
    order_of,
    way_of,
)
from bench.config import Prices, load_prices
from bench.errors import ConfigError
from bench.predictions import answered_devices
from bench.predictions.verdict_cards import VerdictCards
from bench.predictions.verdicts import model_of, remote_of, with_time
from bench.record import Axes, Case, Measured, OutOfMemory, Record
from bench.workloads import models
from bench.workloads.base import SIDES
from bench.workloads.labels import FRAMES, frames_of

#: Variants that compute the same picture in another way.
_VARIANTS = ("default", "sliced", "framewise", "whole-clip")
#: What `call_of` gives: the same for cases with the same time and memory.
_Call = tuple[object, ...]
#: Records by the index of their card, then by their call.
_OnCards = dict[int, dict[_Call, list[Record]]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """What answers rest on besides records.

    Attributes:
        request: of the comparison; None: the remote ways stay as they are.
        served: the comparison's images, by `alike`.
        networks: their keys.
        errors: of predicted times.
    """

    request: Request | None
    served: Mapping[tuple[object, ...], RemoteImage]
    networks: tuple[str, ...]
    errors: Errors | None
    prices: Prices


def overlaid(verdicts: Verdicts, records: Sequence[Record], comparison: Comparison | None = None) -> Verdicts:
    """The verdicts with what the records tell, if they are of the devices that ran last (`answered_devices`).

    `comparison` has the remote times that follow from the same records.

    Questions that only records answer come last, as do such cards and models. Records of batches, and of variants that
    are no way to compute the same picture, answer none.
    """
    records, left_out = answered_devices.of_newest(records)
    cards = VerdictCards(verdicts.cards)
    by_question = _by_question(records, cards)
    rule = _rule(verdicts, comparison)
    asked = {question.key for question in verdicts.questions}
    added = [_empty(key) for key in sorted(by_question.keys() - asked, key=_order)]
    answered = [
        _answered(question, _records_for(question, by_question), cards, rule)
        for question in (*verdicts.questions, *added)
    ]
    questions = [question for question in answered if any(answer.ways for answer in question.cards)]
    known = {model.key for model in verdicts.models}
    more = {question.model: question for question in questions if question.model not in known}
    return replace(
        verdicts,
        cards=cards.cards,
        models=(*verdicts.models, *(model_of(_case_of(question)) for question in more.values())),
        questions=tuple(questions),
        left_out=left_out,
    )


def _by_question(records: Sequence[Record], cards: VerdictCards) -> dict[Key, _OnCards]:
    """The records that answer questions; `cards` gets their devices, also of those that answer none."""
    by_question: dict[Key, _OnCards] = {}
    places: dict[Case, tuple[Key, _Call] | None] = {}
    for record in filter(_is_local, records):
        index, case = cards.index_of(record), record.case
        if not _answers(record):
            continue
        if case not in places:
            places[case] = (_key_of(case), call_of(case)) if _is_whole(case) else None
        if (place := places[case]) is not None:
            key, call = place
            by_question.setdefault(key, {}).setdefault(index, {}).setdefault(call, []).append(record)
    return by_question


def _rule(verdicts: Verdicts, comparison: Comparison | None) -> _Rule:
    served = {alike(image.case): image for image in comparison.remote_images} if comparison else {}
    request, errors = comparison.request if comparison else None, shipped.load().clock.errors
    return _Rule(request, served, tuple(verdicts.networks), errors, load_prices())


def _order(key: Key) -> tuple[object, ...]:
    """A sort key: by model and operation as the zoo has them, then smaller images first."""
    model, operation, width, height, frames, dtype = key
    zoo, operations = list(models.zoo()), models.operations()
    return (zoo.index(model), operations.index(operation), width * height, width, frames or 0, dtype)


def _is_local(record: Record) -> bool:
    is_known = record.kind in {"measured", "published"} and record.case.transport is None
    return is_known and record.remote is None and record.device.kind != "endpoint"


def _answers(record: Record) -> bool:
    """Whether a record answers a question about a known model: one that ran, or did not fit, computed as it is."""
    case, outcome = record.case, record.outcome
    return isinstance(outcome, Measured | OutOfMemory) and case.variant in _VARIANTS and case.model in models.zoo()


def _is_whole(case: Case) -> bool:
    """Whether a case is one image or video by itself, so that its size, and a video's frames, say all of it."""
    if not {*SIDES} <= case.axes.keys() or case.operation not in models.workload(case.model).operations:
        return False
    try:
        return _axes(case.model, case.axes["width"], case.axes["height"], frames_of(case)) == case.axes
    except ConfigError:  # its model has other axes
        return False


def _axes(model: str, width: int, height: int, frames: int | None) -> Axes:
    return models.sized(model, width, height, **({} if frames is None else {FRAMES: frames}))


def _key_of(case: Case) -> Key:
    return (case.model, case.operation, case.axes["width"], case.axes["height"], frames_of(case), case.dtype)


def _records_for(question: Question, by_question: Mapping[Key, _OnCards]) -> _OnCards:
    """The records of the question, and of its ways in another precision."""
    together: _OnCards = {}
    for dtype in dict.fromkeys([question.dtype, *(way.dtype for way in question.ways)]):
        for index, of_calls in by_question.get((*question.key[:-1], dtype), {}).items():
            together.setdefault(index, {}).update(of_calls)
    return together


def _empty(key: Key) -> Question:
    """A question that only records answer, without ways and figures yet."""
    model, operation, width, height, frames, dtype = key
    risk = models.workload(model).risk(model, dtype)
    return Question(model, operation, width, height, frames, dtype, risk, ways=(), remote={}, cards=())


def _answered(question: Question, records: _OnCards, cards: VerdictCards, rule: _Rule) -> Question:
    """The question with what its records and the comparison tell, and with what follows from them."""
    case = _case_of(question)
    remote = _remote(question, case, rule)
    is_same_remote = remote == question.remote
    question = replace(_with_ways(question, case, records), remote=remote)
    cases = [case_of(way, case) for way in question.ways] if records else []
    calls = [call_of(of_way) for of_way in cases]
    answers = [question.on(index) for index in range(max([len(question.cards) - 1, *records]) + 1)]
    for index, answer in enumerate(answers):
        figures = answer.ways
        if index in records:
            known = {each.way: each for each in figures}
            same = [(of_way, records[index].get(call, [])) for of_way, call in zip(cases, calls, strict=True)]
            place = cards.places[index]
            figures = tuple(_figures(question, known, same, place, rule.prices))
        if figures and (index in records or not is_same_remote):
            answers[index] = recommendation.recommended(question, case, figures, rule.networks, rule.errors)
    return replace(question, cards=tuple(answers))


def _case_of(question: Question) -> Case:
    """The untiled case of a question."""
    axes = _axes(question.model, question.width, question.height, question.frames)
    return Case(model=question.model, operation=question.operation, axes=axes, dtype=question.dtype)


def _with_ways(question: Question, case: Case, records: _OnCards) -> Question:
    """The question with the ways of its records too, in the order of how much they change the picture."""
    calls = {call: same[0].case for of_calls in records.values() for call, same in of_calls.items()}
    have = {call_of(case_of(way, case)) for way in question.ways} if calls else set()
    new = [
        way_of(
            of_call.model_copy(update={"tiling": models.workload(case.model).tile_used(of_call) or "off"}), case.dtype
        )
        for call, of_call in calls.items()
        if call not in have
    ]
    if not new:
        return question
    ways = sorted([*question.ways, *new], key=lambda way: order_of(way, question.dtype))
    place = {way.key: index for index, way in enumerate(ways)}
    moved = [place[way.key] for way in question.ways]
    return replace(question, ways=tuple(ways), cards=tuple(_moved(answer, moved) for answer in question.cards))


def _moved(answer: OnCard, places: Sequence[int]) -> OnCard:
    """The answer where each way has another index."""
    here = answer.here if answer.here < 0 else places[answer.here]
    best = tuple(index if index < 0 else here for index in answer.best)
    return OnCard(tuple(replace(figures, way=places[figures.way]) for figures in answer.ways), here, best)


def _figures(
    question: Question,
    known: Mapping[int, Figures],
    records: Sequence[tuple[Case, Sequence[Record]]],
    place: Place,
    prices: Prices,
) -> Iterator[Figures]:
    """The figures of each way on a card, by its records if they tell.

    `records` has the case of each way, and the records of the same call; `known` what was known of it before.
    """
    is_own = question.dtype == models.get(question.model).dtype
    for index, (way, (case, same)) in enumerate(zip(question.ways, records, strict=True)):
        figures = known.get(index)
        if same:
            figures = _by_records(figures, index, case, same, place, _hazard(way, place, is_own=is_own))
        if same and figures is not None:
            figures = _timed(figures, case, same, place, prices)
        if figures is not None:
            yield figures


def _hazard(way: Way, place: Place, *, is_own: bool) -> Hazard | None:
    """What the precision of a way risks on a card, as `bench advise` has it if the question is in the model's own."""
    lacking = precision.lack(way.dtype, place)
    if lacking is None or (lacking.hazard == "black_images" and not is_own):
        return None
    return lacking.hazard


def _by_records(
    figures: Figures | None, way: int, case: Case, records: Sequence[Record], place: Place, hazard: Hazard | None
) -> Figures | None:
    """The peak and the verdict of a way by the records of its call; as they were if those do not tell."""
    peak = peaks.observed(case, place, records)
    if peak is None:
        ran = next((record for record in records if isinstance(record.outcome, Measured)), None)
        if figures is not None or ran is None:
            return figures
        peak = Peak(ran.kind, "fits", "high", None, None, "it ran, and nobody noted its memory")
    needed_bytes = figures.peak_bytes if figures is not None and figures.verdict == "oom" else None
    verdict = recommendation.verdict_of(peak, hazard)
    peak_bytes = peak.reserved_bytes if peak.runs else needed_bytes
    return replace(figures or Figures(way, verdict), verdict=verdict, peak_bytes=peak_bytes, peak_kind=peak.kind)


def _timed(figures: Figures, case: Case, records: Sequence[Record], place: Place, prices: Prices) -> Figures:
    """The figures with the records' time; with none if the way does not run."""
    price = prices.cards.get(place.card or "")
    if figures.verdict not in RUNS:
        return with_time(figures, case, None, price, prices)
    time = times.of(case, place, records, recommendation.peak_of(figures), None, None)
    return figures if time is None else with_time(figures, case, time, price, prices)


def _remote(question: Question, case: Case, rule: _Rule) -> Mapping[str, Remote]:
    """The remote way over each network: by the comparison if that has a time, else as it was."""
    before = question.remote
    request, served = rule.request, rule.served.get(alike(case))
    if request is None:
        return before
    now: dict[str, Remote] = {}
    for name in rule.networks:
        if name in request.paths:
            way = remote_way.of(served, replace(request, paths={name: request.paths[name]}))
            now[name] = remote_of(way)
    return {
        name: before[name] if name in before and _is_no_news(remote, before[name]) else remote
        for name, remote in (dict(before) | now).items()
    }


def _is_no_news(now: Remote, before: Remote) -> bool:
    """Whether a remote way is not known, or is as it was before."""
    figures = (now.least_s, now.most_s, now.kind, now.by)
    return now.least_s is None or figures == (before.least_s, before.most_s, before.kind, before.by)
