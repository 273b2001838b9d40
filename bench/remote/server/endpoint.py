"""What one server holds and knows: its models, its device's thread, its limits, whether it is ready. Free of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.record import Device, Environment
from bench.remote.messages import RefusedError, Service
from bench.remote.server.auth import Bearer
from bench.remote.server.device_thread import DeviceThread
from bench.remote.server.limits import STOPPING, Admission, Bounds, BusyError
from bench.remote.server.metrics import Metrics
from bench.run import outcome, surroundings

AnyService = Service[Any, Any]


@dataclass(frozen=True, slots=True)
class Served:
    """A loaded model. `dtype` is the one it computes in; `max_pixels` and the like are told in `limits`."""

    model: str
    dtype: str
    weights_bytes: int
    services: Mapping[str, AnyService]


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
    def routes(self) -> dict[str, tuple[str, str]]:
        """Path -> model and operation. `/` stands for the only operation of the only model."""
        routes = {f"/{model}/{operation}": (model, operation) for model in self.models for operation in self.operations}
        return {**routes, "/": next(iter(routes.values()))} if len(routes) == 1 else routes


class Endpoint:
    """The state of a server. Used from the event loop alone."""

    def __init__(self, offer: Offer, bounds: Bounds, bearer: Bearer | None = None) -> None:
        self.offer, self.bounds, self.bearer = offer, bounds, bearer or Bearer()
        self.device = DeviceThread(bounds.queue)
        self.admission = Admission(bounds)
        #: Decode and encode bodies while the device computes.
        self.codecs = ThreadPoolExecutor(max(1, int(surroundings.usable_cores())), thread_name_prefix="codec")
        self.metrics = Metrics(
            lambda: self.device.waiting, lambda: self.admission.requests, lambda: self.not_ready is None
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
        return None if len(self.models) == len(self.offer.models) else "loading"

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
        if self.device.estimated_wait_s() > self.bounds.time_limit_s:
            text = f"The endpoint is busy: the queue takes longer than the limit of {self.bounds.time_limit_s:g} s."
            raise BusyError(f"{text} Try again later.", self.device.retry_after_s())

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
