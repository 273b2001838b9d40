"""An Executor that measures the cases of an endpoint, with the scheduler, files and resume of `run`."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import packages
from bench.config import LoadSettings, OverlapSettings
from bench.errors import BenchError
from bench.plan import Served
from bench.record import (
    Case,
    Device,
    EndpointFacts,
    Environment,
    Load,
    MeasureSettings,
    Outcome,
    Overlap,
    Remote,
    Skipped,
    Stage,
    TimedOut,
)
from bench.remote import endpoint, failures, load, proxies
from bench.remote import overlap_rounds as overlap
from bench.remote.leash import Leash
from bench.remote.reachability import ReachabilityCheck
from bench.run.messages import Broken, Done, Ready
from bench.run.outcome import OnPhase, PhaseTracker
from bench.wire.address import Endpoints, Redactor, Token
from bench.workloads import models

if TYPE_CHECKING:
    from bench.remote.callers import CaseRequest

_ASSUMED = ("weights", "dtype", "tiling")
_ONLY_ADDRESS = "only the address of the endpoint is known, not its server"


@dataclass(frozen=True, slots=True)
class Options:
    """The endpoint's name, and what to measure beside its cases."""

    name: str | None = None
    load: LoadSettings | None = None
    overlap: OverlapSettings | None = None
    #: Whether the endpoint was started for this run. It is then named after its device.
    loopback: bool = False
    #: Called with a message for the user if there is something to wait for.
    say: Callable[[str], None] = lambda _: None


