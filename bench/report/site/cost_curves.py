"""What 1,000 images cost at each volume, for the plot of the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bench.analysis.cost.arithmetic import Charge, Cost, LocalCost, per_1000
from bench.analysis.cost.image_costs import CHARGES, Costs, Image, Local
from bench.report.site.shown import rounded, shown

#: Images per hour: ten for each factor of ten, from 1 to 100,000.
VOLUMES = tuple(float(f"{10 ** (step / 10):.4g}") for step in range(51))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the plot.

    Attributes:
        name: the card, or the endpoint.
        charge: how the card is charged; None for an endpoint.
        kind: the kind of the time that the cost follows from.
        amounts: money for 1,000 images at each of `VOLUMES`.
    """

    name: str
    charge: Charge | None
    way: str | None
    kind: str | None
    amounts: tuple[float | int | None, ...]


def curves(costs: Costs) -> Iterator[dict[str, Any]]:
    """Each image that a card or an endpoint has a cost for, with its lines, as the page's script reads them."""
    for image in costs.images:
        lines = [*_cards(image), *_endpoints(image)]
        if lines:
            axes = image.case.axes
            yield {
                "model": image.case.model,
                "operation": image.case.operation,
                "width": axes.get("width"),
                "height": axes.get("height"),
                "frames": axes.get("frames") if image.output.is_video else None,
                "output": image.output.plural,
                "lines": [[line.name, line.charge, line.way, line.kind, line.amounts] for line in lines],
            }


def _cards(image: Image) -> Iterator[Line]:
    """Two lines for each card, by how it is charged: of the cheapest of its precisions and of buying and renting."""
    cheapest: dict[str, tuple[float, Local, LocalCost]] = {}
    for local in image.local:
        if local.cost is not None:
            amount, name = per_1000(local.cost, VOLUMES[-1]), local.row.label
            if name not in cheapest or amount < cheapest[name][0]:
                cheapest[name] = (amount, local, local.cost)
    for name, (_, local, cost) in cheapest.items():
        for charge in CHARGES:
            yield Line(shown(name), charge, local.way, local.row.kind, _amounts(replace(cost, charge=charge)))


def _endpoints(image: Image) -> Iterator[Line]:
    for remote in image.remote:
        if remote.cost is not None and not remote.is_free:
            yield Line(shown(remote.name), None, None, remote.kind, _amounts(remote.cost))


def _amounts(cost: Cost) -> tuple[float | int | None, ...]:
    return tuple(rounded(per_1000(cost, volume), 3) for volume in VOLUMES)
