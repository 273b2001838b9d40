"""The state of one server: its models, its device thread, its limits, and whether it is ready."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.endpoint.auth import Bearer
from bench.endpoint.device_thread import DeviceThread, OverdueWork
from bench.endpoint.limits import STOPPING, Admission, Bounds, BusyError
from bench.endpoint.prometheus import Metrics
from bench.errors import nearest
from bench.record import Device, Environment, Start
from bench.run import outcome, surroundings
from bench.wire.messages import PREDICT_PATH, RefusedError, Service
from bench.workloads import models

AnyService = Service[Any, Any]
#: The kind of device work that loads models.
LOADING = "load"


def kind(model: str, operation: str) -> str:
    """Return the name under which the device thread keeps an operation's times."""
    return f"{model}/{operation}"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded model.

    Attributes:
        dtype: the precision of its computations.
        timed: seconds and floating-point operations of each operation's warm-up calls.
        note: a remark for users on the precision.
        facts: what clients may want to know of it, by name: how latents relate to images, how many tokens it takes.
    """

    model: str
    dtype: str
    weights_bytes: int
    services: Mapping[str, AnyService]
    timed: Mapping[str, Sequence[tuple[float, int]]] = field(default_factory=dict)
    note: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """The device and its software. `check` computes something trivial on the device, and raises if that fails."""

    device: Device
    environment: Environment
    check: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """Models, operations and the kind of weights that a server offers.

    `operations` may name some that not every model has: `operations_of` says which a model has. `limits` are the limits
    on one request, by name, as `/health` shows them.
    """

    models: Sequence[str]
    operations: Sequence[str]
    weights: str
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def routes(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return each path's model and operations.

        A model's own address has all its operations, and a request's content decides between them. If there is only
        one operation of one model, `/` stands for it. A text encoder also answers at `/predict` below its address, as
        FLUX.2's does, and at `/predict` itself if no other is served.
        """
        single = {
            f"/{model}/{operation}": (model, (operation,))
            for model in self.models
            for operation in self.operations_of(model)
        }
        routes = single | {f"/{model}": (model, self.operations_of(model)) for model in self.models}
        predicting = [model for model in self.models if _has_predict(model)]
        routes |= {f"/{model}{PREDICT_PATH}": (model, self.operations_of(model)) for model in predicting}
        if len(predicting) == 1:
            routes[PREDICT_PATH] = (predicting[0], self.operations_of(predicting[0]))
        return {**routes, "/": next(iter(single.values()))} if len(single) == 1 else routes

    def operations_of(self, model: str) -> tuple[str, ...]:
        """Return the operations that are served of a model."""
        return tuple(name for name in models.workload(model).operations if name in self.operations)

    def instead_of(self, path: str, served: Iterable[str]) -> str:
        """Return a sentence that says which of the served paths to use instead of one that is not among them."""
        paths = list(served)
        name, _, rest = path.strip("/").partition("/")
        own = f"/{models.aliases().get(name)}/{rest}".rstrip("/")
        if own in paths:
            return f"{name} is served as {models.aliases()[name]}: send it to {own}."
        predicting = [page for page in paths if page.endswith(PREDICT_PATH)]
        if path == PREDICT_PATH and predicting:
            return f"There are several text encoders. Name one: {', '.join(predicting)}."
        return nearest(path, paths)


def _has_predict(model: str) -> bool:
    kind = models.workload(model)
    return any("predict" in kind.transports(name) for name in kind.operations)


