"""Plans on which card to compute an image: every card of gpus.yaml with its prices, and endpoints beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.advise import peaks, times
from bench.analysis.advise.times import Time
from bench.analysis.cost import image_costs
from bench.analysis.cost.image_costs import Costs, Remote
from bench.analysis.cost.outputs import output_of
from bench.analysis.hybrid.service import alike, of_time
from bench.analysis.planning.card_offers import (
    Between,
    CardOffer,
    EndpointOffer,
    ImagePlan,
    between_s,
    comfortable,
    endpoint_cost,
)
from bench.config import EndpointPrice, Prices
from bench.predictions import predicted_records, time_model
from bench.predictions.advice import Evidence
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Case, Tile
from bench.vram import grades
from bench.workloads import models


@dataclass(frozen=True, slots=True)
class Market:
    """What cards and endpoints cost, and what is known of their times.

    Attributes:
        cards: the cards to choose from.
        accelerators: those of the endpoints that gpus.yaml has, by name.
        costs: what `bench cost` knows of endpoints.
    """

    cards: Sequence[TargetCard]
    accelerators: dict[str, TargetCard]
    prices: Prices
    costs: Costs
    evidence: Evidence


def market(cards: Sequence[TargetCard], prices: Prices, evidence: Evidence, results: Path) -> Market:
    """The market of these cards; `results` as in `choose_cards`."""
    known, _ = choose_cards([], None, results, evidence.records)
    names = {endpoint.accelerator for endpoint in prices.endpoints.values()}
    accelerators = {card.name: card for card in known if card.name in names}
    costs = image_costs.compare(evidence.records, evidence.comparison, prices)
    return Market(cards, accelerators, prices, costs, evidence)


def plan(image: Case, market: Market) -> ImagePlan:
    """The plan of an image, given as its untiled case. Raises ConfigError if it can't be predicted."""
    is_indexed = grades.is_indexed(image)
    offers = _offers(image, market) if is_indexed else ()
    tile, tiled = (None, ()) if comfortable(offers) else _tiled(image, market)
    endpoints = sorted(endpoints_of(image, market), key=lambda endpoint: endpoint.price.price)
    return ImagePlan(
        image=image,
        offers=offers,
        endpoints=tuple(endpoints),
        network=market.evidence.comparison.request.network,
        prices=market.prices,
        tile=tile,
        tiled=tiled,
        is_too_large=not is_indexed,
    )


def _offers(case: Case, market: Market) -> tuple[CardOffer, ...]:
    return tuple(_offer(case, card, market) for card in market.cards)


def _offer(case: Case, card: TargetCard, market: Market) -> CardOffer:
    place, records = card.place, market.evidence.records
    predicted = predicted_records.predict(case, card)
    peak = peaks.of(case, place, records, predicted)
    prediction = predicted.prediction
    time = times.of(case, place, records, peak, market.evidence.clock, time_model.kernels_of(case))
    needed_bytes = prediction.needed_allocated_bytes if prediction else predicted.weights_bytes
    return CardOffer(case, place, peak, time, market.prices.cards.get(card.name), needed_bytes or 0)


def _tiled(image: Case, market: Market) -> tuple[Tile | None, tuple[CardOffer, ...]]:
    """The model's own tile, else the largest one with which the image fits some card, and all cards with it."""
    workload = models.workload(image.model)
    own, tiles = workload.default_tile(image.model), workload.tiles_to_try(image)
    for tile in dict.fromkeys([*(tile for tile in tiles if tile == own), *tiles]):
        case = image.model_copy(update={"tiling": tile})
        offers = _offers(case, market) if grades.is_indexed(case) else ()
        if comfortable(offers):
            return tile, offers
    return None, ()


def endpoints_of(image: Case, market: Market) -> list[EndpointOffer]:
    """The endpoints, each with its time as `bench cost` has it, or else with a predicted one."""
    known = next((costed.remote for costed in market.costs.images if alike(costed.case) == alike(image)), ())
    by_name = {remote.name: remote for remote in known}
    return [_endpoint(image, name, price, by_name.get(name), market) for name, price in market.prices.endpoints.items()]


def _endpoint(image: Case, name: str, price: EndpointPrice, remote: Remote | None, market: Market) -> EndpointOffer:
    served, images = models.workload(image.model).served(image), output_of(image).count
    time, by, lacks = None, "", ""
    if remote is not None and remote.seconds is not None and remote.kind is not None:
        time, by = Time(remote.seconds * images, remote.kind), remote.by or name
    elif price.accelerator in market.accelerators and grades.is_indexed(served):
        offer = _offer(served, market.accelerators[price.accelerator], market)
        time, by, lacks = None if offer.lacks else offer.time, price.accelerator, offer.lacks
    cost = endpoint_cost(price, time, images)
    if time is None:
        return EndpointOffer(name, price, per_1000=cost, lacks=lacks)
    return EndpointOffer(name, price, time, by, _whole(served, time, by, market), cost)


def _whole(served: Case, time: Time, by: str, market: Market) -> Between | None:
    """Seconds from end to end over the network; None if no request can carry the image."""
    request = market.evidence.comparison.request
    transport = request.transport_of(served)
    if transport is None:
        return None
    service = of_time(served, 0.0, time.kind, by, transport, request.files)
    if service is None:
        return None
    taken, besides_s = between_s(time), service.over(request.paths[request.network])
    return Between(taken.least + besides_s, None if taken.most is None else taken.most + besides_s)
