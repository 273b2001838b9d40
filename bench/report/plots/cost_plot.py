"""The plot of costs: money for 1,000 images against images per hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.analysis.cost.arithmetic import Charge, Cost, LocalCost, per_1000
from bench.analysis.cost.image_costs import CHARGES, Costs, Image, Local
from bench.report.pages.cells import by_call
from bench.report.pages.cost_page import chosen, priced, title
from bench.report.pages.hybrid_tables import precision
from bench.report.plots.figure import PALETTE, Label, caption, drawing, label_ends, most, notes_below, plain, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _PANEL, _FRAME = 7.0, 3.4, 0.2  # inches
#: About the height of a panel without its title and the names of its axis, in inches.
_INNER = _PANEL - 0.95
_FROM, _TO, _POINTS = 1.0, 100_000.0, 400
#: More endpoints can't be told apart, and more panels can't be read.
_MOST_ENDPOINTS, _MOST_PANELS = 2, 12
_MOST_NAME = 40
#: The volume (images per hour) at which the cheapest are chosen.
_AT = 100.0
_CHARGED: dict[Charge, str] = {"use": "computes anyway", "hour": "kept for this"}
_COLOURS: dict[Charge, str] = {"use": PALETTE[0], "hour": PALETTE[1]}
_ENDPOINT_COLOURS = ("#000000", "#777777")
_MEANINGS = (
    "computes anyway: the card is charged only for the seconds of this work, because it also generates. "
    "kept for this: every hour of the card is charged.",
    "Endpoints are charged for every minute in which they start or run. A tooth is one more replica or card. All "
    "amounts are simulated.",
)
_PUBLISHED = "Broken lines: from published times."


@dataclass(frozen=True, slots=True)
class _Line:
    """Something that is charged, its cost, and how it is drawn."""

    name: str
    cost: Cost
    colour: str
    style: str = "-"


#: A card, and its cost in one way to charge for it.
_Card = tuple[Local, LocalCost]


def draw(costs: Costs) -> bytes | None:
    """The PNG: one panel per model and operation, at the size that the page shows first. None if nothing has a price.

    Calls for which only endpoints have a cost are left out, unless there are no others.
    Each has the cheapest card in both ways to charge for one, a measured card too if the cheapest is not, and the
    cheapest endpoints. Free endpoints are not drawn, because a logarithmic axis has no 0. A note says what is left out.
    """
    groups = by_call(priced(costs), lambda image: image.case)
    if not groups:
        return None
    rule = "only the first in the results are"
    images = [chosen(group) for _, group in groups]
    comparing = [image for image in images if _cards(image)] or images
    shown, note = most(comparing, _MOST_PANELS, "models and operations", rule)
    height = -(-len(shown) // 2)
    with drawing(_WIDTH * min(2, len(shown)), _PANEL * height + _FRAME) as made:
        panels = list(made.figure.subplots(height, min(2, len(shown)), squeeze=False).flat)
        for panel, image in zip(panels, shown, strict=False):
            panel.set_title(caption(title(image.case)), loc="left", fontsize=10)
            _panel(panel, image, costs.prices.currency)
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        kinds = {local.row.kind for image in shown for local, _ in _cards(image)}
        published = [_PUBLISHED] if "published" in kinds else []
        notes_below(made.figure, [*_MEANINGS, *published, *note, *_left_out(shown)])
    return made.png


def _left_out(images: Sequence[Image]) -> list[str]:
    """How many cards and endpoints have no line, if some have none."""
    cards = {local.row.label for image in images for local in image.local if local.cost}
    endpoints = {remote.name for image in images for remote in image.remote if remote.cost and not remote.is_free}
    drawn = {local.row.label for image in images for local, _ in _cards(image)}
    named = {name for image in images for name, _ in _endpoints(image)}
    rule = f"only the cheapest at {_AT:g} an hour are"
    return [
        sentence
        for every, having, noun in ((cards, drawn, "cards"), (endpoints, named, "endpoints"))
        for sentence in most(sorted(every), len(having), noun, rule)[1]
    ]


def _cards(image: Image) -> list[_Card]:
    """The cheapest card in each way to charge for it, and the cheapest that was measured if that is another one."""
    cards = [(local, local.cost) for local in image.local if local.cost]
    measured = [card for card in cards if card[0].row.kind == "measured"]
    return [card for charge in CHARGES for card in _once(_cheapest(some, charge) for some in (cards, measured) if some)]


def _cheapest(cards: Iterable[_Card], charge: Charge) -> _Card:
    charged = ((local, replace(cost, charge=charge)) for local, cost in cards)
    return min(charged, key=lambda card: per_1000(card[1], _AT))


def _once(cards: Iterable[_Card]) -> list[_Card]:
    return list({id(local): (local, cost) for local, cost in cards}.values())


def _endpoints(image: Image) -> list[tuple[str, Cost]]:
    """The cheapest endpoints by name."""
    endpoints: list[tuple[str, Cost]] = [
        (remote.name, remote.cost) for remote in image.remote if remote.cost and not remote.is_free
    ]
    return sorted(endpoints, key=lambda endpoint: per_1000(endpoint[1], _AT))[:_MOST_ENDPOINTS]


def _lines(image: Image) -> list[_Line]:
    lines = []
    for local, cost in _cards(image):
        name = caption(f"{_name(local, image)}, {local.way}", _MOST_NAME)
        style = "-" if local.row.kind == "measured" else "--"
        lines.append(_Line(f"{name}:\n{_CHARGED[cost.charge]}", cost, _COLOURS[cost.charge], style))
    for (endpoint, of_endpoint), colour in zip(_endpoints(image), _ENDPOINT_COLOURS, strict=False):
        lines.append(_Line(caption(f"endpoint {endpoint}", _MOST_NAME), of_endpoint, colour))
    return lines


def _name(local: Local, image: Image) -> str:
    """The card, and its precision if the card has costs in several."""
    precisions = {precision(other.row) for other in image.local if other.cost and other.row.label == local.row.label}
    return f"{short_name(local.row.label)}{f', {precision(local.row)}' if len(precisions) > 1 else ''}"


def _panel(axes: Axes, image: Image, currency: str) -> None:
    volumes = [_FROM * (_TO / _FROM) ** (n / (_POINTS - 1)) for n in range(_POINTS)]
    labels = []
    for line in _lines(image):
        amounts = [per_1000(line.cost, volume) for volume in volumes]
        if all(amounts):  # a logarithmic axis has no 0
            axes.plot(volumes, amounts, line.style, color=line.colour, linewidth=1.4)
            labels.append(Label(line.name, volumes[-1], amounts[-1], line.colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xlabel(f"{image.output.plural} per hour")
    axes.set_ylabel(caption(f"{currency} for 1,000 {image.output.plural}"))
    plain(axes, "both")
    axes.set_xlim(_FROM, _TO)
    axes.set_ylim(axes.get_ylim())
    label_ends(axes, labels, _INNER)
