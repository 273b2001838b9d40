"""Each case's local times, tiled and not, beside what an endpoint would take over each network. Pure.

Rows are local cases; what is remote about them depends on the image alone, so that it stands once for all devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.hybrid import gaps, rows
from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.scenario import EVERYTHING, Request, Wanted
from bench.analysis.hybrid.service import alike, usual_server
from bench.analysis.hybrid.ways import Way, remote_way
from bench.config import card_names
from bench.core.units import format_bytes
from bench.record import Record, alike_but_for, by_size, grouped
from bench.workloads import models

_Key = tuple[object, ...]
#: What to do about a device that the results lack.
_PREDICTED = "`bench run` measures on it, and `bench advise --gpu NAME` predicts."


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything side by side.

    Attributes:
        rows: measured ones first, then by device as they came, then by size.
        ways: of each image that has a record at all, local or remote, in order of model, operation and size.
        card: the device that may stand in for an endpoint; None where there is none.
        without: models and operations that have no figures, in sentences.
        gaps: what else is missing, in sentences.
    """

    request: Request
    wanted: Wanted
    rows: tuple[Row, ...]
    ways: tuple[Way, ...]
    card: str | None
    without: tuple[str, ...]
    gaps: tuple[str, ...]


def compare(records: Sequence[Record], request: Request, wanted: Wanted = EVERYTHING) -> Comparison:
    """Set the records side by side.

    Raises ConfigError where the server, or a device that was asked for, has no records.
    """
    local = [record for record in records if record.remote is None and record.device.kind != "endpoint"]
    names = list(dict.fromkeys(record.device.name for record in local))
    request, card = _server(records, names, request)
    devices = [_named(name, names, "--gpu", _PREDICTED) for name in wanted.devices] or names
    ways = {
        key: Way(group[0].case, remote_way(group, request, card))
        for key, group in _images(records).items()
        if wanted.has(group[0].case)
    }
    mine = [record for record in local if alike(record.case) in ways and record.device.name in devices]
    labels = _labels(mine)
    found = [
        rows.make(group, labels[_device(group[0])], ways[alike(group[0].case)].remote, request)
        for group in _groups(mine)
    ]
    return Comparison(
        request,
        wanted,
        tuple(found),
        tuple(ways.values()),
        card,
        (*gaps.of_models(records, wanted), *gaps.of_devices(found, wanted)),
        tuple(gaps.of_rows(found)),
    )


def _server(records: Sequence[Record], names: Sequence[str], request: Request) -> tuple[Request, str | None]:
    """The request with its server's whole name, and the card that may stand in: none, if that is an endpoint."""
    if request.server is None:
        return request, usual_server([record for record in records if record.remote is None])
    endpoints = [one.device.name for one in records if one.remote is not None and one.remote.endpoint.is_loopback]
    name = _named(request.server, [*names, *dict.fromkeys(endpoints)], "--server")
    asked = Request(request.paths, request.files, request.transports, name)
    return asked, name if name in names else None


def _named(text: str, names: Sequence[str], option: str, otherwise: str = "") -> str:
    """The device that answers to a name. Raises ConfigError where none or several do."""
    no_such = "none of these results is of such a device."
    return card_names.one_of(text, dict.fromkeys(names), option, no_such, otherwise)


def _order(record: Record) -> tuple[object, ...]:
    case = record.case
    known, operations = list(models.zoo()), models.operations()
    place = known.index(case.model) if case.model in known else len(known)
    operation = operations.index(case.operation) if case.operation in operations else len(operations)
    return (place, case.model, operation, case.operation, *by_size(case))


def _images(records: Sequence[Record]) -> dict[_Key, list[Record]]:
    """The records of each image."""
    groups = grouped(sorted(records, key=_order), lambda record: alike(record.case))
    return {alike(group[0].case): group for group in groups}


def _device(record: Record) -> _Key:
    """What tells one local device from another: memory as it is shown, for a machine's may differ by pages."""
    total_bytes = record.device.total_bytes
    return (record.device.name, None if total_bytes is None else format_bytes(total_bytes), record.vram_limit_bytes)


def _labels(records: Iterable[Record]) -> dict[_Key, str]:
    """What each device is called: its name, its memory where that tells it from another, its limit."""
    found: dict[_Key, str] = {}
    for record in records:
        found.setdefault(_device(record), record.device.name)
    sizes = {(name, size) for name, size, _ in found if size is not None}
    for key, name in found.items():
        _, size, limit_bytes = key
        several = size is not None and len([one for one, _ in sizes if one == name]) > 1
        memory = f" ({size})" if several else ""
        limit = f", limited to {format_bytes(limit_bytes)}" if isinstance(limit_bytes, int) else ""
        found[key] = f"{name}{memory}{limit}"
    return found


def _groups(records: Sequence[Record]) -> list[list[Record]]:
    """Local records that differ in tiling alone: measured ones first, then by device as it came, then by size."""
    devices = list(dict.fromkeys(_device(record) for record in records))

    def order(record: Record) -> tuple[object, ...]:
        return (record.kind != "measured", devices.index(_device(record)), *_order(record))

    return grouped(
        sorted(records, key=order),
        lambda record: (record.kind, _device(record), alike_but_for(record.case, "tiling", "transport")),
    )
