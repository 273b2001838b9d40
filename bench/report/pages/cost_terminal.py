"""Costs on the terminal: the figures of what was chosen, a few lines a card or endpoint. Never torch."""

from __future__ import annotations

from rich.console import Console

from bench.analysis.cost.arithmetic import Cost, per_1000
from bench.analysis.cost.image_costs import Costs, Image, Local, Remote
from bench.core.units import format_amount, format_metric, format_seconds, one_line
from bench.record import Record
from bench.report.pages.cost_page import break_even_text, local_name, priced, title
from bench.report.pages.kinds import memory_cell
from bench.report.render.terminal import Draw, say

_LEGEND = (
    "Amounts are simulated: nobody ran these volumes. Memory: the peak as a share of the card's; an endpoint takes "
    "none of it. A card is charged for the seconds that it computes. An endpoint breaks even where it costs no more."
)


def draw(costs: Costs) -> Draw:
    """Each image that has a cost: time, memory, energy and amounts where, and where endpoints break even."""

    def onto(console: Console) -> None:
        images = priced(costs)
        for image in images:
            amounts = f"{costs.prices.currency} for 1,000 images (simulated)"
            say(console, one_line(f"{title(image.case)}, {amounts}:"), "bold")
            for local in image.local:
                _print(console, local_name(local), *_local(local, image, costs))
            for remote in image.remote:
                if remote.cost is not None:
                    _print(console, _name(remote), *_remote(remote, costs))
        if images:
            say(console, _LEGEND, "dim")

    return onto


def _print(console: Console, name: str, *lines: str) -> None:
    say(console, one_line(name), indent=2)
    for line in lines:
        say(console, one_line(line), indent=4)


def _local(local: Local, image: Image, costs: Costs) -> list[str]:
    row = local.row
    if local.cost is None:
        return [f"out of memory ({row.kind})"]
    figures = [f"{format_seconds(local.cost.seconds)} {row.kind}", f"memory {_memory(row.quickest)}"]
    if local.energy:
        source = "measured" if local.energy.found_by == "measured" else "from board power"
        figures.append(f"{format_metric('energy', local.energy.joules)} {source}")
    even = [
        f"{one.name} {break_even_text(local, 'use', one.cost).removesuffix(' *simulated*')}"
        for one in image.remote
        if one.cost and one.price.price
    ]
    return [", ".join(figures), _amounts(local.cost, costs), *([f"breaks even: {'; '.join(even)}"] if even else [])]


def _memory(record: Record | None) -> str:
    """The peak of a record, with the word for what it is."""
    cell = memory_cell(record)
    return "not known" if cell == "-" else cell.replace("*", "")


def _name(remote: Remote) -> str:
    by = f", time of {remote.by}" if remote.by else ""
    return f"endpoint {remote.name}{f': {remote.price.accelerator}' if remote.price.accelerator else ''}{by}"


def _remote(remote: Remote, costs: Costs) -> list[str]:
    if not remote.price.price:
        return ["free"]
    assert remote.cost is not None  # noqa: S101 - of those alone lines are printed
    time = [] if remote.seconds is None else [f"{format_seconds(remote.seconds)} {remote.kind}"]
    return [", ".join([*time, "none of your memory"]), _amounts(remote.cost, costs)]


def _amounts(cost: Cost, costs: Costs) -> str:
    return ", ".join(f"{format_amount(per_1000(cost, volume))} at {volume:,.12g}/h" for volume in costs.volumes)
