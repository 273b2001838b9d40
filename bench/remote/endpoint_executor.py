"""Measures the cases of an endpoint, as an Executor of `run`: the same scheduler, files and resume serve both.

Loads torch (the payloads are tensors), in the process of `bench remote` itself.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    Phase,
    Remote,
    Skipped,
    Stage,
    TimedOut,
)
from bench.remote import endpoint, load, proxies, trouble
from bench.remote import overlap_rounds as overlap
from bench.remote.http import library
from bench.remote.leash import Leash
from bench.remote.reachability import Reach
from bench.run.messages import Broken, Done, Ready
from bench.wire.address import Address, Discretion, Endpoints, Token
from bench.workloads import models

if TYPE_CHECKING:
    from bench.remote import exchanges

OnPhase = Callable[[Phase], None]
_ASSUMED = ("weights", "dtype", "tiling")


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured of an endpoint besides its cases, and under which name."""

    name: str | None = None
    load: LoadSettings | None = None
    overlap: OverlapSettings | None = None
    #: Whether the endpoint was started for this run: it is then named after what it runs on.
    loopback: bool = False
    #: Is told what a person should know while this waits.
    say: Callable[[str], None] = lambda _: None


class EndpointExecutor:
    """An Executor over HTTP. What the endpoint does wrong is a case's outcome, never an exception."""

    def __init__(self, endpoints: Endpoints, token: Token | None, options: Options = Options()) -> None:
        self._endpoints, self._token, self._options = endpoints, token, options
        self._discretion = Discretion(endpoints, token)
        self._leash = Leash()
        self._reach = Reach(self._leash, self._discretion)
        self._ready: Ready | None = None
        self._told: endpoint.Told | None = None
        for address in endpoints.addresses:
            proxies.spare(address)

    def check_reach(self, keys: Sequence[str], operations: Sequence[str] | None) -> None:
        """Ask, before anything slow, whether the first address of these models and operations answers.

        Raises EndpointError where it does not.
        """
        addresses = (self._endpoints.of(key, operation) for key in keys for operation in operations or _own(key))
        first = next((address for address in addresses if address is not None), None)
        if first is not None:
            self._reach.check(first, math.inf)

    def start(self) -> Ready:
        """Ask the endpoint what it is. One that can't be asked is no error: each case will say so.

        Raises BenchError if this machine lacks what a client needs.
        """
        if self._ready is None:
            if self._endpoints.base is not None:
                self._told = endpoint.ask(
                    self._endpoints.base, self._token, self._discretion, self._leash, self._options.say
                )
            self._ready = Ready(
                device=Device(kind="endpoint", name=self._name()),
                environment=_environment(),
                note=self._note(),
                endpoint=self._told.facts if self._told else None,
                addresses={
                    f"{model}/{operation}": at.shown for (model, operation), at in self._endpoints.single.items()
                },
                client="bench" if self._token else "diffusers",
            )
            gc.collect()
            gc.freeze()  # a collection of all that was imported would be part of some request's time
        return self._ready

    def served(self, keys: Sequence[str]) -> Mapping[str, Served]:
        """What the endpoint computes these models with; where it does not tell, what is assumed of it."""
        self.start()
        offered = (self._told.models if self._told else None) or {}
        found = {}
        for key in keys:
            spec, offer = models.get(key), offered.get(key)
            weights = offer.weights if offer else self._usual_weights(offered)
            found[key] = Served(weights, (offer.dtype if offer else None) or spec.dtype)
        return found

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        """Measure one case: requests one after another within `timeout_s` seconds, then overlap and load, whose time is
        their own.

        Raises EndpointError where nothing answers at the address: no other case would fare better.
        """
        self.start()
        why_not = self._why_not(case)
        address = self._endpoints.of(case.model, case.operation)
        if why_not or address is None:
            return Done(outcome=Skipped(reason=why_not or "no address was given for it"), remote=self._remote(case))
        phase: Phase = "load"

        def enter(next_phase: Phase) -> None:
            nonlocal phase
            phase = next_phase
            on_phase(next_phase)

        try:
            return self._measure(case, measure, timeout_s, enter)
        except trouble.TroubleError as error:
            outcome: Outcome = error.outcome.model_copy(update={"phase": phase})
        except TimeoutError:
            outcome = TimedOut(timeout_s=timeout_s, phase=phase)
        return Done(outcome=outcome, remote=self._remote(case), assumed=self._assumed(case))

    def take_turns(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        """Cases of an endpoint do not take turns; their clients do, within each case."""
        return Broken(reason="cases of an endpoint are measured one by one")

    def close(self) -> None:
        """Let the thread of the requests end."""
        self._leash.close()

    def _measure(self, case: Case, measure: MeasureSettings, timeout_s: float, enter: OnPhase) -> Done:
        from bench.remote import exchanges, request_body, warm  # noqa: PLC0415 - load torch and diffusers

        address = self._endpoints.of(case.model, case.operation)
        assert address is not None  # noqa: S101 - `run` has seen to it
        enter("load")
        self._reach.check(address, time.monotonic() + timeout_s)
        warm.warm()
        made = request_body.make(case)
        call = exchanges.Call(
            address=address,
            payload=made,
            token=self._token,
            discretion=self._discretion,
            timeout_s=timeout_s,
            deadline=time.monotonic() + timeout_s,
        )
        enter("warm-up")
        sequential = exchanges.measure(call, measure, self._leash, lambda: enter("run"))
        overlaps, heard = self._overlaps(call, case, sequential.exchanges[0].timing.median_s)
        loads, notes = self._loads(call, case)
        return Done(
            stages=(
                Stage(
                    name=case.operation,
                    timing=sequential.exchanges[0].timing,
                    tiles=sequential.tiles if case.tile else None,
                ),
            ),
            remote=self._remote(case).model_copy(
                update={
                    "request_bytes": sequential.request_bytes,
                    "response_bytes": sequential.response_bytes,
                    "content": made.content,
                    "checked": sequential.checked,
                    "exchanges": sequential.exchanges,
                    "overlaps": overlaps,
                    "loads": loads,
                }
            ),
            assumed=self._assumed(case),
            warnings=(
                *sequential.warnings,
                *self._other_tiling(case, sequential.tiles),
                *_proxied(address),
                *heard,
                *notes,
            ),
        )

    def _other_tiling(self, case: Case, tiles: int | None) -> tuple[str, ...]:
        """A warning where the endpoint says that it tiled otherwise than the case is named; one may say nothing."""
        if case.tile is None and tiles is not None:
            return (f"the case is named untiled, and the endpoint says that it computed {tiles} tiles",)
        if case.tile is not None and tiles is None and not self._assumed(case):
            return ("the case is named tiled, and the endpoint says that it computed the image at once",)
        return ()

    def _overlaps(
        self, call: exchanges.Call, case: Case, request_s: float
    ) -> tuple[tuple[Overlap, ...], tuple[str, ...]]:
        """The overlaps that were asked for, and what a reader should know of them; `request_s` is the median."""
        settings = self._options.overlap
        if settings is None or not settings.of(case):
            return (), ()
        from bench.remote.callers import Decoder  # noqa: PLC0415 - loads torch

        return overlap.measure(lambda: Decoder(call, settings.timeout), settings, request_s)

    def _loads(self, call: exchanges.Call, case: Case) -> tuple[tuple[Load, ...], tuple[str, ...]]:
        """The loads that were asked for, and what a reader should know of them."""
        settings = self._options.load
        if settings is None or not settings.of(case.transport):
            return (), ()
        from bench.remote.exchanges import load_target  # noqa: PLC0415 - loads torch

        return load.measure(load_target(call, settings.timeout), settings)

    def _remote(self, case: Case) -> Remote:
        return Remote(endpoint=self._facts(case))

    def _facts(self, case: Case) -> EndpointFacts:
        if self._told is not None:
            return self._told.facts
        address = self._endpoints.of(case.model, case.operation)
        return endpoint.unknown(address) if address else EndpointFacts(url="", reason="no address was given")

    def _assumed(self, case: Case) -> tuple[str, ...]:
        """The fields of the case that the endpoint does not tell."""
        offered = (self._told.models if self._told else None) or {}
        return () if case.model in offered else _ASSUMED

    def _usual_weights(self, offered: Mapping[str, endpoint.Offered]) -> str:
        """A model that is not served is named after those that are; those of an unknown endpoint are real ones."""
        return next((offer.weights for offer in offered.values()), "hub")

    def _why_not(self, case: Case) -> str | None:
        """Why the case can't be measured here at all; None if it can."""
        if self._endpoints.base is None:
            known = self._endpoints.of(case.model, case.operation) is not None
            return None if known else f"no --endpoint {case.model}/{case.operation}=URL was given"
        if self._told is None or self._told.models is None:
            return None  # it may answer by then
        offer = self._told.models.get(case.model)
        if offer is None:
            return f"the endpoint does not serve {case.model}"
        return None if case.operation in offer.operations else f"the endpoint does not serve {case.operation}"

    def _name(self) -> str:
        """What the endpoint is called as a device."""
        server = self._told.facts.server_device if self._told else None
        if self._options.name is None and self._options.loopback and server:
            return f"loopback on {server.name}"
        return self._options.name or self._endpoints.name

    def _note(self) -> str | None:
        if self._told is None:
            return None
        if self._told.trouble:
            return f"{self._told.trouble} The cases will be tried all the same."
        if self._told.token_required and self._token is None:
            return "the endpoint wants a token: put it in the environment variable that --token-env names."
        noise = any(offer.weights == "random" for offer in (self._told.models or {}).values())
        return "the endpoint's weights are random: it serves noise, for measuring only." if noise else None


def _proxied(address: Address) -> tuple[str, ...]:
    """A warning where requests do not go straight to the endpoint."""
    proxy = proxies.of(address)
    return (f"requests go through {proxy}, which the environment names as a proxy",) if proxy else ()


def _environment() -> Environment:
    """The client's: this machine, and the packages that make and read the bytes. Raises BenchError."""
    library()
    from bench.device.base import DeviceSoftware  # noqa: PLC0415 - with the others
    from bench.run.worker import environment_capture  # noqa: PLC0415 - loads torch

    try:
        from diffusers.utils.remote_utils import prepare_decode, prepare_encode  # noqa: F401, PLC0415 - takes seconds
    except ImportError:
        raise BenchError(
            "This diffusers has no client for hybrid inference. Update it: pip install -U diffusers"
        ) from None
    return environment_capture.collect(DeviceSoftware(), None)


def _own(key: str) -> tuple[str, ...]:
    return models.workload(key).operations
