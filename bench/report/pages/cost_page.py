"""The cost of an image: the page `reports/cost.md`, and the output of `bench cost`. The plot is `cost_plot`'s."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.cost.image_costs import BUSY, CHARGES, Costs, Image
from bench.core.units import format_amount, format_percent
from bench.record import Case
from bench.report.document import Block, Bullets, Document, Picture, Section, Terms, Text, detail
from bench.report.pages.cells import by_call, call, featured
from bench.report.pages.cost_tables import break_even_table, image_table, local_name, prices_table
from bench.workloads.labels import whole_size_of

PLOT = "cost.png"
_LEGEND = Terms(
    (
        (
            "Cards",
            "charged for the seconds in which they compute, because they also generate. The price of a bought card is "
            "spread over all hours of its lifetime, and its electricity is added; rent includes electricity.",
        ),
        (
            "Endpoints",
            "charged for every minute in which they start or run; they stop after an idle time if their price says so. "
            f"Requests come at random, and a running endpoint may be at most {format_percent(BUSY)} busy. The network "
            "is free, and so is the time that your card waits, because the next image is generated meanwhile. 0: the "
            "endpoint is free.",
        ),
        (
            "Pays",
            "the images per hour at which that endpoint costs no more than this card, if the card is kept for this "
            "alone and charged for every hour. never: even an endpoint that is always busy costs more.",
        ),
        (
            "Time, Energy",
            "of one image. An endpoint that was not measured has the time of the device in brackets. Energy that was "
            "not measured is the board's rated power times the time, an upper limit. An endpoint's price includes it.",
        ),
    )
)
_STARTS = (
    "A start that an endpoint of `bench serve` measured of itself counts instead of the assumed one of its price; the "
    "rows of such endpoints name it. It begins with the process, or with the request that woke it: the time in which a "
    "provider finds a machine is not in it."
)
_VIDEOS = (
    "Time, energy, amounts and volumes of a video are for seconds of it, at the frame rate of its model's pipeline, or "
    "for frames if that is not known. A request carries the whole clip."
)


def page(costs: Costs, *, has_details: bool = True) -> Document:
    """The page. `has_details`: with the tables that markdown leaves out, which take long to make of many cards."""
    images = priced(costs)
    currency = costs.prices.currency
    blocks: list[Block] = [
        Text(
            f"{currency} for 1,000 images at a steady number of images per hour (/h). What the VAE or the text encoder "
            "costs, and nothing else."
        ),
        Picture(PLOT, f"{currency} for 1,000 images over images per hour; the tables have the figures.")
        if images
        else Text("Nothing has both a time and a price."),
    ]
    for name, group in by_call(images, lambda image: image.case):
        blocks.append(Section(f"{name}{_at(chosen(group))}", tuple(_images(group, costs, has_details=has_details))))
    blocks.append(detail("Prices", prices_table(costs.prices)))
    blocks += [detail("What is missing", Bullets(costs.gaps))] if costs.gaps else []
    videos = [Text(_VIDEOS)] if any(image.output.is_video for image in images) else []
    written = Text(
        "Written by `bench cost` and `bench report` from the results and `configs/prices.yaml`, which has the source "
        "and date of each price; do not edit."
    )
    starts = [Text(_STARTS)] if any(remote.start for image in images for remote in image.remote) else []
    return Document("What an image costs", tuple(blocks), (_LEGEND, *starts, *videos, written))


def terminal(costs: Costs) -> Document:
    """The figures of a choice: each image's costs, with memory, and where endpoints break even."""
    images = priced(costs)
    blocks: list[Block] = []
    for image in images:
        tables = [image_table(image, costs, memory=True), break_even_table([image], "use", free=False)]
        counted = image.output.plural
        heading = f"{title(image.case)}: {costs.prices.currency} for 1,000 {counted}, by {counted} per hour (/h)"
        blocks.append(Section(heading, tuple(table for table in tables if table)))
    legend = Text(
        "Memory is the peak as a share of the card's. Energy that was not measured follows from the board's rated "
        "power. A card is charged for the seconds that it computes. An endpoint breaks even at the volumes where it "
        "costs no more than the card; never: even one that is always busy costs more. OOM: out of memory. -: unknown.",
        "quiet",
    )
    starts = [Text(_STARTS, "quiet")] if any(remote.start for image in images for remote in image.remote) else []
    return Document("", (*blocks, legend, *starts) if images else ())


def priced(costs: Costs) -> list[Image]:
    """The images that a card or an endpoint that is not free has a cost for."""
    return [
        image
        for image in costs.images
        if image.local or any(remote.cost is not None and not remote.is_free for remote in image.remote)
    ]


def chosen(images: Sequence[Image]) -> Image:
    """The image that is shown first, and plotted."""
    return featured(images, lambda image: image.case)


def title(case: Case) -> str:
    """`SD v1.5 encode 512x512`, and the batch or frames if there are several."""
    return f"{call(case)} {whole_size_of(case)}"


def summary(costs: Costs) -> list[str]:
    """A line for each image: its cheapest card and its cheapest endpoint at the middle volume."""
    place = len(costs.volumes) // 2
    lines = []
    for image in priced(costs):
        local = [(way.per_1000[place], local_name(way)) for way in image.local if way.per_1000]
        remote = [
            (way.per_1000[place], f"endpoint {way.name}") for way in image.remote if way.per_1000 and not way.is_free
        ]
        cheapest = [min(ways) for ways in (local, remote) if ways]
        if cheapest:
            of_what = f" {image.output.plural}" if image.output.unit != "image" else ""
            volume, currency = f"{costs.volumes[place]:,.12g}/h", costs.prices.currency
            heading = f"{title(image.case)} at {volume}, {currency} for 1,000{of_what}"
            amounts = "; ".join(f"{name} {format_amount(amount)}" for amount, name in cheapest)
            lines.append(f"{heading} (simulated): {amounts}")
    return lines


def _at(image: Image) -> str:
    """` 512x512`, ` 832x480 81 frames, for seconds of video (16 frames a second)`: what follows a call's name."""
    output, size = image.output, f" {whole_size_of(image.case)}"
    if not output.is_video:
        return size if output.unit == "image" else f"{size}, for {output.plural}"
    rate = f" ({output.frames_per_second:g} frames a second)" if output.frames_per_second else ""
    return f"{size}, for {output.plural}{rate}"


def _images(images: Sequence[Image], costs: Costs, *, has_details: bool) -> list[Block]:
    """The table of the featured image; those of all images, and where endpoints break even, as details."""
    featured = image_table(chosen(images), costs, pays=True)
    if not has_details:
        return [featured]
    break_evens = (break_even_table(images, charge) for charge in CHARGES)
    return [
        featured,
        *(detail(f"At{_at(image)}", image_table(image, costs)) for image in images),
        detail("Break-even", *(table for table in break_evens if table)),
    ]
