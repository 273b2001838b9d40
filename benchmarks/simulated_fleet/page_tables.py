"""The tables of docs/scale.md and the sentences before them. Measured and simulated figures are apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.core.units import MIB
from bench.report.document import Block, Column, Table, Text, table

from .child import ChildCost
from .findings import CASES, Findings
from .scenarios import Row

GB = 10**9
#: What the tables of fleets have in common.
_FLEET = (
    *("Nodes", "Records", "Wall s", "Ideal s", "Longer by", "Driver computes", "Mean wait ms", "Longest wait ms"),
    *("Cases lost", "Node seconds lost"),
)
#: Records of each dataset that the tool wrote.
_OF_THE_TOOL = 3_200


def measured(findings: Findings) -> Iterator[Block]:
    """What the driver does, real sweeps beside the simulation, and reading."""
    yield Text(
        "Wall time, and CPU time of the driver's process; medians. A record has 3.3 kB. Appends to 8 files at once go "
        f"{findings.disk_lanes} times as quickly as to one."
    )
    rows = [[name, _ms(taken.wall_s), _ms(taken.cpu_s)] for name, taken in findings.costs.items()]
    ray = findings.ray
    if ray is not None:
        rows += [
            ["start a card's actor and its sleeping worker, over Ray", _ms(ray.actor.wall_s), _ms(ray.actor.cpu_s)],
            ["a case over Ray that computes nothing: all of the above", _ms(ray.case.wall_s), _ms(ray.case.cpu_s)],
            ["ask a node for its phase, over Ray", "-", _ms(ray.poll_cpu_s)],
        ]
    yield _table(("Measured: what the driver does", "Wall ms", "CPU ms"), rows)
    if ray is not None:
        yield Text(
            f"Real sweeps of {ray.runs[0].cases} cases over nodes of a Ray cluster on this machine, whose workers "
            f"sleep for {ray.runs[0].case_s:g} s a case, beside the simulation with the costs above. Starting the "
            "workers is not counted."
        )
        alone_s = findings.validated[0][1]
        yield _table(
            ("Nodes", "Measured s", "Simulated s", "Off by", "Measured, of one node's time over N"),
            [
                [
                    count,
                    f"{real_s:.2f}",
                    f"{simulated_s:.2f}",
                    f"{simulated_s / real_s - 1:+.1%}",
                    _share(each, alone_s),
                ]
                for each in findings.validated
                for count, real_s, simulated_s in [each]
            ],
        )
    yield Text("Commands on results in files of 32 records, without the start of Python.")
    yield _table(
        ("Measured: command", "Records", "MB", "Wall s", "CPU s", "CPU µs a record", "Peak MiB"),
        [
            [
                reading.what,
                f"{(count := reading.written.records):,}",
                f"{reading.written.bytes / 1e6:,.0f}",
                *_cost(reading.cost, count),
            ]
            for reading in sorted(findings.reading, key=lambda reading: reading.what)
        ],
    )


def _share(validated: tuple[int, float, float], alone_s: float) -> str:
    """What a sweep took, as a multiple of one node's time divided by the number of nodes."""
    nodes, wall_s, _ = validated
    return f"{wall_s * nodes / alone_s:.2f}"


