"""What Ray takes on this machine: to begin a cluster, to start an actor, and to send a case to it and the answer back.

The actor answers at once with a record's figures, so that only messages remain. The CPU time is the driver's own, that
of its threads; Ray's other processes have more, which a cluster has on other cores.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import ray
import scale

from bench.record import Case, MeasureSettings
from bench.run.messages import Done

from .measured_costs import InstantExecutor, Taken, taken


@dataclass(frozen=True, slots=True)
class RayCosts:
    """Seconds: to begin a local cluster, to start an actor until it answers, and a case's message and its answer."""

    cluster: Taken
    actor: Taken
    trip: Taken
    together: Taken


class InstantActor:
    """The actor of a card that computes nothing."""

    def __init__(self) -> None:
        self._executor = InstantExecutor()

    def run(self, case: Case, measure: MeasureSettings) -> Done:
        """Answer at once."""
        return self._executor.run(case, measure, 0.0, lambda _: None)


def measure(cases: int = 200, actors: int = 4) -> RayCosts:
    """Begin a cluster of this machine alone, measure, and end it. `together`: a case of several actors at once."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    folders = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    ray.init(
        address="local",
        num_cpus=actors,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"PYTHONPATH": folders}},
    )
    cluster = Taken(time.perf_counter() - begin, time.process_time() - begin_cpu)
    try:
        remote = ray.remote(num_cpus=1)(InstantActor)
        case, settings = scale.CASES[0], MeasureSettings()

        def start() -> None:
            actor = remote.remote()
            ray.get(actor.run.remote(case, settings))
            ray.kill(actor)

        actor = taken(start, rounds=3)
        hold = [remote.remote() for _ in range(actors)]
        ray.get([each.run.remote(case, settings) for each in hold])
        trip = taken(lambda: [ray.get(hold[0].run.remote(case, settings)) for _ in range(cases)], cases)
        together = taken(
            lambda: [ray.get([each.run.remote(case, settings) for each in hold]) for _ in range(cases // actors)],
            cases // actors * actors,
        )
        return RayCosts(cluster, actor, trip, together)
    finally:
        ray.shutdown()