class EndpointExecutor:
    """An Executor over HTTP. An endpoint's error becomes the outcome of a case, not an exception."""

    def __init__(self, endpoints: Endpoints, token: Token | None, options: Options = Options()) -> None:
        self._endpoints, self._token, self._options = endpoints, token, options
        self._redact = Redactor(endpoints, token)
        self._leash = Leash()
        self._reachability = ReachabilityCheck(self._leash, self._redact)
        self._ready: Ready | None = None
        self._info: endpoint.EndpointInfo | None = None
        for address in endpoints.addresses:
            proxies.spare(address)

    def check_reach(self, keys: Sequence[str], operations: Sequence[str] | None) -> None:
        """Check, before anything slow, that the first address of these models and operations answers.

        Raises EndpointError if it does not.
        """
        addresses = (
            self._endpoints.of(key, operation)
            for key in keys
            for operation in operations or models.workload(key).operations
        )
        first = next((address for address in addresses if address is not None), None)
        if first is not None:
            self._reachability.check(first, math.inf)

    def start(self) -> Ready:
        """Ask the endpoint for its information. If that fails, no error is raised, because each case will report it.

        Raises BenchError if a package that the client needs is missing or broken.
        """
        if self._ready is None:
            self._ask()
            self._ready = Ready(
                device=Device(kind="endpoint", name=self._name()),
                environment=_environment(),
                note=self.note(),
                endpoint=self._info.facts if self._info else None,
                addresses={
                    f"{model}/{operation}": at.shown for (model, operation), at in self._endpoints.single.items()
                },
                client="bench" if self._token else "diffusers",
            )
            gc.collect()
            gc.freeze()  # else collecting all imported objects would be part of some request's time
        return self._ready

    def served(self, keys: Sequence[str]) -> Mapping[str, Served]:
        """Return the weights and precision of these models at the endpoint, assumed if the endpoint does not say."""
        self._ask()
        # a model that is not served is taken to have the weights of the others
        usual = next((offer.weights for offer in self._offered.values()), "hub")
        served = {}
        for key in keys:
            offer = self._offered.get(key)
            dtype = (offer.dtype if offer else None) or models.get(key).dtype
            served[key] = Served(offer.weights if offer else usual, dtype)
        return served

    def note(self) -> str | None:
        """Return a remark for the user on the endpoint; None if there is nothing to say."""
        self._ask()
        if self._info is None:
            return None
        if self._info.problem:
            return f"{self._info.problem} All cases are tried nevertheless."
        if self._info.token_required and self._token is None:
            return "The endpoint needs a token. Put it into the environment variable that --token-env names."
        noise = any(offer.weights == "random" for offer in self._offered.values())
        return "The endpoint has random weights: its results are noise, for measuring only." if noise else None

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        """Measure one case: sequential requests within `timeout_s` seconds, then overlap and load with their own times.

        Raises EndpointError if nothing answers at the address, because all other cases would fail too.
        """
        self.start()
        skip_reason = self._skip_reason(case)
        address = self._endpoints.of(case.model, case.operation, case.transport)
        if skip_reason or address is None:
            return Done(outcome=Skipped(reason=skip_reason or "no address was given for it"), remote=self._remote(case))
        enter = PhaseTracker(on_phase)
        try:
            return self._measure(case, measure, timeout_s, enter)
        except failures.RequestError as error:
            outcome: Outcome = error.outcome.model_copy(update={"phase": enter.phase})
        except TimeoutError:
            outcome = TimedOut(timeout_s=timeout_s, phase=enter.phase)
        return Done(outcome=outcome, remote=self._remote(case), assumed=self._assumed(case))

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        """Return Broken: cases of an endpoint are not interleaved. Their clients are, within each case."""
        return Broken(reason="cases of an endpoint are measured one by one")

    def close(self) -> None:
        """End the thread that sends the requests."""
        self._leash.close()

    def _ask(self) -> None:
        """Ask the endpoint for its information, once, if it has an address for all models. Needs httpx2, not torch."""
        if self._info is None and self._endpoints.base is not None:
            self._info = endpoint.ask(self._endpoints.base, self._token, self._redact, self._leash, self._options.say)

    def _measure(self, case: Case, measure: MeasureSettings, timeout_s: float, enter: OnPhase) -> Done:
        from bench.remote import callers, exchanges, request_body, warm  # noqa: PLC0415 - load torch and diffusers

        address = self._endpoints.of(case.model, case.operation, case.transport)
        assert address is not None  # noqa: S101 - `run` has checked it
        enter("load")
        self._reachability.check(address, time.monotonic() + timeout_s)
        warm.warm(case)
        payload = request_body.make(case)
        request = callers.CaseRequest(
            address=address,
            payload=payload,
            token=self._token,
            redact=self._redact,
            timeout_s=timeout_s,
            deadline=time.monotonic() + timeout_s,
        )
        enter("warm-up")
        sequential = exchanges.measure(request, measure, self._leash, lambda: enter("run"))
        overlaps, overlap_warnings = self._overlaps(request, case, sequential.exchanges[0].timing.median_s)
        loads, load_warnings = self._loads(request, case)
        tiles = sequential.tiles if case.tile else None
        proxy = proxies.of(address)
        return Done(
            stages=(Stage(name=case.operation, timing=sequential.exchanges[0].timing, tiles=tiles),),
            remote=self._remote(
                case,
                request_bytes=sequential.request_bytes,
                response_bytes=sequential.response_bytes,
                content=payload.content,
                checked=sequential.checked,
                exchanges=sequential.exchanges,
                overlaps=overlaps,
                loads=loads,
            ),
            assumed=self._assumed(case),
            warnings=(
                *sequential.warnings,
                *self._other_tiling(case, sequential.tiles),
                *((f"requests go through the proxy {proxy} that the environment names",) if proxy else ()),
                *overlap_warnings,
                *load_warnings,
            ),
        )

    def _other_tiling(self, case: Case, tiles: int | None) -> tuple[str, ...]:
        """Return a warning if the endpoint reports other tiling than the case has. It may also report nothing."""
        if case.tile is None and tiles is not None:
            return (f"the case is untiled, but the endpoint reports that it computed {tiles} tiles",)
        if case.tile is not None and tiles is None and not self._assumed(case):
            return ("the case is tiled, but the endpoint reports that it computed the image untiled",)
        return ()

    def _overlaps(
        self, request: CaseRequest, case: Case, request_s: float
    ) -> tuple[tuple[Overlap, ...], tuple[str, ...]]:
        """Measure the overlaps of the options. Returns them and warnings; `request_s` is the median request."""
        settings = self._options.overlap
        if settings is None or not settings.of(case):
            return (), ()
        from bench.remote.callers import Decoder  # noqa: PLC0415 - loads torch

        return overlap.measure(lambda: Decoder(request, settings.timeout), settings, request_s)

    def _loads(self, request: CaseRequest, case: Case) -> tuple[tuple[Load, ...], tuple[str, ...]]:
        """Measure the loads of the options. Returns them and warnings."""
        settings = self._options.load
        if settings is None or not settings.of(case.transport):
            return (), ()
        post, most_bytes = request.payload.post(request.address), request.payload.max_response_bytes
        return load.measure(load.RepeatedRequest(post, request.token, settings.timeout, most_bytes), settings)

    @property
    def _offered(self) -> Mapping[str, endpoint.OfferedModel]:
        """The endpoint's models by key; empty if they are unknown."""
        return (self._info.models if self._info else None) or {}

    def _remote(self, case: Case, **figures: Any) -> Remote:
        """Return the facts of the case's endpoint, and the figures of its requests."""
        if self._info is not None:
            return Remote(endpoint=self._info.facts, **figures)
        address = self._endpoints.of(case.model, case.operation, case.transport)
        reason = _ONLY_ADDRESS if address else "no address was given"
        return Remote(endpoint=EndpointFacts(url=address.shown if address else "", reason=reason), **figures)

    def _assumed(self, case: Case) -> tuple[str, ...]:
        """Return the fields of the case that the endpoint does not report."""
        return () if case.model in self._offered else _ASSUMED

    def _skip_reason(self, case: Case) -> str | None:
        """Return why the case can't be measured here; None if it can."""
        if self._endpoints.base is None:
            if self._endpoints.of(case.model, case.operation) is None:
                return f"no --endpoint {case.model}/{case.operation}=URL was given"
            known = self._endpoints.of(case.model, case.operation, case.transport) is not None
            return None if known else f"the address that was given does not answer over {case.transport}"
        if self._info is None or self._info.models is None:
            return None  # it may answer later
        offer = self._info.models.get(case.model)
        if offer is None:
            return f"the endpoint does not serve {case.model}"
        return None if case.operation in offer.routes else f"the endpoint does not serve {case.operation}"

    def _name(self) -> str:
        """Return the endpoint's name as a device."""
        server = self._info.facts.server_device if self._info else None
        if self._options.name is None and self._options.loopback and server:
            return f"loopback on {server.name}"
        return self._options.name or self._endpoints.name


def _environment() -> Environment:
    """Return the client's environment: this machine and its packages. Raises BenchError if one can't be used."""
    packages.load("`bench remote`", packages.REMOTE)
    from bench.device.base import DeviceSoftware  # noqa: PLC0415 - with the others
    from bench.run.worker import environment_capture  # noqa: PLC0415 - loads torch

    try:
        from diffusers.utils.remote_utils import prepare_decode, prepare_encode  # noqa: F401, PLC0415 - takes seconds
    except ImportError:
        raise BenchError(
            "The installed diffusers has no client for hybrid inference. Update it: pip install -U diffusers"
        ) from None
    return environment_capture.collect(DeviceSoftware(), None)