def _cost(cost: ChildCost, records: int) -> list[str]:
    each = f"{cost.cpu_s / records * 1e6:.0f}"
    peak = f"{cost.peak_bytes / MIB:.0f}" if cost.peak_bytes else "-"
    return [f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", each, peak]


def simulated(findings: Findings) -> Iterator[Block]:
    """Fleets, failures, other drivers, and where the driver is half busy."""
    yield Text(
        f"A sweep has {CASES} cases. How long each takes is drawn at random: its calls from the published times of "
        "five cards (`results/published`) by the stopping rule of the docs' sweep, the rest from records that were "
        f"measured on a CPU (`results/`). A node starts in {findings.driver.start_s:.1f} s, as actor and worker did "
        "here. 'Ideal' means that driver, store and start cost nothing, and that nothing fails. 'Wait' is the time "
        "from the arrival of an answer until its record is on disk."
    )
    yield Text("Simulated: every node measures the whole sweep (`--every-gpu`), each set in a file of its own.")
    yield _fleets(findings.every_gpu)
    yield Text("Simulated: the nodes are of up to five types, and those of one type share a sweep.")
    yield _fleets(findings.set_a_type)
    yield Text(
        f"Simulated: the same with sweeps of {10 * CASES} cases and with failures, whose rates are assumed. A node "
        "that fails is away for ten minutes; a driver begins again at once. What is lost is computed again. Every "
        "record was written once."
    )
    yield _fleets([row for _, row in findings.failures], ("Failures", [name for name, _ in findings.failures]))
    yield Text("Simulated: the largest fleet of `--every-gpu`, with one thing about the driver changed.")
    yield _fleets([row for _, row in findings.variants], ("Driver", [name for name, _ in findings.variants]))
    yield Text("Simulated: with how many nodes the driver is busy for half of the time, once all have started.")
    half_busy = [[name, f"{case_s:.2f}", f"{nodes:,}"] for name, case_s, nodes in findings.half_busy]
    yield _table(("Each case takes", "Seconds", "Nodes"), half_busy)


def _fleets(rows: Sequence[Row], first: tuple[str, Sequence[str]] | None = None) -> Table:
    """A table of fleets; with a first column, if given, also of what was lost."""
    cells = [
        [
            f"{row.nodes:,}",
            f"{row.records:,}",
            f"{row.wall_s:,.0f}",
            f"{row.ideal_s:,.0f}",
            f"{row.over_ideal:.0%}",
            f"{row.utilisation:.1%}",
            _ms(row.wait_s),
            _ms(row.longest_wait_s),
            f"{row.lost_cases:.0f}",
            f"{row.lost_s:.0f}",
        ]
        for row in rows
    ]
    if first is None:
        return _table(_FLEET[:-2], [row[:-2] for row in cells])
    name, values = first
    return _table((name, *_FLEET), [[value, *row] for value, row in zip(values, cells, strict=True)])


def records(findings: Findings) -> Iterator[Block]:
    """The dataset, and what so many records cost in other ways."""
    measured_ = findings.dataset
    written = measured_["write"].result
    yield Text(
        f"Measured: a Parquet dataset of {written.records:,} simulated records of {findings.extent.devices} devices, "
        "in files of up to 8,320. Its rows were made once, and each file got them with other figures. "
        "`bench export` makes a row of each record, which takes longer: the last two lines."
    )
    here, whole = findings.device_files, written.files
    all_processes = replace(measured_["write"], cpu_s=written.cpu_s, peak_bytes=0)  # each has a peak of its own
    rows = [["written, in several processes", written.records, whole, written.bytes, all_processes]]
    for name, shown, files in (
        ("device, 6 columns", "read one device, 6 columns", here),
        ("device, all columns", "read one device, all columns but the whole record", here),
        ("all, 2 columns", "read all devices, 2 columns", whole),
    ):
        cost = measured_[name]
        rows.append([shown, cost.result[0], files, cost.read_bytes, cost])
    for name, cost in _of_the_tool(findings):
        rows.append([name, _OF_THE_TOOL, cost.result[0], cost.result[1], cost])
    yield _table(
        ("Measured", "Records", "Files", "MB", "Bytes a record", "Wall s", "CPU s", "CPU µs a record", "Peak MiB"),
        [
            [shown, f"{count:,}", f"{files:,}", f"{size / 1e6:,.1f}", f"{size / count:,.0f}", *_cost(cost, count)]
            for shown, count, files, size, cost in rows
        ],
    )
    yield Text(f"Computed for {written.records:,} records from the figures above.")
    yield _table(("Computed", "What"), list(map(list, _computed(findings, written.records))))


def _of_the_tool(findings: Findings) -> Iterator[tuple[str, ChildCost]]:
    for name, cost in findings.dataset.items():
        if name.startswith("tool"):
            yield f"written by the tool, {name.removeprefix('tool, ')}", cost


def _computed(findings: Findings, count: int) -> Iterator[tuple[str, str]]:
    driver, most, largest = findings.driver, findings.every_gpu[-1], findings.largest_reading
    yield "JSON lines", f"{json_bytes(findings, count) / GB:.0f} GB in {count // CASES:,} files of {CASES}"
    yield (
        f"reading them all, at the rate of {largest.written.records:,}",
        f"{json_s(findings, count) / 60:.1f} min of CPU time",
    )
    yield "the driver's part of measuring them", f"{count * driver.case_cpu_s / 3600:.1f} h of CPU time"
    yield f"measuring them with {most.nodes:,} nodes, at the simulated rate", f"{count / most.rate / 3600:.1f} h"
    for name, cost in _of_the_tool(findings):
        size, cpu_s = count * cost.result[1] / _OF_THE_TOOL, count * cost.cpu_s / _OF_THE_TOOL
        yield f"a dataset {name}", f"{size / GB:.1f} GB, {cpu_s / 60:.0f} min of CPU time"


def json_bytes(findings: Findings, count: int) -> float:
    """Bytes of so many records as JSON lines."""
    largest = findings.largest_reading.written
    return largest.bytes / largest.records * count


def json_s(findings: Findings, count: int) -> float:
    """CPU seconds of reading so many records as JSON lines, at the rate of the largest number that was read."""
    largest = findings.largest_reading
    return largest.cost.cpu_s / largest.written.records * count


def _ms(seconds: float) -> str:
    """Milliseconds."""
    value = seconds * 1e3
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    columns = [Column(name, key=f"column{place}", right=place > 0) for place, name in enumerate(names)]
    return table(columns, [[str(value) for value in row] for row in rows])
