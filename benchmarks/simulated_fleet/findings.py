"""All that is measured and simulated for the page, as values."""

from __future__ import annotations

import os
import platform
import random
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import scale

from bench import store

from . import case_durations, measured_costs, measured_reading, scenarios
from .case_durations import Durations
from .child import ChildCost, in_child
from .driver_model import Costs, ResultSet, simulate
from .measured_costs import Taken

if TYPE_CHECKING:
    from .measured_ray import RayCosts

_ROOT = Path(__file__).parents[2]
#: Cases of the docs' sweep.
CASES = len(scale.CASES)
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured: records of the dataset and of JSONL files, devices, nodes that are simulated and real."""

    records: int = 10_000_000
    devices: int = 300
    reading: tuple[int, ...] = (1_000, 10_000, 100_000)
    largest: int = 1_000_000
    nodes: tuple[int, ...] = scenarios.NODES
    failing: tuple[int, ...] = (64, 256)
    real_nodes: tuple[int, ...] = (1, 2, 4, 8)
    runs_of_a_device: tuple[int, ...] = (10, 100, 1_000)
    cases: tuple[int, ...] = (32, 320, 3_200)
    rounds: int = measured_costs.ROUNDS


#: For tests: everything but Ray, with few of each.
QUICK = Extent(20_000, 10, (500,), 1_000, (1, 2, 8), (8,), (), (10,), (32,), 1)


@dataclass(slots=True)
class Findings:
    """What was found; `ray` is None if Ray was left out."""

    extent: Extent
    machine: str
    load: tuple[float, float, float]
    file_system: str
    costs: dict[str, Taken] = field(default_factory=dict)
    disk_lanes: int = 1
    ray: RayCosts | None = None
    reading: list[measured_reading.Reading] = field(default_factory=list)
    dataset: dict[str, ChildCost] = field(default_factory=dict)
    device_files: int = 0
    driver: Costs = field(default_factory=Costs)
    validated: list[tuple[int, float, float]] = field(default_factory=list)
    every_gpu: list[scenarios.Row] = field(default_factory=list)
    set_a_type: list[scenarios.Row] = field(default_factory=list)
    failures: list[tuple[str, scenarios.Row]] = field(default_factory=list)
    variants: list[tuple[str, scenarios.Row]] = field(default_factory=list)
    half_busy: list[tuple[str, float, int]] = field(default_factory=list)

    @property
    def largest_reading(self) -> measured_reading.Reading:
        """What the first command took on the most records."""
        command = self.reading[0].what
        return max(
            (reading for reading in self.reading if reading.what == command),
            key=lambda reading: reading.written.records,
        )


def find(extent: Extent, say: Callable[[str], None]) -> Findings:
    """Measure, then simulate with what was measured; `say` is told what is next."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = Path(name)
        file_system = measured_costs.file_system_of(folder)
        findings = Findings(extent, _machine(), os.getloadavg(), file_system)
        say("reading")
        findings.reading = list(measured_reading.measure(folder, extent.reading, extent.largest, extent.devices))
        say("the dataset")
        _measure_dataset(findings, folder)
        say("the driver's costs")
        _measure_driver(findings, folder)
    if extent.real_nodes:
        from . import measured_ray  # noqa: PLC0415 - it takes seconds to load

        say("a cluster on this machine")
        findings.ray = measured_ray.measure(extent.real_nodes, cases=16)
    findings.driver = _driver_costs(findings)
    say("the simulation")
    _simulate(findings)
    return findings


def _machine() -> str:
    from bench.device.cpu import host  # noqa: PLC0415

    cores = os.cpu_count()
    return f"{host.cpu_name()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def _measure_dataset(findings: Findings, folder: Path) -> None:
    from . import parquet_dataset  # noqa: PLC0415 - pyarrow

    extent, whole, card = findings.extent, folder / "dataset", scale.device(1)
    measured = findings.dataset
    measured["write"] = in_child(parquet_dataset.write, whole, extent.records, extent.devices, os.cpu_count() or 1)
    measured["device, 6 columns"] = in_child(parquet_dataset.read, whole, card.name, parquet_dataset.FIGURES)
    measured["device, all columns"] = in_child(parquet_dataset.read, whole, card.name, ())
    measured["all, 2 columns"] = in_child(parquet_dataset.read, whole, None, parquet_dataset.NUMBERS)
    findings.device_files = len(parquet_dataset.files_of(whole, card.slug))
    for runs, cases in ((100, 32), (1, 3_200)):
        measured[f"tool, {cases} a run"] = in_child(
            parquet_dataset.write_runs_with_the_tool, folder / f"tool-{cases}", runs, cases
        )


