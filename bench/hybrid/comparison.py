"""Each case's local times, tiled and not, beside what an endpoint would take over each network. Pure.

Rows are local cases; what is remote about them depends on the image alone, so that it stands once for all devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench import models
from bench.config import OPERATIONS, Files
from bench.errors import ConfigError, nearest
from bench.hybrid.crossover import Crossover, crossover
from bench.hybrid.payload import USUAL
from bench.hybrid.service import Service, alike, of_card, of_loopback, quickest, usual_server
from bench.network import Path
from bench.record import Case, Device, Kind, Measured, OutOfMemory, Record, Transport

_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        paths: the networks to simulate, by name; the first is the one that choices are made for.
        files: what image files take.
        transports: how payloads travel, by operation.
        server: the card that stands in for an endpoint; None: the usual one (`service.usual_server`).
    """

    paths: Mapping[str, Path]
    files: Files
    transports: Mapping[str, Transport] = field(default_factory=lambda: USUAL)
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of all that the records hold; empty: all of it.

    Attributes:
        models: keys of the zoo; of those named, what is missing is told too.
        operations: encode, decode.
        sizes: width and height.
        devices: names, or parts of them, of local devices.
    """

    models: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    devices: tuple[str, ...] = ()

    def has(self, case: Case) -> bool:
        """Whether a case is among them."""
        return (
            (not self.models or case.model in self.models)
            and (not self.operations or case.operation in self.operations)
            and (not self.sizes or (case.width, case.height) in self.sizes)
        )


@dataclass(frozen=True, slots=True)
class Remote:
    """An image's way over an endpoint.

    Attributes:
        service: what the endpoint takes; None where nobody has a time.
        over_s: seconds from end to end over each network: simulated.
        measured: records of endpoints of this case and transport, over whatever way there was; a network's or none.
        reason: why there is no service.
    """

    service: Service | None
    over_s: Mapping[str, float]
    measured: tuple[Record, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What takes least of all that fits: untiled, tiled, or remote, over a simulated network or as it was measured."""

    way: Literal["untiled", "tiled", "remote"]
    seconds: float
    kind: Kind
    network: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One local case on one device, and the remote way of the same image.

    Attributes:
        untiled, tiled: the records of the case; None where there is none. Of several tiles the quickest that fits.
        tiles: how many tiles there were to choose from.
        local_s: the least local time; None where nothing fits or was timed.
        only_remote_fits: whether every local way that was tried is out of memory.
        crossover: where remote begins to win over the first network; None where there is no service, or no local word.
    """

    device: Device
    vram_limit_bytes: int | None
    kind: Kind
    case: Case
    untiled: Record | None
    tiled: Record | None
    tiles: int
    remote: Remote
    local_s: float | None
    only_remote_fits: bool
    fastest: Choice | None
    crossover: Crossover | None


@dataclass(frozen=True, slots=True)
class Way:
    """The remote way of an image; the case is one of those that are of it."""

    case: Case
    remote: Remote


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything side by side.

    Attributes:
        rows: in the order in which their records came, measured ones first.
        ways: of each image that has a record at all, local or remote, in order of model, operation and size.
        server: the card that stands in for an endpoint; None where there is none.
        gaps: what is missing, in sentences.
    """

    request: Request
    rows: tuple[Row, ...]
    ways: tuple[Way, ...]
    server: str | None
    gaps: tuple[str, ...]

    @property
    def network(self) -> str:
        """The network for which choices are made."""
        return next(iter(self.request.paths))


def compare(records: Sequence[Record], request: Request, wanted: Wanted = Wanted()) -> Comparison:
    """Set the records side by side.

    Raises ConfigError where the server, or a device that was asked for, has no records.
    """
    local = [record for record in records if record.device.kind != "endpoint"]
    names = list(dict.fromkeys(record.device.name for record in local))
    server = usual_server(local) if request.server is None else _named(request.server, names, "--server")
    devices = [_named(name, names, "--gpu") for name in wanted.devices] or names
    ways = {
        key: Way(group[0].case, _remote(group, request, server))
        for key, group in _images(records).items()
        if wanted.has(group[0].case)
    }
    rows = [
        _row(group, ways[alike(group[0].case)].remote, request)
        for group in _groups(record for record in local if alike(record.case) in ways and record.device.name in devices)
    ]
    return Comparison(request, tuple(rows), tuple(ways.values()), server, tuple(_gaps(records, rows, wanted)))


def _named(text: str, names: Sequence[str], option: str) -> str:
    """The device of that name, or the only one whose name holds it. Raises ConfigError."""
    exact = [name for name in names if name.casefold() == text.casefold()]
    found = exact or [name for name in names if text.casefold() in name.casefold()]
    if len(found) != 1:
        which = "Several devices are called so" if found else "No device of these results is called so"
        raise ConfigError(f"{option} {text}: {which}. {nearest(text, found or names)}")
    return found[0]


def _order(record: Record) -> tuple[object, ...]:
    case = record.case
    known = list(models.zoo())
    place = known.index(case.model) if case.model in known else len(known)
    operation = OPERATIONS.index(case.operation) if case.operation in OPERATIONS else len(OPERATIONS)
    return (place, case.model, operation, case.operation, case.width * case.height, case.width, case.frames, case.batch)


def _images(records: Sequence[Record]) -> dict[_Key, list[Record]]:
    """The records of each image."""
    groups: dict[_Key, list[Record]] = {}
    for record in sorted(records, key=_order):
        groups.setdefault(alike(record.case), []).append(record)
    return groups


