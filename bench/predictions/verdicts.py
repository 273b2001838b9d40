"""The verdicts that come with the program: for every card of gpus.yaml, every model of the zoo and common sizes.

`python -m bench.predictions.verdicts` writes them (`make predictions`). `analysis.verdicts` lays a user's own figures
over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench import store
from bench.analysis.advise import ranking
from bench.analysis.advise.card import Place
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.ways import Advice, Local
from bench.analysis.cost.outputs import output_of
from bench.analysis.hybrid import local_or_remote
from bench.analysis.hybrid.scenario import EVERYTHING, Request
from bench.analysis.planning.card_offers import Between, between_s, local_cost, sold_as
from bench.analysis.verdicts import verdict_json
from bench.analysis.verdicts.questions import (
    NOTHING,
    REMOTE,
    Card,
    Figures,
    Had,
    Model,
    OnCard,
    Question,
    Remote,
    TimeErrors,
    Verdict,
    Verdicts,
    way_of,
)
from bench.config import Card as Price
from bench.config import Network, Prices, load_networks, load_prices
from bench.errors import BenchError, ResultsError
from bench.predictions import advice as advising
from bench.predictions import card_plans
from bench.predictions.advice import Evidence, Scope
from bench.predictions.card_plans import Market
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
    def requests(self) -> Iterator[Request]:
        """The request over each network, in order."""
        request = self.evidence.comparison.request
        return (replace(request, paths={name: request.paths[name]}) for name in self.networks)


def build(keys: Sequence[str], cards: Sequence[str] = ()) -> Verdicts:
    """The verdicts for these models and cards (all of gpus.yaml if none is named), from published records.

    Raises ResultsError without the published records, ConfigError for an unknown name.
    """
    sources = _sources(cards)
    errors = sources.evidence.clock.errors if sources.evidence.clock else None
    return Verdicts(
        cards=tuple(_card(card, sources.market.prices) for card in sources.cards),
        models=tuple(model_of(key) for key in keys),
        networks={name: network.title or name for name, network in sources.networks.items()},
        errors=None if errors is None else TimeErrors(errors.median, abs(errors.worst.error)),
        currency=sources.market.prices.currency,
        questions=tuple(_question(image, sources) for key in keys for image in images_of(key)),
    )


def keys_of_zoo() -> tuple[str, ...]:
    """The models that verdicts are given for: real ones whose memory and time can be predicted."""
    return tuple(
        key
        for key, spec in models.zoo().items()
        if spec.fault is None and spec.hub_id is not None and models.workload(key).is_predicted
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
    networks = load_networks()
    paths = {name: network.path for name, network in networks.networks.items()}
    comparison = local_or_remote.compare(records, Request(paths, networks.files), EVERYTHING)
    cards, _ = choose_cards(names, None, folder, records)
    evidence, _ = advising.gather_evidence(records, comparison, folder)
    market = card_plans.market(cards, load_prices(), evidence, folder)
    return _Sources(cards, evidence, market, networks.networks)


def _card(card: TargetCard, prices: Prices) -> Card:
    place = card.place
    return Card(card.name, place.total_bytes, place.is_memory_assumed, had=_had(prices.cards.get(card.name)))


def _had(price: Price | None) -> Had | None:
    """How a card is had: bought if it has a price, since a user asks about their own card."""
    ways: tuple[Had, ...] = ("bought", "rented")
    return next((way for way in ways if sold_as(price, way) is not None), None)


def model_of(key: str) -> Model:
    """The model as the verdicts name it."""
    spec = models.get(key)
    case = Case(model=key, operation=models.workload(key).operations[0], axes=_sizes(key)[0], dtype=spec.dtype)
    output = output_of(case)
    return Model(key, spec.title, spec.aliases, "video" if output.is_video else "image", output.unit)


def _question(image: Case, sources: _Sources) -> Question:
    scope = Scope(lower=False, fixed=image.dtype != models.get(image.model).dtype)
    remote_at = advising.remote_ways_of(image, sources.evidence)
    remotes = [remote_at(request) for request in sources.requests]
    ranked = [advising.rank(image, card, sources.evidence, scope, remotes[0]) for card in sources.cards]
    ways = {way.option.case: way_of(way.option.case, image.dtype) for each in ranked for way in each.local}
    ordered = sorted(ways, key=lambda case: (case.dtype != image.dtype, _change(case, ranked)))
    cards = tuple(_on_card(advice, remotes, ordered, sources.market.prices) for advice in ranked)
    return Question(
        image.model,
        image.operation,
        image.axes["width"],
        image.axes["height"],
        frames_of(image),
        image.dtype,
        models.workload(image.model).risk(image.model, image.dtype),
        tuple(ways[case] for case in ordered),
        _remotes(image, remotes, sources),
        cards,
    )


def _change(case: Case, advice: Sequence[Advice]) -> int:
    return min(way.option.change for each in advice for way in each.local if way.option.case == case)


def _on_card(advice: Advice, remotes: Sequence[RemoteWay], ordered: Sequence[Case], prices: Prices) -> OnCard:
    places = {case: index for index, case in enumerate(ordered)}
    best = tuple(_best(ranking.rank(advice.image, advice.place, advice.local, remote), places) for remote in remotes)
    figures = [_figures(way, places[way.option.case], advice.place, prices) for way in advice.local]
    return OnCard(best, tuple(sorted(figures, key=lambda each: each.way)))


def _best(advice: Advice, places: dict[Case, int]) -> int:
    if advice.best is None:
        return NOTHING
    return places[advice.best.way.option.case] if isinstance(advice.best.way, Local) else REMOTE


def _figures(way: Local, index: int, place: Place, prices: Prices) -> Figures:
    peak, time = way.peak, way.time
    taken = between_s(time) if time else Between(0, None)
    price = prices.cards.get(place.card or "")
    had = _had(price)
    cost = None if had is None else local_cost(way.option.case, time, price, had, prices)
    return Figures(
        index,
        verdict_of(way),
        peak.reserved_bytes if peak.runs else peak.needed_bytes,
        taken.least if time else None,
        taken.most if time else None,
        peak.kind,
        time.kind if time else "predicted",
        cost.least if cost and cost.is_exact else None,
    )


def verdict_of(way: Local) -> Verdict:
    """The verdict on a way, with what its precision risks on the card."""
    peak = way.peak
    if not peak.runs:
        return "unsupported" if peak.verdict == "unsupported" else "oom"
    if way.option.hazard is not None:
        return "emulated" if way.option.hazard == "emulated" else "black"
    if peak.verdict == "fits":
        return "fits" if peak.is_comfortable else "unsure"
    return "tight"


def _remotes(image: Case, remotes: Sequence[RemoteWay], sources: _Sources) -> dict[str, Remote]:
    offers = card_plans.endpoints_of(image, sources.market)
    found: dict[str, Remote] = {}
    for name, remote in zip(sources.networks, remotes, strict=True):
        priced = [
            (offer.per_1000.least, offer.name)
            for offer in offers
            if offer.per_1000 is not None
            and offer.per_1000.is_exact
            and offer.price.price
            and remote.by in {offer.by, offer.price.accelerator, offer.price.stand_in}
        ]
        cost, endpoint = min(priced, default=(None, ""))
        time = remote.time
        taken = between_s(time) if time else None
        found[name] = Remote(
            taken.least if taken else None,
            taken.most if taken else None,
            time.kind if time else "simulated",
            remote.by,
            cost,
            endpoint,
            remote.reason or None,
        )
    return found


def load() -> Verdicts:
    """The verdicts that come with the program. Raises BenchError if their file is missing or broken."""
    path = store.verdicts()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchError(f"Can't read {path.name}, which comes with the program ({error.strerror}).") from None
    return verdict_json.from_json(text, path.name)


if __name__ == "__main__":
    store.verdicts().write_text(verdict_json.to_json(build(keys_of_zoo())), encoding="utf-8")