def _measure_driver(findings: Findings, folder: Path) -> None:
    extent, costs = findings.extent, findings.costs
    costs["make a record and its line"] = measured_costs.building(500)
    (disk := folder / "appends").mkdir()
    costs[f"append a record durably, {findings.file_system}"] = measured_costs.appending(disk, 200)
    shared_memory = Path("/dev/shm")  # noqa: S108 - only to compare it with a disk
    if shared_memory.is_dir():
        with tempfile.TemporaryDirectory(dir=shared_memory) as name:
            kind = measured_costs.file_system_of(Path(name))
            costs[f"append a record durably, {kind}"] = measured_costs.appending(Path(name), 200)
    findings.disk_lanes = measured_costs.disk_lanes(disk, 50)
    for cases in extent.cases:
        name = f"a case of a plan of {cases:,}: scheduler, progress, append"
        costs[name] = measured_costs.scheduling(folder / "scheduled", cases, extent.rounds)
    for runs in extent.runs_of_a_device:
        (of_device := folder / f"runs-{runs}").mkdir()
        name = f"find the run to continue among {runs:,} of a device"
        costs[name] = measured_costs.looking_for_the_run(of_device, runs)
    if extent.real_nodes:
        costs["start a worker with torch"] = measured_costs.starting_a_worker()


def _driver_costs(findings: Findings) -> Costs:
    """What the simulation uses. The CPU time of an append is part of a case's, so only its waiting is left."""
    costs, ray = findings.costs, findings.ray
    append = costs[f"append a record durably, {findings.file_system}"]
    append_s = max(0.0, append.wall_s - append.cpu_s)
    search = costs[f"find the run to continue among {findings.extent.runs_of_a_device[-1]:,} of a device"]
    if ray is None:
        case = costs[f"a case of a plan of {findings.extent.cases[-1]:,}: scheduler, progress, append"]
        return Costs(case_cpu_s=case.cpu_s, append_s=append_s, disk_lanes=findings.disk_lanes, resume_s=search.cpu_s)
    return Costs(
        start_s=ray.actor.wall_s + costs["start a worker with torch"].wall_s,
        start_cpu_s=ray.actor.cpu_s,
        trip_s=max(0.0, ray.trip_s - append_s),
        case_cpu_s=ray.case.cpu_s,
        poll_every_s=ray.poll_every_s,
        poll_cpu_s=ray.poll_cpu_s,
        most_polls_per_s=ray.most_polls_per_s,
        append_s=append_s,
        disk_lanes=findings.disk_lanes,
        resume_s=search.cpu_s,
    )


def _simulate(findings: Findings) -> None:
    extent, driver = findings.extent, findings.driver
    if findings.ray is not None:
        ready = replace(driver, start_s=0.0, start_cpu_s=0.0, resume_s=0.0)
        for run in findings.ray.runs:
            simulated = simulate([ResultSet(((run.case_s,),) * run.cases, run.nodes)], ready)
            findings.validated.append((run.nodes, run.wall_s, simulated.wall_s))
    durations = _durations()
    for nodes in extent.nodes:
        findings.every_gpu.append(scenarios.fleet(scenarios.every_gpu, nodes, durations, CASES, driver))
        findings.set_a_type.append(scenarios.fleet(scenarios.set_a_type, nodes, durations, CASES, driver))
    for nodes in extent.failing:
        for name, failures in scenarios.FAILURES.items():
            row = scenarios.fleet(scenarios.set_a_type, nodes, durations, 10 * CASES, driver, failures)
            findings.failures.append((name, row))
    most = extent.nodes[-1]
    for name, costs in scenarios.variants(driver).items():
        findings.variants.append((name, scenarios.fleet(scenarios.every_gpu, most, durations, CASES, costs)))
    for name, case_s in {**_typical(durations), "each case takes 0.25 s": 0.25}.items():
        findings.half_busy.append((name, case_s, scenarios.nodes_at(0.5, case_s, driver)))


def _durations() -> Durations:
    published, measured = case_durations.results_of(_ROOT)
    settings = measured_costs.docs_settings()
    return case_durations.of_records(store.read_latest(published)[0], store.read_all(measured)[0], settings)


def _typical(durations: Durations) -> dict[str, float]:
    """The mean case of the quickest and of the slowest card."""
    moments = random.Random(0)  # noqa: S311 - figures, not secrets
    mean_s = {
        card: statistics.mean(case_s for (case_s,) in durations.sweep(card, 2_000, 0.0, moments))
        for card in durations.cards
    }
    quick, slow = min(mean_s, key=mean_s.__getitem__), max(mean_s, key=mean_s.__getitem__)
    return {f"all are {card} with the docs' mean case": mean_s[card] for card in (quick, slow)}
