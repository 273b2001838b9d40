"""What the driver takes for cards of a Ray cluster, and real sweeps over 1 to 8 nodes to compare the simulation with.

The cluster is on this machine: each node declares an accelerator for which its CPU stands in, and its worker is
`tests/sleeping_worker.py`, which sleeps instead of computing. The driver is the real one: `run.scheduler` over
`fleet.CardExecutor`, with its progress. CPU time is the driver's own, that of its threads; Ray's other processes have
more, which a cluster has on other machines.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ray.cluster_utils import Cluster
from rich.console import Console

from bench.fleet import card_executor, cluster, sweep
from bench.fleet.card_executor import CardExecutor
from bench.fleet.card_types import Card
from bench.fleet.sweep import Fleet
from bench.record import Record, SweepOnCards
from bench.run.many_progress import ManyReporter
from bench.run.many_runs import Task, run_side_by_side
from bench.run.scheduler import RunOptions, RunSummary

from .measured_costs import Taken, a_plan

_SLEEPING = (sys.executable, str(Path(__file__).parents[2] / "tests" / "sleeping_worker.py"))
_TYPE = "accelerator_type:H100"
#: Seconds of a case of two polls, and a while before the third.
_POLLED_S = 2.5 * card_executor.POLL_S


@dataclass(frozen=True, slots=True)
class RealRun:
    """A real sweep over nodes that were ready: from its beginning until the last record, and the driver's CPU time."""

    nodes: int
    cases: int
    case_s: float
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class RayCosts:
    """Seconds: to start a card's actor and sleeping worker; the driver's part of a case, and of a poll; and real runs.

    `trip_s` is what a case takes besides computation of the driver. Each card is asked for its phase every
    `poll_every_s` seconds, all together at most `most_polls_per_s` times a second.
    """

    actor: Taken
    case: Taken
    trip_s: float
    poll_cpu_s: float
    runs: tuple[RealRun, ...]
    poll_every_s: float = card_executor.POLL_S
    most_polls_per_s: float = sweep._POLLS_PER_S


def measure(nodes: Sequence[int], cases: int) -> RayCosts:
    """Measure on a cluster that is begun for it: sweeps of so many cases of two polls over so many nodes each."""
    with _cluster(max(nodes)) as cards:
        actor = _starting(cards[0])
        with _ready(cards[:1], 0.0) as executors:
            instant = _run(executors, 4 * cases, 0.0)
        case = Taken(instant.wall_s / instant.cases, instant.cpu_s / instant.cases)
        with _ready(cards, _POLLED_S) as executors:
            runs = tuple(_run(executors[:count], cases, _POLLED_S) for count in nodes)
    polled_s = max(runs, key=lambda run: run.nodes).cpu_s / cases - case.cpu_s
    poll_cpu_s = max(0.0, polled_s) / int(_POLLED_S / card_executor.POLL_S)
    return RayCosts(actor, case, case.wall_s - case.cpu_s, poll_cpu_s, runs)


class _Kept:
    """An executor that one run leaves to the next."""

    def __init__(self, executor: CardExecutor) -> None:
        self.start, self.run, self.run_interleaved = executor.start, executor.run, executor.run_interleaved

    def close(self) -> None:
        """It is closed after the last run."""

    cancel = close


@contextmanager
def _cluster(nodes: int) -> Iterator[tuple[Card, ...]]:
    """The cards of a cluster of so many nodes, each with one, and a driver that is connected to it."""
    begun = Cluster()
    try:
        begun.add_node(num_cpus=0, include_dashboard=False)
        for _ in range(nodes):
            begun.add_node(num_cpus=1, resources={_TYPE: 1})
        with cluster.connected(begun.address, {}):
            (cards,) = Fleet(on_cpu=True, worker=_SLEEPING).runs().values()
            yield cards
    finally:
        begun.shutdown()


def _executors(cards: Sequence[Card], case_s: float) -> Sequence[CardExecutor]:
    fleet = Fleet(on_cpu=True, worker=_SLEEPING, variables={"SLEEPING_SECONDS": str(case_s)})
    return fleet.executors({"H100": cards}, lambda title, text: None)["H100"]


@contextmanager
def _ready(cards: Sequence[Card], case_s: float) -> Iterator[Sequence[_Kept]]:
    """Executors whose actors and workers are there."""
    with ExitStack() as held, ThreadPoolExecutor(len(cards)) as threads:
        executors = [held.enter_context(closing(executor)) for executor in _executors(cards, case_s)]
        list(threads.map(CardExecutor.start, executors))
        yield [_Kept(executor) for executor in executors]


def _starting(card: Card) -> Taken:
    """Until an actor and its worker are there, the second time: the first one ships the program."""
    for _ in range(2):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        with _ready([card], 0.0):
            started = Taken(time.perf_counter() - begin, time.process_time() - begin_cpu)
    return started


def _run(executors: Sequence[_Kept], cases: int, case_s: float) -> RealRun:
    """Let executors share a plan, with the progress of `bench run --on ray`."""
    plan = a_plan(cases)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        reporter = ManyReporter(plan, ["H100"], Console(file=nowhere))
        options = RunOptions(Path(folder), sweep=SweepOnCards(id="simulated", runs=1, shared=True))
        begin, begin_cpu = time.time(), time.process_time()
        with reporter:
            (summary,) = run_side_by_side([Task("H100", plan, executors, options)], reporter, in_one_machine=False)
        cpu_s = time.process_time() - begin_cpu
    if not isinstance(summary, RunSummary):
        raise summary
    return RealRun(len(executors), cases, case_s, _last(summary.records) - begin, cpu_s)


def _last(records: Sequence[Record]) -> float:
    """When the last record was made, in seconds since 1970."""
    return max(datetime.fromisoformat(record.recorded_at).timestamp() for record in records)
