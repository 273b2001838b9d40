"""The tables of the page that sets local beside remote. Reads what `hybrid` compared; never torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis.hybrid.crossover import Crossover
from bench.analysis.hybrid.rows import Choice, Row
from bench.analysis.hybrid.service import Service
from bench.analysis.hybrid.ways import Remote, Way
from bench.config import Network
from bench.core.units import format_rate, format_seconds, format_size
from bench.record import FILE_TRANSPORTS, Record
from bench.report.pages import kinds
from bench.report.pages.kinds import marked, memory_cell, time_cell
from bench.report.render import markdown
from bench.report.render.markdown import safe
from bench.workloads.labels import whole_size_of

Networks = Mapping[str, Network]


def title_of(name: str, networks: Networks) -> str:
    """What a network is called in tables."""
    return networks[name].title or name


def networks_table(networks: Networks) -> str:
    """The networks that are simulated, each with its source."""
    rows = []
    for name, one in networks.items():
        figures = (format_seconds(one.path.rtt_s), format_rate(one.path.down_bit_s), format_rate(one.path.up_bit_s))
        rows.append((safe(title_of(name, networks)), *figures, safe(one.source)))
    return markdown.table(("Network", "Round trip", "Down", "Up", "Source"), rows, "lrrrl")


def local_table(rows: Sequence[Row], networks: Networks) -> str:
    """A line a local case: untiled, tiled, remote over the first network, and what follows."""
    name = next(iter(networks))
    headers = ["Device", "Precision", "Resolution", "Untiled", "Memory", "Tiled", "Tiled memory"]
    headers = [*headers, f"Remote over {safe(title_of(name, networks))}", "Fastest", "Remote wins from"]
    cells = [
        (
            safe(row.label),
            safe(precision(row)),
            whole_size_of(row.case),
            time_cell(row.untiled),
            memory_cell(row.untiled),
            _tile(row) + time_cell(row.tiled),
            memory_cell(row.tiled),
            _over(row.remote, name),
            fastest_text(row, networks),
            crossover_text(row.crossover, networks[name], row.kind),
        )
        for row in rows
    ]
    return markdown.table(headers, cells, "lllrrrrrll")


def remote_table(ways: Sequence[Way], networks: Networks) -> str:
    """A line an image: what the endpoint takes, what travels, and the whole over each network."""
    ways = [way for way in ways if way.remote.service or way.remote.measured]
    measured = any(way.remote.measured for way in ways)
    headers = ["Resolution", "Over", "Computed by", "Compute", "Endpoint", "Sent", "Received"]
    headers += ["Measured end to end"] if measured else []
    headers += [safe(title_of(name, networks)) for name in networks]
    rows = []
    for way in ways:
        row = [whole_size_of(way.case), *_service(way.remote.service)]
        row += [_measured(way.remote.measured)] if measured else []
        rows.append(row + [_over(way.remote, name) for name in networks])
    return markdown.table(headers, rows, "lll" + "r" * (len(headers) - 3))


def parts_table(service: Service, networks: Networks) -> str:
    """A line a network: what the time of one image over it is made of."""
    rows = []
    for name, network in networks.items():
        way = service.way(network.path)
        parts = [way.connect_s, way.tls_s, way.upload_s, way.download_s, service.over(network.path)]
        cells = [marked(format_seconds(seconds), "simulated") for seconds in parts]
        rows.append([safe(title_of(name, networks)), *cells[:3], _off_network(service), *cells[3:]])
    headers = ("Network", "Connect", "TLS", "Upload", "Endpoint", "Download", "Whole")
    return markdown.table(headers, rows, "lrrrrrr")


def way_text(choice: Choice, networks: Networks) -> str:
    """`tiled`, `remote over Fibre`, `remote at mine`."""
    over = f" over {title_of(choice.network, networks)}" if choice.network else ""
    return f"{choice.way}{over}{f' at {choice.endpoint}' if choice.endpoint else ''}"


def fastest_text(row: Row, networks: Networks) -> str:
    """The way that takes least, with its time; and that only remote fits, or that nobody knows, where it is so."""
    choice = row.fastest
    if choice is None:
        return (
            f"**only remote can fit**, {marked('OOM', row.kind)} here, and has no figure" if row.fits == "no" else "-"
        )
    text = f"{safe(way_text(choice, networks))}, {marked(format_seconds(choice.seconds), choice.kind)}"
    if row.fits == "untiled: no":
        return f"{text} (tiling was not tried)"
    return f"**only remote fits**: {text}" if row.only_remote_fits else text


def crossover_text(found: Crossover | None, network: Network, kind: str) -> str:
    """From which bandwidth on, or up to which round trip, remote wins; `kind` is that of the local outcome."""
    if found is None:
        return "-"
    if found.verdict == "always":
        return marked("always: nothing else fits", kind)
    if found.verdict == "never":
        return marked("never", "simulated")
    path, said = network.path, []
    if found.factor is not None:
        rates = (format_rate(path.down_bit_s * found.factor), format_rate(path.up_bit_s * found.factor))
        said.append(f"{rates[0]} down, {rates[1]} up")
    if found.rtt_s is not None:
        said.append(f"up to {format_seconds(found.rtt_s)} of round trip")
    return marked("; or ".join(said) or "neither alone is enough", "simulated")


def _service(service: Service | None) -> list[str]:
    if service is None:
        return ["-"] * 6
    tiled = f", tiled {service.case.tile.tile}/{service.case.tile.overlap}" if service.case.tile else ""
    files = service.transport in FILE_TRANSPORTS

    def body(count: int, *, is_file: bool) -> str:
        kind = service.kind if service.whole else "simulated" if is_file and files else "by shape"
        return marked(format_size(count), kind)

    sends_file = service.case.operation == "encode"
    return [
        service.transport,
        safe(f"{service.by}, {service.case.dtype}{tiled}"),
        marked(format_seconds(service.compute_s), service.kind),
        _off_network(service),
        body(service.sent_bytes, is_file=sends_file),
        body(service.received_bytes, is_file=not sends_file),
    ]


def _off_network(service: Service) -> str:
    return marked(format_seconds(service.off_network_s), service.kind if service.whole else "simulated")


def _measured(records: Sequence[Record]) -> str:
    said = []
    for record in records:
        loopback = record.remote is not None and record.remote.endpoint.is_loopback
        at = "loopback, no network" if loopback else safe(record.device.name)
        said.append(f"{time_cell(record)} ({at})")
    return "; ".join(said) or "-"


def _over(remote: Remote, name: str) -> str:
    seconds = remote.over_s.get(name)
    return "-" if seconds is None else marked(format_seconds(seconds), "simulated")


def precision(row: Row) -> str:
    """`float16 (assumed)`, and what else tells a case from another of its size."""
    return kinds.precision(row.case, row.untiled or row.tiled)


def _tile(row: Row) -> str:
    """The tile, where it is not the only one that stands in the results."""
    return f"{row.tiled.case.tile.tile} px: " if row.tiles > 1 and row.tiled and row.tiled.case.tile else ""
