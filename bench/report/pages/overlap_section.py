"""Queueing: what it gains to generate the next image while the last one is at an endpoint. Never torch."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.overlap_gain import (
    hidden_from_s,
    in_turn_s,
    never_waits_from_s,
    overlapped_s,
    predicted_s,
    throughput_per_s,
)
from bench.analysis.hybrid.ways import Way
from bench.core.units import format_relative, format_seconds
from bench.record import Overlap, Record
from bench.report.pages.hybrid_tables import Networks, title_of
from bench.report.pages.kinds import marked
from bench.report.pages.remote_parts import order
from bench.report.pages.shown import shown
from bench.report.render import markdown
from bench.report.render.markdown import safe
from bench.workloads import models
from bench.workloads.labels import size_of

#: Generation times (s) and images of the simulated table.
_GENERATIONS_S, _IMAGES = (1.0, 4.0, 16.0), 100
_LEGEND = (
    "The docs' pattern: while an image is generated, a worker thread has the one before decoded by the endpoint (and "
    "where images come in, the next one encoded). **Hidden from**: the generation time from which on the endpoint "
    "costs no throughput; it is the mean remote time of an image, over as many workers as there are. Below it the "
    "endpoint sets the pace. **No wait from**: where even the longest request is over before the next image is there.",
    "*measured*: sleep stands in for generating, since a GPU leaves the CPU to the client as sleep does; requests are "
    "those of diffusers' own client. **Predicted**, *simulated*, follows from the requests in turn alone (Lindley's "
    "recursion); in brackets how far its throughput is from the measured one.",
)


def section(comparison: Comparison, networks: Networks, records: Sequence[Record]) -> list[str]:
    """The paragraphs on queueing; none where nothing is known of an endpoint."""
    measured = _measured([record for record in records if comparison.wanted.has(record.case)])
    simulated = _simulated(comparison, networks)
    if not measured and not simulated:
        return []
    texts = ["## Queueing", markdown.bullets(_LEGEND)]
    texts += ["As it was measured:", measured] if measured else []
    return texts + simulated


def _measured(records: Sequence[Record]) -> str | None:
    headers = ["Endpoint", "Image", "Generation", "Request", "In turn", "Overlapped", "Predicted", "Hidden from"]
    headers = [*headers, "No wait from"]
    rows = [
        [safe(record.device.name), safe(_image(record, overlap.workers)), *_figures(overlap)]
        for record in sorted((one for one in records if one.remote), key=order)
        for overlap in (record.remote.overlaps if record.remote else ())
        if _whole(overlap)
    ]
    return markdown.table(headers, rows, "ll" + "r" * 7) if rows else None


def _whole(overlap: Overlap) -> bool:
    """Whether each round has its requests and generations, and took any time."""
    requests = overlap.images * len(overlap.in_turn_s)
    rows = requests and requests == len(overlap.requests_in_turn_s) <= len(overlap.generated_s)
    return (
        bool(rows and overlap.overlapped_s) and min(*overlap.in_turn_s, *overlap.overlapped_s, predicted_s(overlap)) > 0
    )


def _image(record: Record, workers: int) -> str:
    case = record.case
    crew = f", {workers} workers" if workers > 1 else ""
    return f"{models.title(case.model)} {case.operation} {size_of(case)} over {case.transport}{crew}"


def _figures(overlap: Overlap) -> list[str]:
    request_s = statistics.median(overlap.requests_in_turn_s)
    overlapped, predicted = statistics.median(overlap.overlapped_s), predicted_s(overlap)
    in_turn = statistics.median(overlap.in_turn_s)
    return [
        marked(format_seconds(statistics.fmean(overlap.generated_s)), "measured"),
        marked(format_seconds(request_s), "measured"),
        marked(_pace(overlap.images, in_turn), "measured"),
        marked(_pace(overlap.images, overlapped), "measured"),
        f"{marked(_pace(overlap.images, predicted), 'simulated')} ({format_relative(overlapped / predicted - 1)})",
        marked(format_seconds(hidden_from_s(overlap.requests_in_turn_s, overlap.workers)), "simulated"),
        marked(format_seconds(never_waits_from_s(overlap.requests_in_turn_s, overlap.workers)), "simulated"),
    ]


def _pace(images: int, seconds: float) -> str:
    """`12.5 /s`, or `3.4 /min` where it is less than one a second."""
    rate = throughput_per_s(images, seconds)
    return f"{rate:.3g} /s" if rate >= 1 else f"{60 * rate:.3g} /min"


def _simulated(comparison: Comparison, networks: Networks) -> list[str]:
    """The remote way of one size of each model and operation, over the first network."""
    name = comparison.request.network
    groups: dict[tuple[str, str], list[Way]] = {}
    for way in comparison.ways:
        if name in way.remote.over_s:
            groups.setdefault((way.case.model, way.case.operation), []).append(way)
    if not groups:
        return []
    headers = ["Image", "Hidden from"]
    for seconds in _GENERATIONS_S:
        headers += [f"Generated in {seconds:g} s: in turn", "overlapped"]
    rows = []
    for ways in groups.values():
        way = shown(ways, lambda one: one.case)
        request_s = way.remote.over_s[name]
        row = [safe(f"{models.title(way.case.model)} {way.case.operation} {size_of(way.case)}")]
        row.append(marked(format_seconds(hidden_from_s([request_s])), "simulated"))
        for seconds in _GENERATIONS_S:
            both = (in_turn_s(_IMAGES, seconds, [request_s]), overlapped_s(_IMAGES, seconds, [request_s]))
            row += [marked(_pace(_IMAGES, took), "simulated") for took in both]
        rows.append(row)
    said = f"Over {safe(title_of(name, networks))}, one worker, {_IMAGES} images:"
    return [said, markdown.table(headers, rows, "l" + "r" * (len(headers) - 1))]
