"""docs/scale.md: the findings as a page, whose first sentences say what one driver carries and what limits it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from bench.report.document import Bullets, Document, Section, Text

from . import page_tables
from .findings import Findings

_PACKAGES = ("ray", "pyarrow", "pydantic", "msgspec", "simpy")
_NOT_MODELLED = (
    "The network between driver and nodes, and Ray's own processes. A head node with 1,000 nodes was not tried, since "
    "all of this was measured on one machine. Ray may need more time to start 1,000 actors than the driver.",
    "The threads of the driver, one for each node, take turns in no fixed order and need memory.",
    "Nodes that differ in speed within a type, and failures of many nodes at once.",
    "Cases that are interleaved: a group then has two cases or more, so fewer nodes can share a sweep.",
    "Disks that write durably at another rate. The disk here is virtual, and its host may keep what it was given in "
    "memory.",
    "More than one driver. Two drivers on two machines, each with a folder of its own, share nothing. `bench merge` "
    "joins what they wrote.",
)


def document(findings: Findings) -> Document:
    """The whole page."""
    return Document(
        "A fleet on paper: what one driver and its store carry",
        (
            *map(Text, _reading(findings)),
            Text(_where(findings)),
            Section("Measured", tuple(page_tables.measured(findings))),
            Section("Simulated", tuple(page_tables.simulated(findings))),
            Section(f"{_count(findings):,} records", tuple(page_tables.records(findings))),
            Section("What is not in it", (Bullets(_NOT_MODELLED),)),
        ),
    )


def _count(findings: Findings) -> int:
    return int(findings.dataset["write"].result.records)


def _reading(findings: Findings) -> Iterator[str]:
    """The answers, in a few sentences."""
    driver, most = findings.driver, findings.every_gpu[-1]
    yield (
        "The driver is the process of `bench run --on ray`: it hands out cases and writes their records; the store "
        f"is its results folder. In a simulation of {most.nodes:,} nodes that each measure the docs' sweep, it "
        f"computes for {most.utilisation:.0%} of the time and writes {most.rate:.0f} records a second. The sweep "
        f"takes {most.over_ideal:.0%} longer than it would if driver, store and the start of nodes cost nothing."
    )
    nodes = "; ".join(f"{count:,} if {name} ({case_s:.2g} s)" for name, case_s, count in findings.half_busy)
    yield (
        f"The driver's own computation is the limit: {driver.case_cpu_s * 1e3:.1f} ms a case, in one Python process. "
        f"It is busy for half of the time with this many nodes: {nodes}. A record waits {driver.append_s * 1e3:.2f} "
        "ms for the disk. A single set of results can't use many nodes, because a sweep has few cases: then most of "
        "the time goes into starting the nodes."
    )
    written, device, whole = (findings.dataset[name] for name in ("write", "device, 6 columns", "all, 2 columns"))
    count = _count(findings)
    yield (
        f"{count:,} records take {written.result.bytes / page_tables.GB:.1f} GB as a Parquet dataset and "
        f"{page_tables.json_bytes(findings, count) / page_tables.GB:.0f} GB as JSON lines. `bench.load` reads one "
        f"device of the dataset in {device.wall_s:.2f} s from {findings.device_files} of {written.result.files:,} "
        f"files, and two columns of all devices in {whole.wall_s:.1f} s. Reading the JSON lines would take "
        f"{page_tables.json_s(findings, count) / 60:.1f} minutes of CPU time."
    )


def _where(findings: Findings) -> str:
    load = ", ".join(f"{value:.0f}" for value in findings.load)
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Written by `python benchmarks/fleet_simulation.py --write` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{findings.machine}, {findings.file_system}, {versions}. Load averages at the beginning: {load}. On a busy "
        "machine CPU time says more than wall time. Other runs differ."
    )
