"""Tables that compare local with remote, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.rows import Choice, Row
from bench.analysis.hybrid.service import EndpointTime, OverNetwork
from bench.config import Network
from bench.core.units import format_rate, format_seconds
from bench.record import FILE_TRANSPORTS, Record
from bench.report.document import Cell, Column, Table, table_of
from bench.report.pages import cells
from bench.workloads.labels import takes_tiles, whole_size_of

Networks = Mapping[str, Network]
_ServedColumn = tuple[Column, Callable[[tuple[EndpointTime, RemoteImage]], Cell | str]]


def title_of(name: str, networks: Networks) -> str:
    """The name of a network in tables."""
    return networks[name].title or name


def precision_cell(row: Row) -> Cell:
    """`float16`, and whatever else tells the row's case from others of its size; marked if it is assumed."""
    return cells.precision(row.case, row.untiled or row.tiled)


def precision(row: Row) -> str:
    """The same without a mark."""
    return cells.precision_text(row.case)


def way_name(choice: Choice, networks: Networks) -> str:
    """`tiled`, `remote over Fibre`, `remote at mine`."""
    over = f" over {title_of(choice.network, networks)}" if choice.network else ""
    return f"{choice.way}{over}{f' at {choice.endpoint}' if choice.endpoint else ''}"


def networks_table(networks: Networks) -> Table:
    """The networks that are simulated, each with its source."""
    return table_of(
        networks,
        (Column("Network"), lambda name: title_of(name, networks)),
        (Column("Round trip", "seconds"), lambda name: Cell(networks[name].path.rtt_s)),
        (Column("Down", "bits/s"), lambda name: Cell(networks[name].path.down_bit_s)),
        (Column("Up", "bits/s"), lambda name: Cell(networks[name].path.up_bit_s)),
        (Column("Source", may_wrap=True), lambda name: networks[name].source),
    )


def local_table(rows: Sequence[Row], networks: Networks, *, short: bool = False) -> Table:
    """A line for each local case: untiled, tiled, remote over the first network, the fastest, and where remote wins.

    If `short`, without the columns that follow from others.
    """
    first = next(iter(networks))
    has_tiles = any(takes_tiles(row.case) for row in rows)
    return table_of(
        rows,
        (Column("Device", splits_table=True), lambda row: row.label),
        (Column("Precision", splits_table=True), precision_cell),
        (Column(cells.size_heading(row.case for row in rows)), lambda row: whole_size_of(row.case)),
        (Column("Untiled" if has_tiles else "Local", "seconds", key="untiled"), lambda row: cells.time(row.untiled)),
        (Column("Memory", "percent"), lambda row: cells.memory(row.untiled)),
        *([(Column("Tiled", "seconds"), _tiled_time)] if has_tiles else []),
        *([(Column("Tiled memory", "percent"), lambda row: cells.memory(row.tiled))] if has_tiles else []),
        (
            Column(f"Remote over {title_of(first, networks)}", "seconds", key="remote"),
            lambda row: _simulated(row.remote.over_s.get(first)),
        ),
        (Column("Fastest"), lambda row: _fastest(row, networks)),
        *([] if short else [(Column("Fastest time", "seconds"), _fastest_time)]),
        *([] if short else [(Column("Remote wins from"), lambda row: _crossover(row, networks[first]))]),
    )


def remote_table(images: Sequence[RemoteImage], networks: Networks, *, short: bool = False) -> Table:
    """A line for each image with a service: what its endpoint takes, what travels, and the whole over each network.

    If `short`, only the whole, for each endpoint or card that computes the images.
    """
    served = [(image.service, image) for image in images if image.service]
    by: _ServedColumn = (Column("Computed by", splits_table=True), lambda row: f"Remote, computed by {row[0].by}")
    service: list[_ServedColumn] = [
        (Column("Over"), lambda row: row[0].transport),
        (Column("Computed by"), lambda row: _computed_by(row[0])),
        (Column("Compute", "seconds"), lambda row: Cell(row[0].compute_s, kind=row[0].kind)),
        (Column("Endpoint", "seconds"), lambda row: _off_network(row[0])),
        (Column("Sent", "payload bytes"), lambda row: _sent(row[0])),
        (Column("Received", "payload bytes"), lambda row: _received(row[0])),
    ]

    def over(name: str) -> _ServedColumn:
        column = Column(title_of(name, networks), "seconds", key=f"over_{name}")
        return column, lambda row: _simulated(row[1].over_s[name])

    return table_of(
        served,
        (Column(cells.size_heading(image.case for image in images)), lambda row: whole_size_of(row[1].case)),
        *([by] if short else service),
        *map(over, networks),
    )