def _remote(group: Sequence[Record], request: Request, server: str | None) -> Remote:
    """The quickest service that is known of an image, over each network; and what was measured of it."""
    transport = request.transports[group[0].case.operation]
    cards = [record for record in group if record.device.name == server and record.vram_limit_bytes is None]
    known = [of_card(record, transport, request.files) for record in cards if record.device.kind != "endpoint"]
    endpoints = [record for record in group if record.case.transport == transport]
    service = quickest([*known, *(of_loopback(record) for record in endpoints)])
    over_s = {name: service.over(path) for name, path in request.paths.items()} if service else {}
    measured = tuple(record for record in endpoints if isinstance(record.outcome, Measured) and record.timing)
    return Remote(service, over_s, measured, None if service else _why_no_service(cards, server))


def _why_no_service(cards: Sequence[Record], server: str | None) -> str:
    if server is None:
        return "no endpoint was measured, and no GPU's times are there to stand in for one"
    if cards and all(isinstance(record.outcome, OutOfMemory) for record in cards):
        return f"out of memory on {server} too, which stands in for an endpoint"
    return f"no time of an endpoint, nor of {server}, which would stand in for one"


def _groups(records: Iterable[Record]) -> list[list[Record]]:
    """Local records that differ in tiling alone: measured ones first, then by device as it came, then by size."""
    listed = list(records)
    devices = list(dict.fromkeys((record.device.name, record.vram_limit_bytes) for record in listed))

    def order(record: Record) -> tuple[object, ...]:
        place = devices.index((record.device.name, record.vram_limit_bytes))
        return (record.kind != "measured", place, *_order(record))

    groups: dict[_Key, list[Record]] = {}
    for record in sorted(listed, key=order):
        case = record.case
        key = (record.kind, record.device.name, record.vram_limit_bytes, case.dtype, case.weights, case.variant)
        groups.setdefault((*key, *alike(case)), []).append(record)
    return list(groups.values())


def _row(group: Sequence[Record], remote: Remote, request: Request) -> Row:
    first = group[0]
    untiled = next((record for record in group if record.case.tile is None), None)
    tilings = [record for record in group if record.case.tile]
    tiled = min(tilings, key=_rank, default=None)
    tried = [record for record in (untiled, tiled) if record]
    local = [seconds for record in tried if (seconds := _seconds(record)) is not None]
    local_s = min(local, default=None)
    out = all(isinstance(record.outcome, OutOfMemory) for record in tried)
    path = next(iter(request.paths.values()))
    known = remote.service is not None and (local_s is not None or out)
    return Row(
        device=first.device,
        vram_limit_bytes=first.vram_limit_bytes,
        kind=first.kind,
        case=first.case,
        untiled=untiled,
        tiled=tiled,
        tiles=len(tilings),
        remote=remote,
        local_s=local_s,
        only_remote_fits=out,
        fastest=_fastest(untiled, tiled, remote, next(iter(request.paths))),
        crossover=crossover(path, remote.service, local_s) if known and remote.service else None,
    )


def _rank(record: Record) -> tuple[bool, float]:
    """Those with a time first, the quickest of them first."""
    seconds = _seconds(record)
    return (seconds is None, seconds or 0.0)


def _seconds(record: Record | None) -> float | None:
    if record is None or record.timing is None or not isinstance(record.outcome, Measured):
        return None
    return record.timing.median_s


def _fastest(untiled: Record | None, tiled: Record | None, remote: Remote, network: str) -> Choice | None:
    """The way that takes least: local ones, the first network's, and endpoints that were measured over a network."""
    choices: list[Choice] = []
    if (seconds := _seconds(untiled)) is not None and untiled:
        choices.append(Choice("untiled", seconds, untiled.kind))
    if (seconds := _seconds(tiled)) is not None and tiled:
        choices.append(Choice("tiled", seconds, tiled.kind))
    if remote.service:
        choices.append(Choice("remote", remote.over_s[network], "simulated", network=network))
    choices += [
        Choice("remote", record.timing.median_s, record.kind, endpoint=record.device.name)
        for record in remote.measured
        if record.timing and record.remote and not record.remote.endpoint.is_loopback
    ]
    return min(choices, key=lambda choice: choice.seconds, default=None)


def _gaps(records: Sequence[Record], rows: Sequence[Row], wanted: Wanted) -> Iterable[str]:
    """What was asked for and is not there, and what of the rows can't be said."""
    for key in wanted.models or [key for key, spec in models.zoo().items() if spec.fault is None]:
        for operation in wanted.operations or OPERATIONS:
            mine = [record for record in records if (record.case.model, record.case.operation) == (key, operation)]
            title = f"{models.title(key)} {operation}"
            if not mine:
                yield f"{title}: no figures at all, neither local nor remote, neither measured nor published"
            elif not any((row.case.model, row.case.operation) == (key, operation) for row in rows):
                yield f"{title}: no local figures"
    for (_, reason), group in _without_service(rows).items():
        first = group[0].case
        sizes = ", ".join(dict.fromkeys(row.case.resolution for row in group))
        yield f"{models.title(first.model)} {first.operation} at {sizes}: no remote figure: {reason}"


def _without_service(rows: Sequence[Row]) -> dict[tuple[tuple[str, str], str], list[Row]]:
    groups: dict[tuple[tuple[str, str], str], list[Row]] = {}
    for row in rows:
        if row.remote.reason is not None:
            groups.setdefault(((row.case.model, row.case.operation), row.remote.reason), []).append(row)
    return groups
