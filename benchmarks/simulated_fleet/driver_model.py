"""A driver, its store and its nodes as a discrete-event simulation. Pure: the same seed gives the same outcome.

The driver is one Python process with a thread for each node: one of them computes at a time. The records of a set are
appended to one file, one after another; appends to several files share the disk. A node computes the cases of a group
one by one, and goes on when the driver has written the record. A node that fails loses the case it computes; what its
group still lacks goes back to the queue. A driver that fails loses what is not on disk; the next one continues.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

#: The seconds of each case of a group, which one node measures in turn.
Group = tuple[float, ...]
_Steps = Generator[simpy.Event, Any, Any]


@dataclass(frozen=True, slots=True)
class Costs:
    """What driver and store take, in seconds. All zero is the ideal.

    Attributes:
        start_s: from asking for a node's actor until its worker is ready; the driver waits for many at once.
        start_cpu_s: the driver's own computation for that.
        trip_s: a case's message to the node and the answer back, beside computation of the driver.
        case_cpu_s: the driver's computation for a case: messages, record, progress.
        poll_every_s, poll_cpu_s: how often the driver asks a node that computes for its phase, and its own computation
            for that; 0 for never.
        most_polls_per_s: it asks all nodes together at most so often; 0 for no limit.
        append_s: one durable append to a file.
        disk_lanes: how many appends to different files the disk carries out at once.
        resume_s: what a driver takes to begin, or to continue after another one failed.
    """

    start_s: float = 0.0
    start_cpu_s: float = 0.0
    trip_s: float = 0.0
    case_cpu_s: float = 0.0
    poll_every_s: float = 0.0
    poll_cpu_s: float = 0.0
    most_polls_per_s: float = 0.0
    append_s: float = 0.0
    disk_lanes: int = 1
    resume_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Failures:
    """Mean seconds between the failures of a node, and of the driver, and how long a node is away; None for never."""

    node_every_s: float | None = None
    driver_every_s: float | None = None
    repair_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ResultSet:
    """A set of results that equal nodes share: the groups of its sweep in order, and how many nodes there are."""

    groups: tuple[Group, ...]
    nodes: int


@dataclass(slots=True)
class Outcome:
    """What a simulated run took.

    Attributes:
        wall_s: from the driver's beginning until the last record was on disk.
        written: how often each case was written, by set, group and place in the group.
        driver_busy_s: seconds in which the driver computed.
        waits_s: seconds from each answer's arrival at the driver until its record was on disk.
        lost_s: seconds that nodes had spent on cases that were lost.
        lost_cases: how many these were; each is computed again.
        node_failures, driver_failures: how often each happened.
    """

    wall_s: float = 0.0
    written: dict[tuple[int, int, int], int] = field(default_factory=dict)
    driver_busy_s: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    lost_s: float = 0.0
    lost_cases: int = 0
    node_failures: int = 0
    driver_failures: int = 0

    @property
    def driver_utilisation(self) -> float:
        """The share of the run in which the driver computed."""
        return self.driver_busy_s / self.wall_s if self.wall_s else 0.0

    @property
    def mean_wait_s(self) -> float:
        """How long a record waits on average until it is on disk."""
        return sum(self.waits_s) / len(self.waits_s) if self.waits_s else 0.0


def simulate(sets: Sequence[ResultSet], costs: Costs, failures: Failures | None = None, seed: int = 0) -> Outcome:
    """Run all sets side by side, and return what that took. Raises ValueError for a set without nodes."""
    if any(result_set.nodes < 1 for result_set in sets):
        raise ValueError("a set needs a node")
    return _Simulation(sets, costs, failures or Failures(), seed).run()


class _Queue:
    """The cases of one set that no node has, in tasks, and how many of the set are not on disk."""

    def __init__(self, env: simpy.Environment, result_set: ResultSet) -> None:
        groups = enumerate(result_set.groups)
        self.tasks = deque(_Task(number, tuple(enumerate(group))) for number, group in groups if group)
        self.missing = sum(len(task.cases) for task in self.tasks)
        self.file = simpy.Resource(env)
        self.changed = env.event()
        self._env = env

    def put_back(self, task: _Task) -> None:
        """Let another node have it next."""
        self.tasks.appendleft(task)
        self.wake()

    def wake(self) -> None:
        """Let the waiting nodes look again."""
        self.changed.succeed()
        self.changed = self._env.event()


@dataclass(frozen=True, slots=True)
class _Task:
    """What a group still lacks: the place of each case in it, and its seconds."""

    group: int
    cases: tuple[tuple[int, float], ...]


class _Simulation:
    def __init__(self, sets: Sequence[ResultSet], costs: Costs, failures: Failures, seed: int) -> None:
        self.env = simpy.Environment()
        self.costs, self.failures = costs, failures
        self.outcome = Outcome()
        self.queues = [_Queue(self.env, result_set) for result_set in sets]
        self.driver, self.disk = simpy.Resource(self.env), simpy.Resource(self.env, costs.disk_lanes)
        self.moments = random.Random(seed)  # noqa: S311 - figures, not secrets
        self.driver_up: simpy.Event = self.env.timeout(costs.resume_s)
        self.handlers: dict[simpy.Process | None, None] = {}
        self.finished = self.env.event()
        numbers = [number for number, result_set in enumerate(sets) for _ in range(result_set.nodes)]
        self.nodes = [self.env.process(self.node(number)) for number in numbers]
        self.poll_every_s = costs.poll_every_s
        if self.poll_every_s and costs.most_polls_per_s:
            self.poll_every_s = max(self.poll_every_s, len(self.nodes) / costs.most_polls_per_s)

    def run(self) -> Outcome:
        if not any(queue.missing for queue in self.queues):
            return self.outcome
        if self.failures.node_every_s is not None:
            for process in self.nodes:
                self.env.process(self.fail_node(process, self.failures.node_every_s))
        if self.failures.driver_every_s is not None:
            self.env.process(self.fail_driver(self.failures.driver_every_s))
        self.env.run(until=self.finished)
        self.outcome.wall_s = self.env.now
        return self.outcome

    def node(self, number: int) -> _Steps:
        """A node's life: start, measure until its set is complete, and begin again after each failure."""
        queue, back_at = self.queues[number], 0.0
        while queue.missing:
            try:
                yield self.env.timeout(max(0.0, back_at - self.env.now))
                yield self.driver_up
                yield from self.compute(self.costs.start_cpu_s)
                yield self.env.timeout(self.costs.start_s)
                while queue.missing:
                    if queue.tasks:
                        yield from self.measure(number, queue.tasks.popleft())
                    else:
                        yield queue.changed
            except simpy.Interrupt as failure:
                back_at = max(back_at, float(failure.cause or 0))

    def measure(self, number: int, task: _Task) -> _Steps:
        """Compute a task's cases one by one. If the node or the driver fails, the rest goes back to the queue."""
        rest = deque(task.cases)
        computing_since: float | None = None
        try:
            while rest:
                computing_since = self.env.now
                if self.poll_every_s:
                    self.env.process(self.poll(int(rest[0][1] / self.poll_every_s)))
                yield self.env.timeout(self.costs.trip_s + rest[0][1])
                computing_since = None
                answer = _Task(task.group, (rest.popleft(),))  # the driver has it: it is not the node's to lose
                handler = self.env.process(self.handle(number, answer))
                self.handlers[handler] = None
                yield handler
        except simpy.Interrupt:
            if computing_since is not None:
                self.lose(self.env.now - computing_since)
            if rest:
                self.queues[number].put_back(_Task(task.group, tuple(rest)))
            raise

    def handle(self, number: int, answer: _Task) -> _Steps:
        """Make and append the record of an answer. If the driver fails before that is done, the case is lost."""
        queue, ((place, case_s),), arrived = self.queues[number], answer.cases, self.env.now
        try:
            yield from self.compute(self.costs.case_cpu_s)
            with queue.file.request() as turn:
                yield turn
                with self.disk.request() as lane:
                    yield lane
                    yield self.env.timeout(self.costs.append_s)
        except simpy.Interrupt:
            self.lose(case_s)
            queue.put_back(answer)
            return
        finally:
            self.handlers.pop(self.env.active_process, None)
        key = (number, answer.group, place)
        self.outcome.written[key] = self.outcome.written.get(key, 0) + 1
        self.outcome.waits_s.append(self.env.now - arrived)
        queue.missing -= 1
        if not queue.missing:
            queue.wake()
            if not any(other.missing for other in self.queues):
                self.finished.succeed()

    def poll(self, times: int) -> _Steps:
        """Ask a node that computes for its phase, so often. The node goes on meanwhile."""
        for _ in range(times):
            yield self.env.timeout(self.poll_every_s)
            yield from self.compute(self.costs.poll_cpu_s)

    def compute(self, seconds: float) -> _Steps:
        """Let the driver compute, which one thread at a time can do."""
        with self.driver.request() as turn:
            yield turn
            begin = self.env.now
            try:
                yield self.env.timeout(seconds)
            finally:
                self.outcome.driver_busy_s += self.env.now - begin

    def lose(self, seconds: float) -> None:
        """Count a case that has to be computed again."""
        self.outcome.lost_cases += 1
        self.outcome.lost_s += seconds

    def fail_node(self, process: simpy.Process, every_s: float) -> _Steps:
        """Interrupt a node again and again, at moments of a Poisson process while it is there."""
        while True:
            yield self.env.timeout(self.moments.expovariate(1 / every_s))
            if not process.is_alive:
                return
            self.outcome.node_failures += 1
            process.interrupt(self.env.now + self.failures.repair_s)
            yield self.env.timeout(self.failures.repair_s)

    def fail_driver(self, every_s: float) -> _Steps:
        """Interrupt all that the driver does, and let it begin again."""
        while True:
            yield self.env.timeout(self.moments.expovariate(1 / every_s))
            self.outcome.driver_failures += 1
            self.driver_up = self.env.timeout(self.costs.resume_s)
            for process in (*self.handlers, *self.nodes):
                if process is not None and process.is_alive:
                    process.interrupt(0.0)
