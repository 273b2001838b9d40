"""What one server holds and knows: its models, its device's thread, its limits, whether it is ready. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.endpoint.auth import Bearer
from bench.endpoint.device_thread import DeviceThread, OverdueWork
from bench.endpoint.limits import STOPPING, Admission, Bounds, BusyError
from bench.endpoint.prometheus import Metrics
from bench.record import Device, Environment
from bench.run import outcome, surroundings
from bench.wire.messages import RefusedError, Service
from bench.workloads.image_vae.payloads import SERVED_UNTILED_PX

AnyService = Service[Any, Any]
#: The kind of the device's work that loads models.
LOADING = "load"
#: Sides of images are told in steps of so many pixels, which the factor of every model divides.
_SIDE_STEP = 64


def kind(model: str, operation: str) -> str:
    """The name under which the device's times of an operation are kept."""
    return f"{model}/{operation}"


def largest_side(fits: Callable[[int], bool]) -> int:
    """The longest side in pixels of an untiled square image that fits, in steps of 64; 0 if none does."""
    sides = range(_SIDE_STEP, SERVED_UNTILED_PX + 1, _SIDE_STEP)
    return next((side for side in reversed(sides) if fits(side)), 0)


@dataclass(frozen=True, slots=True)
class Served:
    """A loaded model.

    Attributes:
        dtype: the precision that it computes in.
        timed: of each operation's warm-up calls the seconds and floating-point operations.
        note: what a user should know of the precision.
    """

    model: str
    dtype: str
    weights_bytes: int
    services: Mapping[str, AnyService]
    timed: Mapping[str, Sequence[tuple[float, int]]] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the models are, and with what software; `check` does a trivial thing on the device, or raises."""

    device: Device
    environment: Environment
    check: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server was asked to serve: models, operations, the kind of weights, and how large requests may be.

    `limits` are those of one request, by name, as `/health` tells them.
    """

    models: Sequence[str]
    operations: Sequence[str]
    weights: str
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def routes(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Path -> model and operations; a model's own address has all of them, and tells them apart by what is sent.

        `/` stands for the only operation of the only model.
        """
        single = {
            f"/{model}/{operation}": (model, (operation,)) for model in self.models for operation in self.operations
        }
        routes = single | {f"/{model}": (model, tuple(self.operations)) for model in self.models}
        return {**routes, "/": next(iter(single.values()))} if len(single) == 1 else routes


class Endpoint:
    """The state of a server. Used from the event loop alone.

    Attributes:
        origins: of the web pages whose browsers may use it (CORS); empty: none.
    """

    def __init__(
        self, offer: Offer, bounds: Bounds, bearer: Bearer | None = None, origins: tuple[str, ...] = ()
    ) -> None:
        self.offer, self.bounds, self.bearer, self.origins = offer, bounds, bearer or Bearer(), origins
        self.device = DeviceThread(bounds.queue)
        self.admission = Admission(bounds)
        #: Decode and encode bodies while the device computes.
        self.codecs = ThreadPoolExecutor(max(1, int(surroundings.usable_cores())), thread_name_prefix="codec")
        self.metrics = Metrics(
            lambda: self.device.waiting,
            lambda: self.admission.requests,
            lambda: self.not_ready is None,
            lambda: self.device.running_s,
            lambda: self.overdue is not None,
        )
        self.models: dict[str, Served] = {}
        self.machine: Machine | None = None
        self.stopping = False
        #: Why the device can't be used any more.
        self.broken: str | None = None

    @property
    def not_ready(self) -> str | None:
        """Why requests are turned away now, in one word; None if they are not."""
        if self.stopping:
            return "stopping"
        if self.broken is not None:
            return "device_broken"
        if len(self.models) < len(self.offer.models):
            return "loading"
        return None if self.overdue is None else "device_stuck"

    @property
    def overdue(self) -> OverdueWork | None:
        """The running computation, if it takes far longer than expected, or than the limit. Loading a model may."""
        overdue = self.device.overdue(self.bounds.time_limit_s)
        return None if overdue is None or overdue.kind == LOADING else overdue

    def add(self, served: Served) -> None:
        """A model is there; its warm-up says how long computations take."""
        for operation, calls in served.timed.items():
            for seconds, flops in calls:
                self.device.learn(kind(served.model, operation), seconds, flops)
        self.models[served.model] = served

    def service(self, model: str, operation: str) -> AnyService:
        """The service of an operation. Raises RefusedError (503) if it can't be had now."""
        if self.stopping:
            raise BusyError(STOPPING, 5, "stopping")
        if self.broken is not None:
            raise RefusedError(503, f"The device does not work any more: {self.broken}", "device_broken")
        if model not in self.models:
            raise BusyError("The model is still being loaded. Try again later.", 5, "loading")
        return self.models[model].services[operation]

    def make_room(self) -> None:
        """Raises BusyError if a request that came now would not come to its turn."""
        self.device.check_room()
        late = self.device.estimated_wait_s() - self.bounds.time_limit_s
        if late > 0:
            text = f"The endpoint is busy: the queue takes longer than the limit of {self.bounds.time_limit_s:g} s."
            raise BusyError(f"{text} Try again later.", max(1, math.ceil(late)))

    def check_duration(self, model: str, operation: str, service: AnyService, flops: int) -> None:
        """Raises RefusedError (413) if computing so much takes longer than the time limit, even by a low estimate."""
        name, limit = kind(model, operation), self.bounds.time_limit_s
        if self.device.least_s(name, flops) <= limit:
            return
        likely = self.device.likely_s(name, flops)
        side = largest_side(lambda side: self.device.likely_s(name, service.square_flops(side)) <= limit)
        remedy = f"One image of {side}x{side} px fits." if side else "No image fits: raise --time-limit."
        raise RefusedError(
            413,
            f"{operation} would take about {likely:.0f} s here, judging by earlier requests; the limit is {limit:g} s. "
            f"{remedy}",
            "too_slow",
            {"estimate_s": round(likely, 1), "limit_s": limit, "largest_side": side},
        )

    async def check_device(self) -> None:
        """After a fault: see whether the device still does anything at all."""
        if self.machine is None:
            return
        try:
            await self.device.submit(self.machine.check, "check")
        except RefusedError:
            return  # no room to look now; the next fault will
        except Exception as error:  # noqa: BLE001 - whatever it is, the device does not work
            self.broken = outcome.brief(error)[:300]

    def close(self, timeout_s: float) -> bool:
        """End the threads. False if the device did not come to an end in time."""
        ended = self.device.close(timeout_s)
        self.codecs.shutdown(wait=False, cancel_futures=True)
        return ended
