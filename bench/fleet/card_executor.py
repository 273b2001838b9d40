"""The driver's side of a card: an Executor over an actor on a node of the cluster."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.errors import BenchError, CancelledError, ClusterError, ExecutorLostError, WorkerError
from bench.fleet.card_actor import CardActor, CardOrder
from bench.fleet.card_types import TYPE_RESOURCE, Card
from bench.fleet.ray_messages import last_line
from bench.record import Case, Measured, MeasureSettings
from bench.run.many_runs import Company
from bench.run.messages import Broken, Done, Ready
from bench.run.outcome import OnPhase

#: After so many seconds without a free card the user is told.
_PATIENCE_S = 10.0
#: How often a case that runs is asked for its phase, and how long an answer may take.
POLL_S, _POLL_TIMEOUT_S = 0.5, 5.0
#: The actor's second thread, which answers while a case runs.
_WATCH = "watch"


class CardExecutor:
    """An Executor over an actor of its own on a card, which Ray reserves for it.

    The actor is created when it is first started, and ends with `close`, or with this process.
    """

    def __init__(
        self,
        card: Card,
        order: CardOrder,
        tell: Callable[[str], None],
        company: Company,
        *,
        poll_s: float = POLL_S,
        check: Callable[[Ready], None] = lambda _: None,
    ) -> None:
        """`tell` is called with what the card waits for; `company` knows which cards of its machine measure.

        A case is asked for its phase every `poll_s` seconds. `check` raises BenchError for a device that may not
        measure.
        """
        self._card, self._order, self._tell, self._company = card, order, tell, company
        self._poll_s, self._check = poll_s, check
        self._ready: Ready | None = None
        self._actor: Any = None
        self._told: str | None = None
        self._is_cancelled = threading.Event()

    def start(self) -> Ready:
        """Wait until Ray has the card free, and take it.

        Raises ExecutorLostError if the node is lost, CancelledError after `cancel`, what the worker's start raises,
        with the node's name, and what `check` raises.
        """
        self._refuse_if_cancelled()
        if self._ready is not None and not self._order.exclusive:
            return self._ready  # without a round trip before each case
        if self._actor is None:
            self._actor = self._create()
            if self._is_cancelled.is_set():  # meanwhile
                self.close()
                self._refuse_if_cancelled()
            placed = self._live.place.remote()
            if not self._wait(placed, _PATIENCE_S):
                self._tell_once(f"Waiting for {self._card.name}: it is in use, or Ray is still preparing it.")
            self._get(placed)
        ready: Ready = self._asked(self._live.start.remote(), lambda _: None)
        self._check(ready)
        self._ready = ready
        return ready

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        with self._beside() as warnings:
            done: Done = self._asked(self._live.run.remote(case, measure, timeout_s), on_phase)
            self._forget_worker_after((done,))
            return _warned(done, warnings())

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        with self._beside() as warnings:
            results: tuple[Done, ...] | Broken
            results = self._asked(self._live.run_interleaved.remote(tuple(cases), measure, timeout_s), on_phase)
            self._forget_worker_after(() if isinstance(results, Broken) else results)
            return results if isinstance(results, Broken) else tuple(_warned(done, warnings()) for done in results)

    def close(self) -> None:
        """End the actor, and with it its worker, at once."""
        actor, self._actor, self._ready = self._actor, None, None
        if actor is not None:
            with contextlib.suppress(RayError, ConnectionError, ValueError):
                ray.kill(actor)

    def cancel(self) -> None:
        """End everything at once, and start nothing more: what waits in another thread raises CancelledError."""
        self._is_cancelled.set()
        self.close()

    @property
    def _live(self) -> Any:
        self._refuse_if_cancelled()
        if self._actor is None:
            raise ExecutorLostError(f"{self._card.name} was given back.")
        return self._actor

    def _forget_worker_after(self, results: Sequence[Done]) -> None:
        """Start the worker again unless it has measured everything: otherwise its executor has ended it."""
        if not results or any(not isinstance(done.outcome, Measured) or done.leaked_bytes for done in results):
            self._ready = None

    @contextlib.contextmanager
    def _beside(self) -> Iterator[Callable[[], tuple[str, ...]]]:
        """Be one of those that measure on this machine. Yields the warnings about the others."""
        self._company.begin_case(self._card.name)
        try:
            yield lambda: self._company.warnings(self._card.name)
        finally:
            self._company.end_case(self._card.name)

    def _create(self) -> Any:
        """Ask Ray for an actor on the card's node. It begins when the card is free."""
        node = NodeAffinitySchedulingStrategy(self._card.node.id, soft=False)
        make = ray.remote(concurrency_groups={_WATCH: 1}, max_restarts=0, max_task_retries=0)(CardActor)
        return make.options(scheduling_strategy=node, **resources(self._card)).remote(self._order)

    def _asked(self, reference: Any, on_phase: OnPhase) -> Any:
        """The actor's answer; meanwhile pass its phases on. Raises the error that the answer is."""
        shown = None
        while not self._wait(reference, self._poll_s):
            phase, waits = self._progress()
            if phase is not None and phase != shown:
                on_phase(phase)
                shown = phase
            if waits is not None:
                self._tell_once(waits)
        answer = self._get(reference)
        if isinstance(answer, BenchError):
            raise type(answer)(f"Node {self._card.name}: {answer}")
        return answer

    def _progress(self) -> tuple[Any, str | None]:
        """The actor's phase, and what it waits for. That it is lost is seen elsewhere."""
        actor = self._actor
        if actor is None:
            return None, None
        try:
            reference = actor.progress.options(concurrency_group=_WATCH).remote()
            phase, waits = ray.get(reference, timeout=_POLL_TIMEOUT_S)
        except (GetTimeoutError, RayError, ConnectionError, ValueError):
            return None, None
        return phase, waits

    def _wait(self, reference: Any, timeout_s: float) -> bool:
        """Whether there is an answer, or an error, within the time."""
        try:
            ready, _ = ray.wait([reference], timeout=timeout_s)
        except (RayError, ConnectionError, ValueError):  # the client has lost its server
            return True
        return bool(ready)

    def _get(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except RuntimeEnvSetupError as error:
            raise ClusterError(f"Node {self._card.name} could not be given this program: {_brief(error)}.") from None
        except RayTaskError as error:
            raise WorkerError(f"Node {self._card.name}: {_brief(error.cause or error)}.") from None
        except (RayError, ConnectionError, ValueError):
            self._refuse_if_cancelled()
            self.close()  # what is only unavailable must not go on measuring
            raise ExecutorLostError(
                f"Node {self._card.name} was lost.", "Finished cases are kept; repeat the command to continue."
            ) from None

    def _refuse_if_cancelled(self) -> None:
        if self._is_cancelled.is_set():
            raise CancelledError("The run was cancelled.")

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._tell(text)


def resources(card: Card) -> Mapping[str, Any]:
    """What an actor asks Ray for, so that the card is its own.

    A GPU; or, of a CPU, the resource that declares an accelerator that is not there; else all its processors.
    """
    node = card.node
    if node.gpus:
        return {"num_cpus": 0, "num_gpus": 1}
    if node.declared and node.type_amount:
        return {"num_cpus": 0, "resources": {f"{TYPE_RESOURCE}{node.declared}": node.type_amount}}
    return {"num_cpus": node.cpus}


def _warned(done: Done, warnings: Sequence[str]) -> Done:
    return done.model_copy(update={"warnings": (*done.warnings, *warnings)})


def _brief(error: BaseException) -> str:
    return last_line(str(error), type(error).__name__).rstrip(".")