def parts_table(image: RemoteImage, networks: Networks) -> Table:
    """The parts of the simulated time of one image, over each network."""

    def part(name: str, seconds: Callable[[OverNetwork], float]) -> tuple[Column, Callable[[str], Cell]]:
        return Column(name, "seconds"), lambda network: _simulated(seconds(image.over[network]))

    return table_of(
        networks,
        (Column("Network"), lambda name: title_of(name, networks)),
        part("Connect", lambda over: over.connect_s),
        part("TLS", lambda over: over.tls_s),
        part("Upload", lambda over: over.upload_s),
        (Column("Endpoint", "seconds"), lambda _: _off_network(image.service) if image.service else Cell()),
        part("Download", lambda over: over.download_s),
        part("Whole", lambda over: over.seconds),
    )


def measured_table(images: Sequence[RemoteImage]) -> Table:
    """Measured end-to-end times of requests to endpoints."""
    return table_of(
        [record for image in images for record in image.measured],
        (Column(cells.size_heading(image.case for image in images)), lambda record: whole_size_of(record.case)),
        (Column("Over"), lambda record: record.case.transport),
        (Column("Endpoint"), lambda record: record.device.name),
        (Column("Measured end to end", "seconds"), _measured_time),
    )


def _simulated(seconds: float | None) -> Cell:
    return Cell() if seconds is None else Cell(seconds, kind="simulated")


def _tiled_time(row: Row) -> Cell:
    """The time in tiles, with the size of the tile if the results hold several."""
    time = cells.time(row.tiled)
    tile = row.tiled.case.tile if row.tiled else None
    return replace(time, note=f"tiles of {cells.tile_edge(tile)} px") if tile and row.tiles > 1 else time


def _fastest(row: Row, networks: Networks) -> Cell:
    """The quickest way that fits, and whether only remote fits."""
    if row.fastest is None:
        return Cell("only remote can fit, and has no figure", tone="strong") if row.only_remote_fits else Cell()
    name = way_name(row.fastest, networks)
    if row.fits == "untiled: no":
        return Cell(name, note="tiling was not tried")
    return Cell(f"only remote fits: {name}", tone="strong") if row.only_remote_fits else Cell(name)


def _fastest_time(row: Row) -> Cell:
    return Cell(row.fastest.seconds, kind=row.fastest.kind) if row.fastest else Cell()


def _crossover(row: Row, network: Network) -> Cell:
    """From which bandwidth on, or up to which round trip, remote wins."""
    crossover = row.crossover
    if crossover is None:
        return Cell()
    if crossover.verdict == "always":
        return Cell(text="always: nothing else fits", kind=row.kind)
    if crossover.verdict == "never":
        return Cell(text="never", kind="simulated")
    bounds, factor = [], crossover.factor
    if factor is not None:
        down, up = (format_rate(rate * factor) for rate in (network.path.down_bit_s, network.path.up_bit_s))
        bounds.append(f"{down} down, {up} up")
    if crossover.rtt_s is not None:
        bounds.append(f"up to {format_seconds(crossover.rtt_s)} of round trip")
    return Cell(text="; or ".join(bounds) or "neither alone is enough", kind="simulated")


def _computed_by(service: EndpointTime) -> str:
    tile = service.case.tile
    return f"{service.by}, {service.case.dtype}{f', tiled {tile.label}' if tile else ''}"


def _off_network(service: EndpointTime) -> Cell:
    return Cell(service.off_network_s, kind=service.kind if service.measured_as_whole else "simulated")


def _sent(service: EndpointTime) -> Cell:
    return _body(service, service.sent_bytes, is_image=service.case.operation == "encode")


def _received(service: EndpointTime) -> Cell:
    return _body(service, service.received_bytes, is_image=service.case.operation != "encode")


def _body(service: EndpointTime, size_bytes: int, *, is_image: bool) -> Cell:
    """The size of a body. Unless it was measured, that of an image file is simulated; others follow from the shape."""
    is_file = is_image and service.transport in FILE_TRANSPORTS
    return Cell(size_bytes, kind=service.kind if service.measured_as_whole else "simulated" if is_file else None)


def _measured_time(record: Record) -> Cell:
    is_loopback = record.remote is not None and record.remote.endpoint.is_loopback
    return replace(cells.time(record), note="loopback, no network" if is_loopback else "")
