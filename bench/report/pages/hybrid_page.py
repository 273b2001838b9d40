"""Local or remote: the page `reports/hybrid.md`, and the output of `bench hybrid`. The plot is `hybrid_plot`'s."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.rows import Row
from bench.core.units import format_seconds, format_size
from bench.record import Record, grouped
from bench.report.document import Block, Bullets, Document, Picture, Section, Terms, Text, detail
from bench.report.pages import overlap_section, pipeline_ways_section
from bench.report.pages.cells import by_call, call, featured
from bench.report.pages.hybrid_tables import (
    Networks,
    local_table,
    measured_table,
    networks_table,
    parts_table,
    precision,
    remote_table,
    title_of,
    way_name,
)
from bench.report.plots.hybrid_plot import is_drawn
from bench.workloads.labels import size_of, whole_size_of

PLOT = "hybrid.png"
_MISSING = "What is missing"

_REMOTE_LEGEND = Terms(
    (
        ("Computed by", "the endpoint on loopback, or the card that stands in for an endpoint, whose time is used."),
        (
            "Endpoint",
            "everything but the network: computing, and writing and reading image files at both ends. It is measured "
            "as a whole on loopback, otherwise it is a sum.",
        ),
        (
            "Sent, Received",
            "sizes of the bodies. The size of an image file depends on the image, and is simulated with the bytes per "
            "pixel of `networks.yaml`. The size of a tensor follows from its shape, and has no mark.",
        ),
    )
)


def page(
    comparison: Comparison, networks: Networks, records: Sequence[Record], *, has_details: bool = True
) -> Document:
    """The page; `records` are those that were compared.

    `has_details`: with the sentences that markdown leaves out, which take long to make of many cards.
    """
    title = "Local or remote"
    origin = Text("Written by `bench hybrid` (and `bench report`) from the results and `networks.yaml`; do not edit.")
    if not comparison.remote_images and not comparison.pipelines:
        what = "The results hold nothing of what was asked for." if records else "There are no results yet."
        remedy = Text(
            f"{what} `bench run` measures this machine, `bench remote --loopback` measures an endpoint on it, and "
            "`bench docs import` reads the docs' published tables."
        )
        missing = (Section(_MISSING, (Bullets(comparison.missing),)),) if comparison.missing else ()
        return Document(title, (remedy, *missing), (origin,))
    return Document(
        title,
        (
            *_answer(comparison, networks, has_details=has_details),
            *_sections(comparison, networks),
            *pipeline_ways_section.sections(comparison, networks),
            *overlap_section.sections(comparison, networks, records),
            Section("Networks", (networks_table(networks),)),
            *([detail(_MISSING, Bullets(comparison.missing))] if comparison.missing else []),
        ),
        (
            _legend(title_of(comparison.request.network, networks)),
            detail("How to read the remote tables", _REMOTE_LEGEND),
            origin,
        ),
    )


def terminal(comparison: Comparison, networks: Networks) -> Document:
    """The figures of a choice: each device's times and memory, then remote times over every network.

    A single network is in the tables of the devices already, and what computes there is named before them.
    """
    sections = []
    for operation, rows, images in _operations(comparison):
        blocks: list[Block] = [local_table(rows, networks, short=True)] if rows else []
        served = [image for image in images if image.service]
        sizes = {size_of(row.case) for row in rows}
        if len(networks) == 1 and all(size_of(image.case) in sizes for image in served):
            names = dict.fromkeys(image.service.by for image in served if image.service)
            blocks = [*([Text(f"Remote is computed by {' or '.join(names)}.")] if names else []), *blocks]
        elif served:
            blocks.append(remote_table(images, networks, short=True))
        blocks += [measured_table(images)] if any(image.measured for image in images) else []
        sections += [Section(operation, tuple(blocks))] if blocks else []
    sections += pipeline_ways_section.sections(comparison, networks, short=True)
    legend = Text(
        "Memory is the peak as a share of the device's; what is computed remotely takes none of it. Remote times are "
        "for one request from end to end over a new connection. OOM: out of memory. -: unknown.",
        "quiet",
    )
    return Document("", (*sections, legend) if comparison.rows else tuple(sections))


def summary(comparison: Comparison, networks: Networks) -> list[str]:
    """A line for each device, model and operation: at which sizes which way is the quickest that fits."""
    precisions: dict[tuple[str, str, str], set[str]] = {}
    for row in comparison.rows:
        precisions.setdefault((row.label, row.case.model, row.case.operation), set()).add(precision(row))
    sizes: dict[str, dict[str, list[str]]] = {}
    for row in comparison.rows:
        name = f"{call(row.case)} on {row.label}"
        if len(precisions[row.label, row.case.model, row.case.operation]) > 1:
            name += f", {precision(row)}"
        sizes.setdefault(name, {}).setdefault(_quickest(row, networks), []).append(whole_size_of(row.case))
    return [
        f"{name}: {'; '.join(f'{way} at {_joined(at)}' for way, at in ways.items())}" for name, ways in sizes.items()
    ] + pipeline_ways_section.summary(comparison, networks)


def _quickest(row: Row, networks: Networks) -> str:
    if row.fastest is None:
        return "only remote can fit, and has no figure," if row.only_remote_fits else "no figure"
    way = f"{way_name(row.fastest, networks)} ({row.fastest.kind})"
    return {"no": f"{way}, which alone fits,", "untiled: no": f"{way}, tiling untried,"}.get(row.fits, way)


def _joined(sizes: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(sizes))


def _legend(network: str) -> Terms:
    return Terms(
        (
            ("Untiled, Tiled, Local", "seconds of one call on the device."),
            ("Memory", "the peak as the docs give it. What is computed remotely takes none of your GPU's memory."),
            (
                "Remote",
                "one request from end to end: from the image, tensor or prompts in memory to the result in memory, "
                "with a new connection and TLS for each, as diffusers' client does it.",
            ),
            ("OOM", "out of memory, which is a result."),
            ("-", "unknown."),
            ("Fastest", f"the quickest way that fits, with remote over {network}."),
            (
                "Remote wins from",
                "the bandwidth above which remote is quicker than the best local way (keeping the ratio of up and down "
                f"and the round trip of {network}), or the longest round trip at which it still is (at its bandwidth). "
                "never: computing at the endpoint and handling image files already take longer than the local way. "
                "neither alone is enough: both bandwidth and round trip would have to be better.",
            ),
        )
    )


def _answer(comparison: Comparison, networks: Networks, *, has_details: bool) -> list[Block]:
    blocks: list[Block] = []
    if comparison.request.server is not None:
        blocks.append(Text(f"The endpoint is {comparison.request.server} (`--server`)."))
    elif comparison.card:
        blocks.append(
            Text(
                f"The endpoint is assumed to compute as fast as {comparison.card}, or is one measured on loopback if "
                "that is quicker. Choose another with `--server`."
            )
        )
    if comparison.rows and has_details:
        blocks.append(detail("The quickest way, by device", Bullets(tuple(summary(comparison, networks)))))
    if is_drawn(comparison):
        blocks.append(
            Picture(PLOT, "Time of one image, local and remote, over its resolution; the tables have the figures.")
        )
    return blocks


def _operations(comparison: Comparison) -> list[tuple[str, list[Row], list[RemoteImage]]]:
    rows = dict(by_call(comparison.rows, lambda row: row.case))
    images = by_call(comparison.remote_images, lambda image: image.case)
    return [(name, rows.get(name, []), group) for name, group in images]


def _sections(comparison: Comparison, networks: Networks) -> list[Section]:
    no_rows = "No local figures of the devices asked for." if comparison.wanted.devices else "No local figures."
    return [
        Section(operation, (*(_local(rows, networks) if rows else [Text(no_rows)]), *_remote(images, networks)))
        for operation, rows, images in _operations(comparison)
    ]


def _local(rows: Sequence[Row], networks: Networks) -> list[Block]:
    """Each device's row at the size nearest to the docs' that has a time; the other sizes as a detail."""
    groups = grouped(rows, lambda row: (row.label, precision(row)))
    shown = [featured([row for row in group if row.fastest] or group, lambda row: row.case) for group in groups]
    if len(shown) == len(rows):
        return [local_table(rows, networks)]
    return [local_table(shown, networks), detail("At every size", local_table(rows, networks))]


def _what_travels(image: RemoteImage, networks: Networks) -> list[Block]:
    """A sentence if most of a request's time over the first network is that of its bytes; else nothing."""
    name = next(iter(networks))
    over, carried = image.over[name], image.service.mostly_carried(networks[name].path) if image.service else None
    if carried is None:
        return []
    travel_s = over.upload_s + over.download_s
    at = f"at {whole_size_of(image.case)} over {title_of(name, networks)}"
    return [
        Text(
            f"Bandwidth decides: {at}, carrying {format_size(carried)} takes {format_seconds(travel_s)} of "
            f"{format_seconds(over.seconds)} (simulated)."
        )
    ]


def _remote(images: Sequence[RemoteImage], networks: Networks) -> list[Block]:
    blocks: list[Block] = []
    served = [image for image in images if image.service]
    if served:
        first = featured(served, lambda image: image.case)
        parts = Section(f"Parts of the time at {size_of(first.case)}", (parts_table(first, networks),), folded=True)
        title = "Remote, by what computes it and over each network"
        blocks += _what_travels(first, networks)
        blocks += [detail(title, remote_table(images, networks), parts)]
    if any(image.measured for image in images):
        blocks += [detail("Remote, as measured", measured_table(images))]
    return blocks
