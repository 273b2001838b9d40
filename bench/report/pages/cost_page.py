"""The page of costs, `reports/cost.md`. Reads what `cost` compared; never torch. The plot is `cost_plot`'s."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.cost.arithmetic import Charge, EndpointCost, break_even, per_1000
from bench.analysis.cost.image_costs import BUSY, Costs, Image, Local, Remote
from bench.config import Prices, Sourced
from bench.core.units import format_amount, format_metric, format_percent, format_seconds
from bench.record import Case
from bench.report.pages.hybrid_tables import precision
from bench.report.pages.kinds import marked
from bench.report.pages.shown import shown
from bench.report.render import markdown
from bench.report.render.markdown import prose, safe
from bench.workloads import models
from bench.workloads.labels import whole_size_of

PLOT = "cost.png"
_CHARGES: dict[Charge, str] = {"use": "generates as well", "hour": "is kept for this alone"}


def render(costs: Costs) -> str:
    """The page. Ends in a newline."""
    texts = [
        "# What an image costs",
        "Written by `bench cost` (and `bench report`) from the results and `prices.yaml`; edit nothing here.",
        markdown.bullets(_legend(costs)),
    ]
    found = priced(costs)
    if not found:
        texts.append("There is nothing that has both a time and a price.")
    else:
        texts.append(f"![{safe(costs.prices.currency)} for 1,000 images over images an hour; figures below.]({PLOT})")
    for key, operation in dict.fromkeys((image.case.model, image.case.operation) for image in found):
        mine = [image for image in found if (image.case.model, image.case.operation) == (key, operation)]
        texts += [f"## {safe(models.title(key))} {safe(operation)}", *_images(mine, costs)]
    texts += ["## Prices", *_prices(costs.prices)]
    if costs.gaps:
        texts += ["## What is missing", markdown.bullets([prose(gap) for gap in costs.gaps])]
    return "\n\n".join(texts) + "\n"


def priced(costs: Costs) -> list[Image]:
    """The images for which something other than a free endpoint has a cost."""
    return [
        image
        for image in costs.images
        if image.local or any(one.cost is not None and one.price.price for one in image.remote)
    ]


def chosen(images: Sequence[Image]) -> Image:
    """The image that is shown first, and plotted."""
    return shown(images, lambda image: image.case)


def title(case: Case) -> str:
    """`SD v1.5 encode 512x512`, and how many images and frames where that is not one."""
    return f"{models.title(case.model)} {case.operation} {whole_size_of(case)}"


def local_name(local: Local) -> str:
    """`NVIDIA GeForce RTX 3070, float16, bought`."""
    return f"{local.row.label}, {precision(local.row)}, {local.way}"


def summary(costs: Costs) -> list[str]:
    """A line an image: the cheapest card and endpoint at the middle one of the volumes."""
    volume = costs.volumes[len(costs.volumes) // 2]
    lines = []
    for image in priced(costs):
        local = [(per_1000(one.cost, volume), local_name(one)) for one in image.local if one.cost]
        priced_ones = [one for one in image.remote if one.price.price]
        remote = [(per_1000(one.cost, volume), f"endpoint {one.name}") for one in priced_ones if one.cost]
        said = [f"{name} {format_amount(amount)}" for ways in (local, remote) if ways for amount, name in [min(ways)]]
        if not said:
            continue
        lines.append(
            f"{title(image.case)} at {volume:,.12g}/h, {costs.prices.currency} for 1,000 (simulated): {'; '.join(said)}"
        )
    return lines


def _legend(costs: Costs) -> list[str]:
    return [
        f"All amounts are {costs.prices.currency} for 1,000 images at a steady volume, of the VAE alone: generating "
        "costs the same wherever that runs. They are *simulated*: nobody ran that volume for an hour. Times and energy "
        "are *measured* or *published* as marked; a time of a device that stands in for another is *simulated*, and "
        "the device named.",
        "A card is charged for **the seconds that it computes**, since it has the generating to do as well; the second "
        "of the break-even tables is for one that is **kept for this alone** and charged for every hour. A card "
        "*bought* is spread over all hours of its lifetime and pays its electricity; a *rented* one has it in its "
        "price.",
        "**Energy** is of one image: *measured* by the driver, or *from board power*, the most that it can be: the "
        "card's rated watts over the time. An endpoint's is not known, and in its price.",
        "An endpoint bills every minute in which it starts or runs, and stops after an idle time where its line says "
        f"so; requests come at random, and a replica is planned to be at most {format_percent(BUSY)} busy. While it "
        "starts, requests wait. The network costs nothing here, nor does your card's waiting: while the image travels "
        "the next one is generated ([queueing](hybrid.md#queueing)).",
        "**Break-even**: the images an hour above (or below) which the endpoint costs no more than the card: the first "
        "such range, since each further replica or card may tip it again (the plot shows it for a card that generates "
        "as well). *never*: not even a replica that is as busy as can be is cheaper.",
    ]


def _images(images: Sequence[Image], costs: Costs) -> list[str]:
    first = chosen(images)
    texts = [f"At {whole_size_of(first.case)}:", _table(first, costs)]
    texts += [
        markdown.folded(f"At {whole_size_of(image.case)}", _table(image, costs))
        for image in images
        if image is not first
    ]
    for charge, said in _CHARGES.items():
        table = _break_even(images, charge)
        texts += [f"Break-even, images an hour, with a card that {said}:", table] if table else []
    return texts


def _table(image: Image, costs: Costs) -> str:
    headers = ("Where", "Time", "Energy", *(f"at {volume:,.12g}/h" for volume in costs.volumes))
    rows = [_local(local, costs.volumes) for local in image.local]
    rows += [_remote(remote, costs.volumes) for remote in image.remote if remote.cost]
    return markdown.table(headers, rows, "l" + "r" * (len(headers) - 1))


def _local(local: Local, volumes: Sequence[float]) -> list[str]:
    name, row = safe(local_name(local)), local.row
    if local.cost is None:
        return [name, marked("OOM", row.kind), "-", *[marked("OOM", row.kind)] * len(volumes)]
    energy = "-"
    if local.energy:
        found = "measured" if local.energy.found_by == "measured" else "from board power"
        energy = marked(format_metric("energy", local.energy.joules), found)
    amounts = [marked(format_amount(per_1000(local.cost, volume)), "simulated") for volume in volumes]
    return [name, marked(format_seconds(local.cost.seconds), row.kind), energy, *amounts]


def _remote(remote: Remote, volumes: Sequence[float]) -> list[str]:
    assert remote.cost is not None  # noqa: S101 - of those alone the table has rows
    own = remote.by == remote.price.accelerator
    by = f" ({'its local time' if own else f'time of {remote.by}'})" if remote.by else ""
    name = safe(f"endpoint {remote.name}{f': {remote.price.accelerator}' if remote.price.accelerator else ''}{by}")
    time = "-" if remote.seconds is None else marked(format_seconds(remote.seconds), remote.kind or "")
    amounts = [
        marked("0", "free")
        if not remote.price.price
        else marked(format_amount(per_1000(remote.cost, volume)), "simulated")
        for volume in volumes
    ]
    return [name, time, "-", *amounts]


def _break_even(images: Sequence[Image], charge: Charge) -> str | None:
    """A line a card, way and size; a column an endpoint that has a cost at one of the sizes."""
    names = [
        remote.name
        for remote in images[0].remote
        if any(one.name == remote.name and one.cost for image in images for one in image.remote)
    ]
    rows = []
    for image in images:
        remotes = {remote.name: remote for remote in image.remote}
        for local in image.local:
            cells = [break_even_text(local, charge, remotes[name].cost) for name in names]
            rows.append([safe(local_name(local)), whole_size_of(image.case), *cells])
    if not rows or not names:
        return None
    return markdown.table(("Card", "Resolution", *map(safe, names)), rows, "ll" + "r" * len(names))


def break_even_text(local: Local, charge: Charge, remote: EndpointCost | None) -> str:
    """`above 1,230/h`, `below 0.2/h`, `always`, `never`, or that nothing else fits; `-` where a time is missing."""
    if remote is None:
        return "-"
    cost = local.charged(charge)
    if cost is None:
        return marked("nothing else fits", local.row.kind)
    found = break_even(cost, remote)
    if found is None:
        return marked("never", "simulated")
    said = [f"above {format_amount(found.above)}/h"] if found.above else []
    said += [f"below {format_amount(found.below)}/h"] if found.below is not None else []
    return marked(" and ".join(said) or "always", "simulated")


def _prices(prices: Prices) -> list[str]:
    power = prices.electricity
    rows = [["electricity", f"{power.price:g} {power.unit}", "", safe(power.source), str(power.date)]]
    for name, card in prices.cards.items():
        if card.purchase:
            one = card.purchase
            rows.append(_price(f"{name}, bought", one.price, one.unit, f"over {one.lifetime_years:g} years", one))
        if card.rental:
            rows.append(_price(f"{name}, rented", card.rental.price, card.rental.unit, "", card.rental))
        if card.board_power:
            watts = card.board_power
            rows.append([safe(f"{name}, board power"), f"{watts.watts:g} W", "", safe(watts.source), str(watts.date)])
    for name, endpoint in prices.endpoints.items():
        how = [f"{endpoint.start_s:g} s to start"] if endpoint.start_s else []
        how += [f"stops after {endpoint.idle_s:g} s idle"] if endpoint.idle_s else []
        how += [f"{endpoint.stand_in} stands in for it: {endpoint.stand_in_reason}"] if endpoint.stand_in else []
        rows.append(_price(f"endpoint {name}", endpoint.price, endpoint.unit, "; ".join(how), endpoint))
    return [markdown.table(("What", "Price", "How", "Source", "Date"), rows, "lrlll")]


def _price(name: str, price: float, unit: str, how: str, sourced: Sourced) -> list[str]:
    return [safe(name), f"{price:,.12g} {unit}", safe(how), safe(sourced.source), str(sourced.date)]
