"""The verdicts that come with the program: for every card of gpus.yaml, every model of the zoo and common sizes.

`python -m bench.predictions.verdicts` writes them (`make predictions`). `measured_verdicts` lays records over
them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench import store
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Advice, Local
from bench.analysis.cost.outputs import output_of
from bench.analysis.hybrid.scenario import EVERYTHING, Request
from bench.analysis.planning.card_offers import between_s, local_cost, sold_as
from bench.analysis.speed.held_out import Errors
from bench.analysis.verdicts import recommendation, verdict_json, verdict_reading
from bench.analysis.verdicts.questions import (
    Card,
    Figures,
    Had,
    Model,
    Question,
    Remote,
    TimeErrors,
    Verdicts,
    three_digits,
    way_of,
)
from bench.config import Card as Price
from bench.config import Network, Prices, load_prices
from bench.errors import BenchError, ResultsError
from bench.predictions import advice as advising
from bench.predictions import card_plans
from bench.predictions.advice import Evidence, Scope
from bench.predictions.card_plans import Market
from bench.predictions.over_networks import compare_ways
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Axes, Case
from bench.workloads import models
from bench.workloads.base import Axis
from bench.workloads.labels import FRAMES, frames_of

#: The edges of the square images that are asked for.
EDGES = (512, 768, 1024, 1536, 2048)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What the verdicts are built from.

    Attributes:
        cards: of gpus.yaml.
        market: prices, and what is known of endpoints.
    """

    cards: Sequence[TargetCard]
    evidence: Evidence
    market: Market
    networks: dict[str, Network]

    @property
    def errors(self) -> Errors | None:
        """Those of predicted times; None if no time is predicted."""
        return self.evidence.clock.errors if self.evidence.clock else None

    @property
    def requests(self) -> Iterator[Request]:
        """The request over each network, in order."""
        request = self.evidence.comparison.request
        return (replace(request, paths={name: request.paths[name]}) for name in self.networks)


def build(keys: Iterable[str], cards: Sequence[str] = ()) -> Verdicts:
    """The verdicts for these models and cards (all of gpus.yaml if none is named), from published records.

    Raises ResultsError without the published records, ConfigError for an unknown name.
    """
    sources = _sources(cards)
    errors = sources.errors
    described: list[Model] = []
    questions: list[Question] = []
    for key in keys:
        images = list(images_of(key))
        described.append(model_of(images[0]))
        questions += [_question(image, sources) for image in images]
    return Verdicts(
        cards=tuple(_card(card, sources.market.prices) for card in sources.cards),
        models=tuple(described),
        networks={name: network.title or name for name, network in sources.networks.items()},
        errors=None if errors is None else TimeErrors(errors.median, abs(errors.worst.error)),
        currency=sources.market.prices.currency,
        questions=tuple(questions),
    )


def keys_of_zoo() -> tuple[str, ...]:
    """The models that verdicts are given for: real ones of images whose memory and time can be predicted."""
    return tuple(
        key
        for key, spec in models.zoo().items()
        if spec.fault is None and spec.hub_id is not None and models.workload(key).has_fitted_times
    )


def images_of(key: str) -> Iterator[Case]:
    """The images or videos of a model that are asked for, as untiled cases: by operation, then size, then precision."""
    workload, spec = models.workload(key), models.get(key)
    precisions = [spec.dtype, *(["float16"] if spec.dtype == "float32" else [])]
    for operation in workload.operations:
        for axes in _sizes(key):
            for dtype in precisions:
                image = Case(model=key, operation=operation, axes=axes, dtype=dtype)
                if not workload.check(image):
                    yield image


