"""The plot of costs: money for 1,000 images against images per hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.analysis.cost.arithmetic import Cost, per_1000
from bench.analysis.cost.image_costs import Costs, Image, Local
from bench.report.pages.cells import by_call
from bench.report.pages.cost_page import chosen, priced, title
from bench.report.pages.hybrid_tables import precision
from bench.report.plots.figure import PALETTE, caption, drawing, legend_below, most, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _PANEL, _FRAME = 13.0, 3.8, 1.6  # inches
_FROM, _TO, _POINTS = 1.0, 100_000.0, 400
_STYLES = {"bought": "--", "rented": "-"}
_MARKS = "osv^D*Pp<>"
#: More cards and endpoints can't be told apart, and more panels can't be read.
_MOST_CARDS, _MOST_ENDPOINTS, _MOST_PANELS = 8, 8, 12
#: The volume (images per hour) at which the cheapest are chosen, if not all can be drawn.
_AT = 100.0


def draw(costs: Costs) -> bytes | None:
    """The PNG: one panel per model and operation, at the size that the page shows first. None if nothing has a price.

    Cards are in colour, endpoints in black with marks. Free endpoints are not drawn, because a logarithmic axis has no
    0. What does not fit into a figure is left out, with a note under it.
    """
    groups = by_call(priced(costs), lambda image: image.case)
    if not groups:
        return None
    shown, panel_note = most(
        [chosen(group) for _, group in groups],
        _MOST_PANELS,
        "models and operations",
        "only the first in the results are",
    )
    rule = f"only the cheapest at {_AT:g} images per hour are"
    cards, card_note = most(_cheapest(_local_costs(shown)), _MOST_CARDS, "cards", rule)
    endpoints, endpoint_note = most(_cheapest(_remote_costs(shown)), _MOST_ENDPOINTS, "endpoints", rule)
    ordered = [name for name, _ in dict.fromkeys(_local_costs(shown)) if name in cards]
    colours = {name: PALETTE[n % (len(PALETTE) - 1)] for n, name in enumerate(dict.fromkeys(ordered))}
    height = -(-len(shown) // 2)
    with drawing(_WIDTH if len(shown) > 1 else _WIDTH * 0.7, _PANEL * height + _FRAME) as made:
        panels = list(made.figure.subplots(height, min(2, len(shown)), squeeze=False).flat)
        for panel, image in zip(panels, shown, strict=False):
            panel.set_title(caption(title(image.case)), loc="left", fontsize=10)
            _panel(panel, image, colours, endpoints, costs.prices.currency)
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        legend_below(made.figure, panels[: len(shown)], 3, left_out=[*panel_note, *card_note, *endpoint_note])
    return made.png


def _local_costs(images: Sequence[Image]) -> list[tuple[str, Cost]]:
    return [(_device(local), local.cost) for image in images for local in image.local if local.cost]


def _remote_costs(images: Sequence[Image]) -> list[tuple[str, Cost]]:
    remotes = (remote for image in images for remote in image.remote)
    return [(remote.name, remote.cost) for remote in remotes if remote.cost and remote.price.price]


def _cheapest(costs: Sequence[tuple[str, Cost]]) -> list[str]:
    """The names, by the least that each costs at `_AT` images an hour in any panel."""
    least: dict[str, float] = {}
    for name, cost in costs:
        least[name] = min(per_1000(cost, _AT), least.get(name, math.inf))
    return sorted(least, key=lambda name: least[name])


def _device(local: Local) -> str:
    return caption(local.row.label)


def _panel(axes: Axes, image: Image, colours: dict[str, str], endpoints: Sequence[str], currency: str) -> None:
    volumes = [_FROM * (_TO / _FROM) ** (n / (_POINTS - 1)) for n in range(_POINTS)]
    for local in image.local:
        if local.cost and _device(local) in colours:
            alike = [each for each in image.local if (_device(each), each.way) == (_device(local), local.way)]
            apart = f", {precision(local.row)}, {local.row.kind}" if len(alike) > 1 else ""
            name = caption(f"{_device(local)}{apart}, {local.way}")
            _line(axes, volumes, local.cost, name, color=colours[_device(local)], linestyle=_STYLES[local.way])
    for n, remote in enumerate(image.remote):
        if remote.cost and remote.price.price and remote.name in endpoints:
            name = caption(f"endpoint {remote.name}")
            _line(axes, volumes, remote.cost, name, color="black", marker=_MARKS[n % len(_MARKS)])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xlabel(f"{image.output.plural} per hour")
    axes.set_ylabel(caption(f"{currency} for 1,000 {image.output.plural}"))
    plain(axes, "both")


def _line(axes: Axes, volumes: Sequence[float], cost: Cost, label: str, **style: Any) -> None:
    amounts = [per_1000(cost, volume) for volume in volumes]
    if not all(amounts):
        return  # a logarithmic axis has no 0
    axes.plot(volumes, amounts, label=label, linewidth=1.2, markersize=3.5, markevery=_POINTS // 10, **style)
