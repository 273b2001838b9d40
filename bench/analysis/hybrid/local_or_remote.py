"""Each case's local times, untiled and tiled, beside the time of an endpoint over each network.

Rows are local cases. The remote side depends only on the image, so it is the same for all devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from bench.analysis.hybrid import gaps, pipeline_ways, rows
from bench.analysis.hybrid.pipeline_ways import PipelineRow
from bench.analysis.hybrid.remote_image import RemoteImage, remote_image
from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.scenario import EVERYTHING, Request, Wanted
from bench.analysis.hybrid.service import alike, usual_server
from bench.config import card_names
from bench.core.units import format_bytes
from bench.record import Case, Record, alike_but_for, grouped
from bench.workloads import models
from bench.workloads.labels import size_order

_Key = tuple[object, ...]
#: What to do about a device that is not in the results.
_REMEDY = "Measure it with `bench run`, or predict it with `bench advise --gpu NAME`."


@dataclass(frozen=True, slots=True)
class Comparison:
    """Local and remote side by side.

    Attributes:
        rows: measured ones first, then in the order of the devices' first records, then by size.
        remote_images: each image that has a local or remote record, by model, operation and size.
        pipelines: whole pipelines, of which an endpoint may do a part; they are not among `rows`.
        card: the device that may stand in for an endpoint, or None.
        without: models and operations that have no figures, in sentences.
        gaps: what else is missing, in sentences.
    """

    request: Request
    wanted: Wanted
    rows: tuple[Row, ...]
    remote_images: tuple[RemoteImage, ...]
    pipelines: tuple[PipelineRow, ...]
    card: str | None
    without: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def server(self) -> str | None:
        """The endpoint or card that serves: the one asked for, otherwise the card that stands in."""
        return self.request.server or self.card

    @property
    def missing(self) -> tuple[str, ...]:
        """Everything that is missing, in sentences."""
        return (*self.without, *self.gaps)


def compare(records: Sequence[Record], request: Request, wanted: Wanted = EVERYTHING) -> Comparison:
    """Compare the records' local times with remote ones.

    Raises ConfigError if the server, or a device that was asked for, has no records.
    """
    local = [record for record in records if record.remote is None and record.device.kind != "endpoint"]
    names = list(dict.fromkeys(record.device.name for record in local))
    request, card = _server(records, names, request)
    devices = [_named(name, names, "--gpu", _REMEDY) for name in wanted.devices] or names
    images = _images(records)
    remote_images = {
        key: remote_image(group, request, card)
        for key, group in images.items()
        if wanted.has(group[0].case) and not models.is_pipeline(group[0].case.model)
    }
    chosen = [record for record in local if alike(record.case) in remote_images and record.device.name in devices]
    whole = [
        record
        for record in local
        if record.kind == "measured"
        and models.is_pipeline(record.case.model)
        and wanted.has(record.case)
        and record.device.name in devices
    ]
    labels = _labels([*chosen, *whole])
    local_rows = [
        rows.make(group, labels[_device(group[0])], remote_images[alike(group[0].case)], request)
        for group in _groups(chosen, "tiling", "transport")
    ]
    return Comparison(
        request=request,
        wanted=wanted,
        rows=tuple(local_rows),
        remote_images=tuple(remote_images.values()),
        pipelines=tuple(
            pipeline_ways.row(group, labels[_device(group[0])], images, request, card)
            for group in _groups(whole, "variant", "tiling", "transport")
        ),
        card=card,
        without=(*gaps.of_models(records, wanted), *gaps.of_devices(local_rows, wanted)),
        gaps=tuple(gaps.of_rows(local_rows)),
    )


def _server(records: Sequence[Record], names: Sequence[str], request: Request) -> tuple[Request, str | None]:
    """The request with its server's full name, and the card that may stand in: None if the server is an endpoint."""
    if request.server is None:
        return request, usual_server([record for record in records if record.remote is None])
    endpoints = [
        record.device.name for record in records if record.remote is not None and record.remote.endpoint.is_loopback
    ]
    name = _named(request.server, [*names, *endpoints], "--server")
    return replace(request, server=name), name if name in names else None


def _named(text: str, names: Sequence[str], option: str, remedy: str = "") -> str:
    """The device that matches a name or part of one. Raises ConfigError if none or several do."""
    return card_names.one_of(text, dict.fromkeys(names), option, "there are no results for that device.", remedy)


def _orders(records: Iterable[Record]) -> dict[Case, tuple[object, ...]]:
    """A sort key of each case: by model and operation, as the zoo has them, then smaller images first."""
    zoo, operations = list(models.zoo()), models.operations()

    def order(case: Case) -> tuple[object, ...]:
        model = zoo.index(case.model) if case.model in zoo else len(zoo)
        operation = operations.index(case.operation) if case.operation in operations else len(operations)
        return (model, case.model, operation, case.operation, *size_order(case))

    return {case: order(case) for case in dict.fromkeys(record.case for record in records)}


def _images(records: Sequence[Record]) -> dict[_Key, list[Record]]:
    orders = _orders(records)
    groups = grouped(sorted(records, key=lambda record: orders[record.case]), lambda record: alike(record.case))
    return {alike(group[0].case): group for group in groups}


def _device(record: Record) -> _Key:
    """A key of a local device. Memory counts as it is shown, since a machine's may differ by a few pages."""
    return _device_key(record.device.name, record.device.total_bytes, record.vram_limit_bytes)


@lru_cache(maxsize=1 << 12)
def _device_key(name: str, total_bytes: int | None, limit_bytes: int | None) -> _Key:
    return (name, None if total_bytes is None else format_bytes(total_bytes), limit_bytes)


def _labels(records: Iterable[Record]) -> dict[_Key, str]:
    """The label of each device: its name, its memory if a device of another size has its name, and its limit."""
    names = {_device(record): record.device.name for record in records}
    sizes = Counter(name for name, _ in {(name, size) for name, size, _ in names if size is not None})
    labels: dict[_Key, str] = {}
    for key, name in names.items():
        _, size, limit_bytes = key
        has_namesakes = size is not None and sizes[name] > 1
        memory = f" ({size})" if has_namesakes else ""
        limit = f", limited to {format_bytes(limit_bytes)}" if isinstance(limit_bytes, int) else ""
        labels[key] = f"{name}{memory}{limit}"
    return labels


def _groups(records: Sequence[Record], *but_for: str) -> list[list[Record]]:
    """Local records of one device that differ only in these fields, in the order of `Comparison.rows`."""
    places = {device: place for place, device in enumerate(dict.fromkeys(map(_device, records)))}
    orders = _orders(records)

    def order(record: Record) -> tuple[object, ...]:
        return (record.kind != "measured", places[_device(record)], *orders[record.case])

    return grouped(
        sorted(records, key=order), lambda record: (record.kind, _device(record), alike_but_for(record.case, *but_for))
    )