class Endpoint:
    """The state of a server. Used only from the event loop.

    Attributes:
        origins: the origins of web pages that may use it from a browser (CORS); empty: none.
    """

    def __init__(
        self, offer: Offer, bounds: Bounds, bearer: Bearer | None = None, origins: tuple[str, ...] = ()
    ) -> None:
        self.offer, self.bounds, self.bearer, self.origins = offer, bounds, bearer or Bearer(), origins
        self.device = DeviceThread(bounds.queue)
        self.admission = Admission(bounds)
        #: Threads that decode and encode bodies while the device computes.
        self.codecs = ThreadPoolExecutor(max(1, int(surroundings.usable_cores())), thread_name_prefix="codec")
        self.metrics = Metrics(
            lambda: self.device.waiting,
            lambda: self.admission.requests,
            lambda: self.not_ready is None,
            lambda: self.device.running_s,
            lambda: self.overdue is not None,
        )
        self.models: dict[str, LoadedModel] = {}
        self.machine: Machine | None = None
        #: How long this server took to become ready; None until it is, or if the system does not tell.
        self.start: Start | None = None
        self.stopping = False
        #: The error that broke the device for good; None while it works.
        self.broken: str | None = None

    @property
    def not_ready(self) -> str | None:
        """Why requests are refused now, in one word; None if they are served."""
        if self.stopping:
            return "stopping"
        if self.broken is not None:
            return "device_broken"
        if len(self.models) < len(self.offer.models):
            return "loading"
        return None if self.overdue is None else "device_stuck"

    @property
    def overdue(self) -> OverdueWork | None:
        """The running computation if it takes far longer than expected, or than the limit. Loading is never overdue."""
        overdue = self.device.overdue(self.bounds.time_limit_s)
        return None if overdue is None or overdue.kind == LOADING else overdue

    def add(self, served: LoadedModel) -> None:
        """Serve a loaded model, and learn from its warm-up how long computations take."""
        for operation, calls in served.timed.items():
            for seconds, flops in calls:
                self.device.learn(kind(served.model, operation), seconds, flops)
        self.models[served.model] = served

    def service(self, model: str, operation: str) -> AnyService:
        """Return the service of an operation. Raises RefusedError (503) if it can't be used now."""
        if self.stopping:
            raise BusyError(STOPPING, 5, "stopping")
        if self.broken is not None:
            raise RefusedError(503, self.broken_message, "device_broken")
        if model not in self.models:
            raise BusyError("The model is still being loaded. Try again later.", 5, "loading")
        return self.models[model].services[operation]

    @property
    def broken_message(self) -> str:
        """The error message for a broken device."""
        return f"The device has stopped working: {(self.broken or '').rstrip('.')}. Restart the endpoint."

    def check_waiting_time(self) -> None:
        """Raises BusyError if a request that arrives now could not be computed within the time limit."""
        self.device.check_room()
        late = self.device.estimated_wait_s() - self.bounds.time_limit_s
        if late > 0:
            text = (
                f"The endpoint is busy: its queue takes longer than the time limit of {self.bounds.time_limit_s:g} s."
            )
            raise BusyError(f"{text} Try again later.", max(1, math.ceil(late)))

    def is_too_slow(self, model: str, operation: str, flops: int) -> bool:
        """Whether computing `flops` takes longer than the time limit, even by a low estimate."""
        return self.device.least_s(kind(model, operation), flops) > self.bounds.time_limit_s

    def too_slow(self, model: str, operation: str, request: Any, flops: int) -> RefusedError:
        """Return the refusal (413) of a request that takes too long. May be called on any thread; may take seconds."""
        name, limit = kind(model, operation), self.bounds.time_limit_s
        likely = self.device.likely_s(name, flops)
        service = self.models[model].services[operation]
        largest = service.largest(request, lambda flops: self.device.likely_s(name, flops) <= limit)
        return RefusedError(
            413,
            f"Earlier requests show that this {operation} would take about {likely:.0f} s; the limit is {limit:g} s. "
            f"{largest.text}",
            "too_slow",
            {"estimate_s": round(likely, 1), "limit_s": limit, **largest.figures},
        )

    async def check_device(self) -> None:
        """Check after an error whether the device still works, and mark it as broken if it does not."""
        if self.machine is None:
            return
        try:
            await self.device.submit(self.machine.check, "check")
        except RefusedError:
            return  # no room for the check now; the next error triggers another
        except Exception as error:  # noqa: BLE001 - whatever it is, the device does not work
            self.broken = outcome.brief(error)[:300]

    def close(self, timeout_s: float) -> bool:
        """End the threads. Returns False if the device's thread did not end in time."""
        ended = self.device.close(timeout_s)
        self.codecs.shutdown(wait=False, cancel_futures=True)
        return ended
