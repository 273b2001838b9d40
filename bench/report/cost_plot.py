"""The plot of costs: money for 1,000 images against images an hour. Reads what `cost` compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.cost.arithmetic import Cost, per_1000
from bench.cost.comparison import Costs, Image, Local
from bench.report.cost import chosen, priced, title
from bench.report.figure import PALETTE, drawing, label, legend_below, plain
from bench.report.hybrid_tables import precision

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _PANEL, _FRAME = 13.0, 3.8, 1.6  # inches
_FROM, _TO, _POINTS = 1.0, 100_000.0, 400
_STYLES = {"bought": "--", "rented": "-"}
_MARKS = "osv^D*Pp<>"


def draw(costs: Costs) -> bytes | None:
    """The PNG: a panel a model and operation, at the size that the page shows first. None where nothing has a price.

    Cards are in colour, endpoints in black with marks; a free one is no line, for a logarithm has no 0.
    """
    groups: dict[tuple[str, str], list[Image]] = {}
    for image in priced(costs):
        groups.setdefault((image.case.model, image.case.operation), []).append(image)
    if not groups:
        return None
    shown = [chosen(group) for group in groups.values()]
    names = dict.fromkeys(_device(local) for image in shown for local in image.local)
    colours = {name: PALETTE[n % (len(PALETTE) - 1)] for n, name in enumerate(names)}
    height = -(-len(shown) // 2)
    with drawing(_WIDTH if len(shown) > 1 else _WIDTH * 0.7, _PANEL * height + _FRAME) as made:
        panels = list(made.figure.subplots(height, min(2, len(shown)), squeeze=False).flat)
        for panel, image in zip(panels, shown, strict=False):
            panel.set_title(label(title(image.case)), loc="left", fontsize=10)
            _panel(panel, image, colours, costs.prices.currency)
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        legend_below(made.figure, panels[: len(shown)], 3)
    return made.png


def _device(local: Local) -> str:
    return label(local.row.label)


def _panel(axes: Axes, image: Image, colours: dict[str, str], currency: str) -> None:
    volumes = [_FROM * (_TO / _FROM) ** (n / (_POINTS - 1)) for n in range(_POINTS)]
    for local in image.local:
        if local.cost:
            several = len([one for one in image.local if (_device(one), one.way) == (_device(local), local.way)]) > 1
            apart = f", {precision(local.row)}, {local.row.kind}" if several else ""
            label = label(f"{_device(local)}{apart}, {local.way}")
            _line(axes, volumes, local.cost, label, color=colours[_device(local)], linestyle=_STYLES[local.way])
    for n, remote in enumerate(image.remote):
        if remote.cost and remote.price.price:
            label = label(f"endpoint {remote.name}")
            _line(axes, volumes, remote.cost, label, color="black", marker=_MARKS[n % len(_MARKS)])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xlabel("images an hour")
    axes.set_ylabel(f"{currency} for 1,000 images")
    plain(axes, "both")


def _line(axes: Axes, volumes: Sequence[float], cost: Cost, label: str, **style: Any) -> None:
    amounts = [per_1000(cost, volume) for volume in volumes]
    if not all(amounts):
        return  # a logarithm has no 0
    axes.plot(volumes, amounts, label=label, linewidth=1.2, markersize=3.5, markevery=_POINTS // 10, **style)
