"""Local beside remote on the terminal: the figures of what was chosen. Reads what `hybrid` compared; never torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.ways import Way
from bench.core.units import format_seconds, one_line
from bench.record import Record
from bench.report.pages.hybrid_tables import Networks, precision, title_of
from bench.report.pages.kinds import memory_cell, time_cell
from bench.report.render.terminal import Column, Draw, print_table, say
from bench.workloads import models
from bench.workloads.labels import whole_size_of

_HEADERS = ("Size", "Untiled", "Memory", "Tiled", "Memory", "Remote", "Quickest")
_LEGEND = (
    "Memory: the peak as a share of the device's, as the docs give it; remote takes none of it. Remote: one image from "
    "end to end over a new connection, simulated by the network's figures."
)


def draw(comparison: Comparison, networks: Networks) -> Draw:
    """Each device's times and memory by size, then the remote way of each image over every network."""

    def onto(console: Console) -> None:
        for title, rows in _groups(comparison.rows).items():
            _print(console, title, _HEADERS, [_local(row, next(iter(networks))) for row in rows])
        for title, ways in _served(comparison.ways).items():
            headers = ["Size", *(title_of(name, networks) for name in networks)]
            _print(console, title, headers, [_over(way, networks) for way in ways])
        for line in _measured(comparison.ways):
            say(console, one_line(line))
        if comparison.rows:
            first = title_of(next(iter(networks)), networks)
            say(console, one_line(f"{_LEGEND} The tables of devices have remote over {first}."), "dim")

    return onto


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """By model, operation, device, precision, and whether they were measured."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        image = f"{models.title(row.case.model)} {row.case.operation}"
        groups.setdefault(f"{image} on {row.label}, {precision(row)}: {row.kind}", []).append(row)
    return groups


def _local(row: Row, network: str) -> list[str]:
    over_s = row.remote.over_s.get(network)
    return [
        whole_size_of(row.case),
        _plain(time_cell(row.untiled), row.untiled),
        _plain(memory_cell(row.untiled), row.untiled),
        _plain(time_cell(row.tiled), row.tiled),
        _plain(memory_cell(row.tiled), row.tiled),
        "-" if over_s is None else format_seconds(over_s),
        row.fastest.way if row.fastest else "-",
    ]


def _plain(cell: str, record: Record | None) -> str:
    """A cell of the page without the word for what it is, which stands in the title."""
    return cell.removesuffix(f" *{record.kind}*") if record else cell


def _served(ways: Iterable[Way]) -> dict[str, list[Way]]:
    """The images that have a simulated time, by what computes them."""
    groups: dict[str, list[Way]] = {}
    for way in ways:
        if way.remote.service is not None:
            image = f"{models.title(way.case.model)} {way.case.operation}"
            by = f"computed by {way.remote.service.by} ({way.remote.service.kind})"
            groups.setdefault(f"{image}, remote: simulated, {by}", []).append(way)
    return groups


def _over(way: Way, networks: Networks) -> list[str]:
    return [whole_size_of(way.case), *(format_seconds(way.remote.over_s[name]) for name in networks)]


def _measured(ways: Iterable[Way]) -> list[str]:
    """What endpoints were measured to take."""
    return [
        f"{models.title(way.case.model)} {way.case.operation} {whole_size_of(way.case)} at {record.device.name}: "
        f"{_plain(time_cell(record), record)} {record.kind}{'' if record in way.remote.across else ', no network'}"
        for way in ways
        for record in way.remote.measured
    ]


def _print(console: Console, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    say(console, one_line(title), "bold")
    first, *others = map(one_line, headers)
    columns = [Column(first), *(Column(name, "right") for name in others)]
    print_table(console, columns, [[one_line(cell) for cell in row] for row in rows])
