"""On which card to compute an image, for the terminal (`bench plan`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from bench.analysis.advise.times import Clock, Time
from bench.analysis.cost.outputs import output_of
from bench.analysis.planning.card_offers import (
    Between,
    CardOffer,
    EndpointOffer,
    ImagePlan,
    PricedCard,
    Way,
    cheapest,
    comfortable,
    priced,
)
from bench.config import card_names
from bench.config.prices import Purchase, Rental
from bench.core.units import format_between, format_bytes, format_count, memory_percent
from bench.errors import listed
from bench.report import document
from bench.report.document import Block, Bullets, Cell, Column, Document, Kind, Section, Text, table_of
from bench.report.pages import advice_words, cells
from bench.report.pages.advice_tables import BEYOND
from bench.report.pages.cells import MEMORY_ASSUMED, SURE, TIGHT
from bench.vram import assumptions
from bench.workloads import models
from bench.workloads.labels import whole_size_of

#: What each way of having a card is called in tables and sentences.
_HOW: dict[Way, str] = {"bought": "to buy", "rented": "to rent", "unpriced": "without a price in prices.yaml"}
_WAYS: tuple[Way, ...] = ("bought", "rented")
#: The most names of cards in a sentence.
_MOST_NAMES = 8
_LEGEND = (
    "Peak: of torch's pool, weights included, with its share of the card's memory; the CUDA context comes on top. "
    "? after a share: medium confidence that it fits.",
    "1,000 images: what they cost on a card that is charged for the seconds that it computes. A bought card is charged "
    "its share of the price and its electricity, at the board's rated power. An endpoint is charged by the hour, and "
    "busy for at most 80% of it. Predicted times give predicted costs.",
)
_TOO_LARGE = "Untiled, a tensor has 2^31 elements or more. What kernels take beyond 32-bit indices is not known."
_ENDPOINTS = (
    "Endpoints: time is that of computing, as `bench cost` has it, or else predicted; end to end is simulated over the "
    "network (change it with --network). Images of more than 2048 px are served in tiles."
)


def terminal(plans: Sequence[ImagePlan], clock: Clock | None) -> Document:
    """For each image the cheapest cards, and all cards and endpoints by price; then what fits all images, and notes."""
    blocks: list[Block] = [Section(_title(plan), tuple(_image(plan))) for plan in plans]
    if len(plans) > 1:
        blocks.append(Section(f"All {format_count(len(plans), 'image')}", (Bullets(tuple(_for_all(plans))),)))
    return Document("", (*blocks, Bullets(tuple(_notes(plans, clock)), tone="quiet")))


def _title(plan: ImagePlan) -> str:
    """`SDXL encode 2048x2048, float32: fits untiled on 25 of 56 cards`."""
    image, count = plan.image, len(plan.offers)
    where = f"on {len(plan.fitting)} of {format_count(count, 'card')}" if count else "on no card"
    return f"{cells.call(image)} {whole_size_of(image)}, {image.dtype}: fits untiled {where}"


def _image(plan: ImagePlan) -> Iterable[Block]:
    offers = plan.fitting or comfortable(plan.tiled)
    cards = priced(offers, plan.prices)
    yield Bullets((*_nowhere(plan), *_cheapest(cards, plan), *_tight(plan), *_cheapest_endpoint(plan)))
    for way in _WAYS:
        yield from _cards_table(cards, way, plan)
    yield from _endpoints_table(plan)
    yield from _cards_table(cards, "unpriced", plan)


def _nowhere(plan: ImagePlan) -> list[str]:
    """What to do about an image that fits no card untiled."""
    if plan.fitting:
        return []
    nearest, lines = plan.nearest, [_TOO_LARGE] if plan.is_too_large else []
    if nearest is not None:
        room = format_bytes(nearest.place.capacities[1])
        lines.append(
            f"Untiled, it comes nearest to fitting on {nearest.place.label}: {_taken(nearest)}, and there is room for "
            f"{room}."
        )
    tile, count = plan.tile, len(comfortable(plan.tiled))
    tiled = "In tiles it fits none of these cards either."
    if tile is not None:
        tiled = f"In tiles of {tile.label} px it fits {count} of {format_count(len(plan.tiled), 'card')}."
    return [*lines, tiled]


def _taken(offer: CardOffer) -> str:
    """`it takes 14.8 GiB (tight)`, `it needs at least 226 GiB`."""
    peak = offer.peak
    if peak.reserved_bytes is None:
        return f"it needs at least {format_bytes(offer.needed_bytes)}"
    return f"it takes {format_bytes(peak.reserved_bytes)} ({'tight' if peak.verdict == 'tight' else 'low confidence'})"


def _cheapest(cards: Sequence[PricedCard], plan: ImagePlan) -> list[str]:
    """The cheapest card to buy, and the cheapest to rent."""
    lines = []
    for way in _WAYS:
        card = cheapest(cards, way)
        if card is None or card.price is None:
            lines += [f"Cheapest {_HOW[way]}: none of these cards has such a price in prices.yaml."] if cards else []
            continue
        offer, price = card.offer, card.price
        peak, room = format_bytes(offer.peak.reserved_bytes), format_bytes(offer.place.available_bytes)
        time = "time not known" if offer.time is None else offer.time.text
        lines.append(
            f"Cheapest {_HOW[way]}: {offer.place.label}, {_money(price, plan.prices.currency)} ({price.source}, "
            f"{price.date}): {peak} of {room}, {time}"
        )
    return lines


def _money(price: Purchase | Rental, currency: str) -> str:
    return f"{price.price:,.12g} {currency}{' an hour' if isinstance(price, Rental) else ''}"


def _tight(plan: ImagePlan) -> list[str]:
    tight = priced([offer for offer in plan.offers if offer.is_tight], plan.prices)
    if not tight or not plan.fitting:
        return []
    names = dict.fromkeys(card.offer.place.label for card in tight)
    return [f"Tight, or with low confidence, it also runs on {listed(names, _MOST_NAMES)}."]


def _cheapest_endpoint(plan: ImagePlan) -> list[str]:
    """The cheapest endpoint by the hour whose time is known, except a free one."""
    endpoint = next((each for each in plan.endpoints if each.time is not None and each.price.price), None)
    if endpoint is None or endpoint.time is None:
        return ["No endpoint with a price has a time for it."] if plan.endpoints else []
    price = endpoint.price
    whole = f", {_span(endpoint.whole_s)} from end to end over {plan.network}" if endpoint.whole_s else ""
    return [
        f"Cheapest endpoint: {endpoint.name} with {price.accelerator}, {price.price:,.12g} {plan.prices.currency} an "
        f"hour ({price.source}, {price.date}): {endpoint.time.text}{whole}"
    ]


def _cards_table(cards: Sequence[PricedCard], way: Way, plan: ImagePlan) -> Iterable[document.Table]:
    """The table of the cards that are bought, rented or unpriced; nothing if there are none."""
    having = [card for card in cards if card.way == way]
    if not having:
        return
    tile = None if plan.fitting else plan.tile
    how = "untiled" if tile is None else f"in tiles of {tile.label} px"
    money = "" if way == "unpriced" else f", in {plan.prices.currency}{' an hour' if way == 'rented' else ''}"
    price = (Column("Price", right=True), _price)
    cost = (Column(_counted(plan), right=True), lambda card: _amount(card.per_1000, card.offer.time))
    yield table_of(
        having,
        (Column("Card", may_wrap=True), lambda card: card_names.short(card.offer.place.label)),
        *([price] if money else []),
        (Column("Peak", "bytes"), lambda card: Cell(card.offer.peak.reserved_bytes, kind=card.offer.peak.kind)),
        (Column("Share", right=True), lambda card: _share(card.offer)),
        (Column("Time", "seconds"), lambda card: _time(card.offer.time)),
        *([cost] if money else []),
        title=f"Fits {how}: {_HOW[way]}{money}",
    )


def _price(card: PricedCard) -> Cell:
    return Cell() if card.price is None else Cell(card.price.price, f"{card.price.price:,.12g}")


def _share(offer: CardOffer) -> Cell:
    peak = offer.peak
    if peak.reserved_bytes is None:
        return Cell()
    percent = memory_percent(peak.reserved_bytes, offer.place.limit_or_total_bytes)
    return Cell(percent, f"{percent:.0f}%{SURE[peak.confidence]}")


def _time(time: Time | None) -> Cell:
    """`2.10 s`, `11 ms to 245 ms`, with a mark if it goes beyond the times that the model was fitted on."""
    if time is None:
        return Cell()
    return Cell(time.seconds, f"{time.text}{BEYOND if time.beyond else ''}", time.kind)


def _amount(amount: Between | None, time: Time | None) -> Cell:
    """`0.12`, `0.01 to 0.20`, `at least 0.01`."""
    if amount is None:
        return Cell()
    kind = None if time is None else _kind_of_sum(time)
    return Cell(amount.least if amount.is_exact else None, format_between(amount.least, amount.most, "amount"), kind)


def _counted(plan: ImagePlan) -> str:
    """`1,000 images`, `1,000 s of video`."""
    output = output_of(plan.image)
    return "1,000 s of video" if output.unit == "second of video" else f"1,000 {output.plural}"


def _endpoints_table(plan: ImagePlan) -> Iterable[Block]:
    """The endpoints with a time, and the names of those without."""
    timed = [endpoint for endpoint in plan.endpoints if endpoint.time is not None]
    if timed:
        yield table_of(
            timed,
            (Column("Endpoint", may_wrap=True), _endpoint_name),
            (Column("Price", right=True), lambda each: Cell(each.price.price, f"{each.price.price:,.12g}")),
            (Column("Time", "seconds"), lambda each: _time(each.time)),
            (Column("End to end", right=True), _whole),
            (Column(_counted(plan), right=True), lambda each: _amount(each.per_1000, each.time)),
            title=f"Endpoints in {plan.prices.currency} an hour, end to end over {plan.network}",
        )
    untimed = [_endpoint_name(endpoint) for endpoint in plan.endpoints if endpoint.time is None]
    if untimed:
        yield Text(f"No time is known for {listed(untimed)}.")


def _endpoint_name(endpoint: EndpointOffer) -> str:
    """`aws-a10g: A10G (time of RTX 3090)`."""
    accelerator, by = endpoint.price.accelerator, endpoint.by
    time_of = f" (time of {card_names.short(by)})" if by and by != accelerator else ""
    return f"{endpoint.name}{f': {card_names.short(accelerator)}' if accelerator else ''}{time_of}"


def _whole(endpoint: EndpointOffer) -> Cell:
    if endpoint.whole_s is None or endpoint.time is None:
        return Cell()
    return Cell(text=_span(endpoint.whole_s), kind=_kind_of_sum(endpoint.time))


def _kind_of_sum(time: Time) -> Kind:
    """The kind of a figure that follows from a time and from prices or a network."""
    return "predicted" if time.kind == "predicted" else "simulated"


def _span(span: Between) -> str:
    return format_between(span.least, span.most, "seconds")


def _for_all(plans: Sequence[ImagePlan]) -> Iterable[str]:
    """The cheapest cards on which every image fits untiled."""
    fitting = [{offer.place.label for offer in plan.fitting} for plan in plans]
    offers = [offer for offer in plans[0].offers if all(offer.place.label in labels for labels in fitting)]
    count = format_count(len(offers), "card")
    yield f"All of them fit untiled on {count}." if offers else "No card fits all of them untiled."
    cards = priced(offers, plans[0].prices)
    for way in _WAYS:
        card = cheapest(cards, way)
        if card is not None and card.price is not None:
            yield f"Cheapest {_HOW[way]}: {card.offer.place.label}, {_money(card.price, plans[0].prices.currency)}"


def _notes(plans: Sequence[ImagePlan], clock: Clock | None) -> list[str]:
    """The legend, and what prices, times and memory rest on."""
    offers = [offer for plan in plans for offer in (*plan.offers, *plan.tiled)]
    endpoints = [endpoint for plan in plans for endpoint in plan.endpoints]
    notes = list(_LEGEND)
    notes += [_ENDPOINTS] if endpoints else []
    if any(plan.image.axes.product("batch") > 1 for plan in plans) and endpoints:
        notes.append("An image file holds one image, so no time from end to end is known for a batch.")
    if any(offer.is_tight for offer in offers):
        notes.append(f"tight: {TIGHT}")
    known_times = (*(offer.time for offer in comfortable(offers)), *(endpoint.time for endpoint in endpoints))
    times = [time for time in known_times if time is not None]
    if any(time.beyond for time in times):
        reasons = advice_words.beyond(times)
        notes.append(f"{BEYOND} The time model was not fitted to: {reasons}.")
    notes += [_errors(clock)] if any(time.kind == "predicted" for time in times) else []
    notes += advice_words.range_notes(times)
    notes += advice_words.rateless(offer.place for offer in offers)
    notes += dict.fromkeys(_precisions(plans))
    assumed = dict.fromkeys(o.place.card for o in offers if o.place.card and o.place.is_memory_assumed)
    notes += [f"Memory assumed for {', '.join(assumed)}: {MEMORY_ASSUMED}."] if assumed else []
    unsupported = dict.fromkeys(o.place.card for o in offers if o.place.card and o.peak.verdict == "unsupported")
    notes += [f"No torch for {', '.join(unsupported)}: nothing fits them."] if unsupported else []
    return [*notes, assumptions.stated(os.environ)]


def _precisions(plans: Sequence[ImagePlan]) -> Iterable[str]:
    """The risks of the precisions, and the cards that can't use one."""
    for plan in plans:
        image = plan.image
        risk = models.workload(image.model).risk(image.model, image.dtype)
        yield from [f"Risk of {image.dtype}: {risk}."] if risk else []
        lacking: dict[str, dict[str, None]] = {}
        for offer in (*plan.offers, *plan.tiled):
            lacking.setdefault(offer.lacks, {})[offer.place.label] = None
        for endpoint in plan.endpoints:
            lacking.setdefault(endpoint.lacks, {})[endpoint.price.accelerator or endpoint.name] = None
        for why, names in lacking.items():
            if why:
                yield f"Not in {image.dtype} on {', '.join(names)}: {why}. To plan for float32, add --dtype float32."


def _errors(clock: Clock | None) -> str:
    errors = clock and clock.errors
    if not errors:
        return "The error of predicted times is unknown."
    return (
        f"Predicted times: with each card in turn left out of the fit, the median error was {errors.median:.1%} and "
        f"the worst {abs(errors.worst.error):.1%}. `bench advise --gpu NAME` tells more of one card."
    )