def _sizes(key: str) -> list[Axes]:
    """Square images; of a video model its pipeline's size, and about half of it with about half the frames."""
    axes = models.axes(key)
    if FRAMES not in axes or axes[FRAMES].usual is None:
        return [models.square(key, edge) for edge in EDGES]
    size = models.usual_size(key)
    frames = axes[FRAMES].usual
    if size is None or frames is None:
        return []
    fewer = next(count for count in range(frames // 2, 0, -1) if not axes[FRAMES].check(count))
    width, height = (_halved(axes[name], side) for name, side in zip(("width", "height"), size, strict=True))
    return [models.sized(key, width, height, frames=fewer), models.sized(key, *size, frames=frames)]


def _halved(axis: Axis, side: int) -> int:
    """About half the side, in whole steps that the model takes."""
    return next(length for length in range(side // 2, side) if not axis.check(length))


def _sources(names: Sequence[str]) -> _Sources:
    folder = store.published()
    records = [] if folder is None else store.read_latest([folder], strict=True)[0]
    if not records or folder is None:
        raise ResultsError("Without the published times there are no verdicts. Restore results/published/.")
    comparison, networks = compare_ways(records, EVERYTHING)
    cards, _ = choose_cards(names, None, folder, records)
    evidence, _ = advising.gather_evidence(records, comparison, folder)
    market = card_plans.market(cards, load_prices(), evidence, folder)
    return _Sources(cards, evidence, market, networks)


def _card(card: TargetCard, prices: Prices) -> Card:
    place = card.place
    return Card(card.name, place.total_bytes, place.is_memory_assumed, had=had_as(prices.cards.get(card.name)))


def had_as(price: Price | None) -> Had | None:
    """How a card with this price is had: bought if that price is known, since a user asks about their own card."""
    ways: tuple[Had, ...] = ("bought", "rented")
    return next((way for way in ways if sold_as(price, way) is not None), None)


def model_of(case: Case) -> Model:
    """The case's model as the verdicts name it."""
    spec, output = models.get(case.model), output_of(case)
    return Model(spec.key, spec.title, spec.aliases, "video" if output.is_video else "image", output.unit)


def _question(image: Case, sources: _Sources) -> Question:
    # the trace of each way to compute a video takes long
    is_fixed, is_video = image.dtype != models.get(image.model).dtype, frames_of(image) is not None
    scope = Scope(lower=False, fixed=is_fixed, own_tile=is_video)
    remote_at = advising.remote_ways_of(image, sources.evidence)
    remotes = [remote_at(request) for request in sources.requests]
    advice = [advising.rank(image, card, sources.evidence, scope, remotes[0]) for card in sources.cards]
    changes: dict[Case, int] = {}
    for way in (way for each in advice for way in each.local):
        changes[way.option.case] = max(way.option.change, changes.get(way.option.case, 0))
    cases = sorted(changes, key=lambda case: (case.dtype != image.dtype, changes[case]))
    question = Question(
        model=image.model,
        operation=image.operation,
        width=image.axes["width"],
        height=image.axes["height"],
        frames=frames_of(image),
        dtype=image.dtype,
        risk=models.workload(image.model).risk(image.model, image.dtype),
        ways=tuple(way_of(case, image.dtype) for case in cases),
        remote=_remotes(image, remotes, sources),
        cards=(),
    )
    figures = [_figures_of(each, cases, sources.market.prices) for each in advice]
    networks = tuple(sources.networks)
    cards = tuple(recommendation.recommended(question, image, each, networks, sources.errors) for each in figures)
    return replace(question, cards=cards)


def _figures_of(advice: Advice, cases: Sequence[Case], prices: Prices) -> tuple[Figures, ...]:
    """The figures of the ways on a card, in the order of the cases."""
    of_case = {case: index for index, case in enumerate(cases)}
    price = prices.cards.get(advice.place.card or "")
    figures = [_figures(way, of_case[way.option.case], price, prices) for way in advice.local]
    return tuple(sorted(figures, key=lambda each: each.way))


def _figures(way: Local, index: int, price: Price | None, prices: Prices) -> Figures:
    peak = way.peak
    figures = Figures(
        index,
        recommendation.verdict_of(peak, way.option.hazard),
        peak.reserved_bytes if peak.runs else peak.needed_bytes,
        peak_kind=peak.kind,
    )
    return with_time(figures, way.option.case, way.time, price, prices)


def with_time(figures: Figures, case: Case, time: Time | None, price: Price | None, prices: Prices) -> Figures:
    """The figures with this time and what it costs on a card with this price."""
    if time is None:
        return replace(figures, least_s=None, most_s=None, time_kind="predicted", cost_per_1000=None)
    taken, had = between_s(time), had_as(price)
    cost = None if had is None else local_cost(case, time, price, had, prices)
    return replace(
        figures,
        least_s=three_digits(taken.least),
        most_s=three_digits(taken.most),
        time_kind=time.kind,
        cost_per_1000=three_digits(cost.least) if cost is not None and cost.is_exact else None,
    )


def _remotes(image: Case, remotes: Sequence[RemoteWay], sources: _Sources) -> dict[str, Remote]:
    offers = [
        (offer.per_1000.least, offer)
        for offer in card_plans.endpoints_of(image, sources.market)
        if offer.price.price and offer.per_1000 is not None and offer.per_1000.is_exact
    ]
    answers: dict[str, Remote] = {}
    for name, way in zip(sources.networks, remotes, strict=True):
        names = [
            (cost, offer.name)
            for cost, offer in offers
            if way.by in (offer.by, offer.price.accelerator, offer.price.stand_in)
        ]
        answers[name] = remote_of(way, *min(names, default=(None, "")))
    return answers


def remote_of(way: RemoteWay, cost: float | None = None, endpoint: str = "") -> Remote:
    """The remote way as the verdicts keep it, with its cost on an endpoint."""
    if way.time is None:
        return Remote(None, None, "simulated", "", note=way.reason)
    taken = between_s(way.time)
    seconds = three_digits(taken.least), three_digits(taken.most)
    return Remote(*seconds, way.time.kind, way.by, three_digits(cost), endpoint)


def load() -> Verdicts:
    """The verdicts that come with the program. Raises BenchError if their file is missing or broken."""
    path = store.verdicts()
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BenchError(f"Can't read {path.name}, which comes with the program ({error.strerror}).") from None
    return verdict_reading.from_json(text, path.name)


def write() -> None:
    """Build the verdicts again and write their file; tell on standard error how far it is, since it takes minutes."""
    text = verdict_json.to_json(build(_told(keys_of_zoo())))
    store.write_whole(store.verdicts(), text.encode())


def _told(keys: Sequence[str]) -> Iterator[str]:
    for number, key in enumerate(keys, 1):
        sys.stderr.write(f"Verdicts for {key} ({number} of {len(keys)})\n")
        yield key


if __name__ == "__main__":
    write()
