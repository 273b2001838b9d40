"""Queueing: what it gains to generate the next image while an endpoint decodes the last one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.overlap_gain import (
    hidden_from_s,
    in_turn_s,
    never_waits_from_s,
    overlapped_s,
    predicted_s,
    throughput_per_s,
)
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.core.units import format_relative
from bench.record import Overlap, Record
from bench.report.document import Block, Cell, Column, Kind, Section, Table, Terms, Text, table_of
from bench.report.pages.cells import by_call, call, featured
from bench.report.pages.hybrid_tables import Networks, title_of
from bench.report.pages.remote_parts import order
from bench.workloads.labels import size_of
from bench.workloads.models import has_docs_row

#: Seconds of generation and number of images in the simulated table.
_GENERATIONS_S, _IMAGES = (1.0, 4.0, 16.0), 100
_PATTERN = Text(
    "This is the docs' pattern: while an image is generated, a worker thread has the endpoint decode the image before "
    "it (and, if images come in, encode the next one)."
)
_LEGEND = Terms(
    (
        (
            "Free above",
            "the generation time above which the endpoint costs no throughput: the mean remote time of an image "
            "divided by the number of workers. If images are generated faster, the endpoint sets the pace.",
        ),
        (
            "Never waits above",
            "the generation time above which even the longest request ends before the next image is ready.",
        ),
        (
            "Measured",
            "requests of diffusers' own client. Sleep stands in for generating, since a GPU leaves the CPU to the "
            "client just as sleep does.",
        ),
        (
            "Predicted",
            "simulated from the requests in turn alone (Lindley's recursion); in brackets how far the measured "
            "throughput is from it.",
        ),
    )
)
_Round = tuple[Record, Overlap]


def sections(comparison: Comparison, networks: Networks, records: Sequence[Record]) -> list[Section]:
    """The section on queueing; none if no endpoint has figures."""
    rounds = _rounds([record for record in records if comparison.wanted.has(record.case)])
    images = _featured_images(comparison)
    if not rounds and not images:
        return []
    blocks: list[Block] = [_PATTERN]
    blocks += [Text("As measured:"), _measured_table(rounds)] if rounds else []
    if images:
        network = title_of(comparison.request.network, networks)
        blocks.append(Text(f"Over {network}, with one worker and {_IMAGES} images:"))
        blocks.append(_simulated_table(images, comparison.request.network))
    return [Section("Queueing", (*blocks, _LEGEND))]


def _rounds(records: Sequence[Record]) -> list[_Round]:
    remote = sorted((record for record in records if record.remote), key=order)
    return [
        (record, overlap)
        for record in remote
        for overlap in (record.remote.overlaps if record.remote else ())
        if _is_complete(overlap)
    ]


def _is_complete(overlap: Overlap) -> bool:
    """Whether each round has its requests and generations, and took some time."""
    requests = overlap.images * len(overlap.in_turn_s)
    if not requests or not requests == len(overlap.requests_in_turn_s) <= len(overlap.generated_s):
        return False
    return bool(overlap.overlapped_s) and min(*overlap.in_turn_s, *overlap.overlapped_s, predicted_s(overlap)) > 0


def _measured_table(rounds: Sequence[_Round]) -> Table:
    def figure(name: str, seconds: Callable[[Overlap], float], kind: Kind) -> tuple[Column, Callable[[_Round], Cell]]:
        return Column(name, "seconds"), lambda row: Cell(seconds(row[1]), kind=kind)

    def pace(name: str, seconds: Callable[[Overlap], float]) -> tuple[Column, Callable[[_Round], Cell]]:
        return Column(name, right=True), lambda row: _pace(row[1].images, seconds(row[1]), "measured")

    return table_of(
        rounds,
        (Column("Endpoint"), lambda row: row[0].device.name),
        (Column("Image"), lambda row: _image(row[0], row[1].workers)),
        figure("Generation", lambda overlap: statistics.fmean(overlap.generated_s), "measured"),
        figure("Request", lambda overlap: statistics.median(overlap.requests_in_turn_s), "measured"),
        pace("In turn", lambda overlap: statistics.median(overlap.in_turn_s)),
        pace("Overlapped", lambda overlap: statistics.median(overlap.overlapped_s)),
        (Column("Predicted", right=True), lambda row: _predicted(row[1])),
        figure("Free above", lambda o: hidden_from_s(o.requests_in_turn_s, o.workers), "simulated"),
        figure("Never waits above", lambda o: never_waits_from_s(o.requests_in_turn_s, o.workers), "simulated"),
    )


def _image(record: Record, workers: int) -> str:
    case = record.case
    several = f", {workers} workers" if workers > 1 else ""
    return f"{call(case)} {size_of(case)} over {case.transport}{several}"


def _predicted(overlap: Overlap) -> Cell:
    """The predicted throughput, and how far the measured one is from it."""
    seconds = predicted_s(overlap)
    change = format_relative(statistics.median(overlap.overlapped_s) / seconds - 1)
    return _pace(overlap.images, seconds, "simulated", note=change)


def _pace(images: int, seconds: float, kind: Kind, note: str = "") -> Cell:
    """Images per second as `12.5 /s`, or as `3.4 /min` if there is less than one per second."""
    rate = throughput_per_s(images, seconds)
    return Cell(rate, f"{rate:.3g} /s" if rate >= 1 else f"{60 * rate:.3g} /min", kind, note)


def _featured_images(comparison: Comparison) -> list[RemoteImage]:
    network = comparison.request.network
    timed = [image for image in comparison.remote_images if network in image.over_s and has_docs_row(image.case)]
    return [featured(images, lambda image: image.case) for _, images in by_call(timed, lambda image: image.case)]


def _simulated_table(images: Sequence[RemoteImage], network: str) -> Table:
    def pace(total_s: Callable[[int, float, Sequence[float]], float], generation_s: float, image: RemoteImage) -> Cell:
        return _pace(_IMAGES, total_s(_IMAGES, generation_s, [image.over_s[network]]), "simulated")

    paces = [
        (Column(f"Generated in {seconds:g} s: {name}", right=True), partial(pace, total_s, seconds))
        for seconds in _GENERATIONS_S
        for name, total_s in (("in turn", in_turn_s), ("overlapped", overlapped_s))
    ]
    return table_of(
        images,
        (Column("Image"), lambda image: f"{call(image.case)} {size_of(image.case)}"),
        (Column("Free above", "seconds"), lambda image: Cell(hidden_from_s([image.over_s[network]]), kind="simulated")),
        *paces,
    )
