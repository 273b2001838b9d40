"""How a sweep on a cluster scales with its cards: equal nodes on this machine, whose cases sleep instead of computing.

    python benchmarks/fleet_scaling.py [--nodes 1 2 4 8] [--cases 64] [--seconds 1]

Each sweep is `bench run --on ray` without its command line: the scheduler, the store, an actor on each node and a
worker below it. For each number of nodes it prints

- start-up: from connecting to the cluster until the last card has begun its first case,
- wall: from connecting until the last record is on disk,
- bound: 1.25 / N of the time that one node takes over the cases, plus the start-up.

Cards that are ready before the last one measure meanwhile. Starting the nodes themselves is in neither. Nothing is
computed, so it matters little that the nodes share the cores of one machine once the workers are up; starting them does
take processor time.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ray.cluster_utils import Cluster

from bench.fleet import cluster
from bench.fleet.sweep import Fleet
from bench.plan import Plan
from bench.record import Axes, Case, MeasureSettings, Phase, Record, Run, SweepOnCards
from bench.run import scheduler
from bench.run.messages import Ready

WORKER = Path(__file__).parents[1] / "tests" / "sleeping_worker.py"
#: What the sweep may take of one node's time divided by the number of nodes.
SLACK = 1.25


@dataclass
class Watch:
    """An observer that notes when cards begin and when records are on disk."""

    begun_s: list[float] = field(default_factory=list)
    done_s: list[float] = field(default_factory=list)

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None: ...

    def case_begun(self, number: int, case: Case) -> None:
        self.begun_s.append(time.monotonic())

    def phase_begun(self, phase: Phase) -> None: ...

    def case_done(self, number: int, record: Record) -> None:
        self.done_s.append(time.monotonic())


@dataclass(frozen=True, slots=True)
class Scaling:
    """What a sweep on so many nodes took, in seconds."""

    nodes: int
    startup_s: float
    wall_s: float

    @property
    def cases_s(self) -> float:
        """The time over the cases."""
        return self.wall_s - self.startup_s

    def bound_s(self, alone: Scaling) -> float:
        """The most that it may take, by what one node takes."""
        return SLACK / self.nodes * alone.cases_s + self.startup_s


def plan(cases: int) -> Plan:
    """A plan of so many cases."""
    made = tuple(
        Case(
            model="tiny",
            operation="encode",
            axes=Axes({"width": 8 * n, "height": 8, "frames": 1, "batch": 1}),
            dtype="float32",
        )
        for n in range(1, cases + 1)
    )
    return Plan(config="scaling", cases=made, measure=MeasureSettings(), timeout_s=600)


def measure(nodes: int, cases: int, seconds: float) -> Scaling:
    """Start a cluster of so many nodes, and measure a sweep on it."""
    own = {"object_store_memory": 80e6, "num_cpus": 1, "num_gpus": 1, "resources": {"accelerator_type:SLEEPER": 1}}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            made.add_node(wait=False, **own)
        made.wait_for_nodes()
        with tempfile.TemporaryDirectory() as results:
            return _sweep(str(made.address), nodes, plan(cases), seconds, Path(results))
    finally:
        made.shutdown()


def _sweep(address: str, nodes: int, made: Plan, seconds: float, results: Path) -> Scaling:
    command = ("env", f"SLEEPING_SECONDS={seconds}", sys.executable, str(WORKER))
    fleet, watch = Fleet(on_cpu=True, worker=command), Watch()
    options = scheduler.RunOptions(results=results, sweep=SweepOnCards(id="scaling", runs=1, shared=True))
    begin = time.monotonic()
    with cluster.connected(address, {}):
        ((title, cards),) = fleet.runs().items()
        executors = fleet.executors({title: cards}, lambda *_: None)[title]
        summary = scheduler.run(made, executors, options, watch)
    if len(summary.records) != len(made.cases):
        raise SystemExit("Not every case has a record.")
    return Scaling(nodes, _last_card_s(watch, nodes) - begin, watch.done_s[-1] - begin)


def _last_card_s(watch: Watch, nodes: int) -> float:
    """When the last card has begun: so many more cases had begun than were done, for the first time."""
    moments = sorted([(at, 1) for at in watch.begun_s] + [(at, -1) for at in watch.done_s])
    at_once = 0
    for at, change in moments:
        at_once += change
        if at_once == nodes:
            return at
    raise SystemExit(f"{nodes} cards never measured at once: give more --cases or --seconds")


def main() -> None:
    """Measure, print, and end with 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--cases", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    alone: Scaling | None = None
    is_within = True
    print(f"{arguments.cases} cases of {arguments.seconds:g} s on {os.cpu_count()} cores\n")
    print("| nodes | start-up | over the cases | wall | bound |\n| ---: | ---: | ---: | ---: | ---: |")
    for nodes in arguments.nodes:
        scaling = measure(nodes, arguments.cases, arguments.seconds)
        alone = alone or scaling
        bound_s = scaling.bound_s(alone)
        is_within &= scaling.wall_s <= bound_s
        figures = (scaling.startup_s, scaling.cases_s, scaling.wall_s, bound_s)
        print(f"| {nodes} | {' | '.join(f'{figure:.1f} s' for figure in figures)} |", flush=True)
    sys.exit(0 if is_within else "A sweep took longer than its bound.")


if __name__ == "__main__":
    main()
