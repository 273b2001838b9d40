"""What runs on a node for a card: it holds the executor whose worker measures. Ray makes an actor of it.

The worker stays a process of its own below the actor's, so that a case that crashes is a result, as it is elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from bench.core import identity
from bench.errors import BenchError
from bench.record import Case, MeasureSettings, Package, Phase
from bench.run.exclusive import ExclusiveExecutor
from bench.run.executor import WORKER, Executor, SubprocessExecutor
from bench.run.messages import Broken, Done, Ready

#: Which card Ray has chosen: the device's identity says that, and two equal cards must not differ by it.
_CHOSEN_BY_RAY = "CUDA_VISIBLE_DEVICES"
#: Ray sets this for its own workers, to the CPUs that they were promised.
_SET_BY_RAY = "OMP_NUM_THREADS"
#: The distribution that was shipped.
_SHIPPED = "hybrid-bench"


@dataclass(frozen=True, slots=True)
class CardOrder:
    """What an actor is to measure with.

    Attributes:
        device: `cuda`, of which there is one, or `cpu`.
        stands_in_for: the type of accelerator that a CPU stands in for.
        identity: made up for a stand-in with records of its own; None if the device has its own, or none.
        variables: those of the driver's environment that change figures.
        version, commit: those of the driver's program, which is shipped.
        command: the worker to start instead of the node's own.
    """

    device: str
    vram_limit_bytes: int | None = None
    stands_in_for: str | None = None
    identity: str | None = None
    variables: Mapping[str, str] | None = None
    version: str | None = None
    commit: str | None = None
    exclusive: bool = False
    command: tuple[str, ...] | None = None


class CardActor:
    """An Executor whose errors are values, because Ray wraps those that are raised."""

    def __init__(self, order: CardOrder) -> None:
        self._order = order
        self._phase: Phase | None = None
        self._waits: str | None = None
        os.environ.pop(_SET_BY_RAY, None)
        os.environ.update(order.variables or {})
        worker = SubprocessExecutor(order.device, order.vram_limit_bytes, order.command or WORKER)
        self._executor: Executor = ExclusiveExecutor(worker, self._wait) if order.exclusive else worker

    def place(self) -> int:
        """The process's id: an answer says that the card is there."""
        return os.getpid()

    def start(self) -> Ready | BenchError:
        """Take the device."""
        try:
            ready = self._executor.start()
        except BenchError as error:
            return error
        finally:
            self._waits = None
        return described(ready, self._order)

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float) -> Done | BenchError:
        """Measure one case."""
        try:
            return self._executor.run(case, measure, timeout_s, self._begin)
        except BenchError as error:
            return error
        finally:
            self._phase = None

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float
    ) -> tuple[Done, ...] | Broken | BenchError:
        """Measure cases whose calls alternate."""
        try:
            return self._executor.run_interleaved(cases, measure, timeout_s, self._begin)
        except BenchError as error:
            return error
        finally:
            self._phase = None

    def progress(self) -> tuple[Phase | None, str | None]:
        """The phase of the current case, and what the card waits for. Called while another method runs."""
        return self._phase, self._waits

    def _begin(self, phase: Phase) -> None:
        self._phase = phase

    def _wait(self, text: str) -> None:
        self._waits = text


def described(ready: Ready, order: CardOrder) -> Ready:
    """The worker's facts as records of a cluster state them.

    Equal cards must not differ by the number that Ray knows them by. The program is the driver's, whatever the node has
    installed.
    """
    environment = ready.environment
    variables = {name: value for name, value in environment.variables.items() if name != _CHOSEN_BY_RAY}
    packages = dict(environment.packages)
    if order.version is not None:
        packages[_SHIPPED] = Package(version=order.version)
    device, stand_in = ready.device, environment.stand_in
    if order.stands_in_for is not None:
        device = device.model_copy(update={"name": f"{device.name} (standing in for {order.stands_in_for})"})
        stand_in = f"a CPU, for {order.stands_in_for}"
    if order.identity is not None:
        device = device.model_copy(update={"identity": order.identity})
    changed = {
        "variables": variables,
        "packages": packages,
        "project_commit": order.commit or environment.project_commit,
        "stand_in": stand_in,
    }
    return ready.model_copy(update={"device": device, "environment": environment.model_copy(update=changed)})


def made_up_identity(node: str, number: int) -> str:
    """An identity for a stand-in, so that several on a cluster have records of their own."""
    return identity.of(f"{node}/{number}")


def shipped_version() -> str | None:
    """The version of this program; None if it was not installed."""
    try:
        return metadata.version(_SHIPPED)
    except metadata.PackageNotFoundError:
        return None
