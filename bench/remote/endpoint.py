"""What an endpoint of this project's own kind tells of itself. Needs httpx2; free of torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from bench.config import DTYPES
from bench.record import Device, EndpointFacts, Package
from bench.remote.http import authorization, library
from bench.remote.leash import Leash, OutOfTimeError
from bench.remote.reachability import CONNECT_TIMEOUT_S
from bench.wire.address import Address, Discretion, Token

_ANSWER_S = 15.0
_MOST_BYTES = 2**20
#: A server loads its models after it has begun to listen.
_READY_WITHIN_S = 120.0
_ALONE = "an endpoint that is known by its address alone tells nothing of its server"


def _known_fields(device: Any) -> Any:
    """A device without the fields that a newer server may tell besides."""
    return (
        {key: value for key, value in device.items() if key in Device.model_fields}
        if isinstance(device, dict)
        else device
    )


def _precision(dtype: str | None) -> str | None:
    if dtype is not None and (dtype not in DTYPES or dtype == "model"):
        raise ValueError("no precision")
    return dtype


class _Model(BaseModel):
    weights: str = "random"
    dtype: Annotated[str | None, AfterValidator(_precision)] = None
    routes: dict[str, str] = {}


class _Health(BaseModel):
    """The part of `/health` that is used; there may be more."""

    ready: bool = True
    models: dict[str, _Model]
    device: Annotated[Device | None, BeforeValidator(_known_fields)] = None
    versions: dict[str, str | None] | None = None
    stand_in: str | None = None
    token_required: bool = False


@dataclass(frozen=True, slots=True)
class Offered:
    """What the endpoint computes one model with, and which operations of it are there."""

    weights: str
    dtype: str | None
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What an endpoint told; `models` is None where nothing is known, and `trouble` says why it told nothing."""

    facts: EndpointFacts
    models: dict[str, Offered] | None = None
    token_required: bool = False
    trouble: str | None = None


def unknown(address: Address) -> EndpointFacts:
    """What is known of an endpoint of another kind."""
    return EndpointFacts(url=address.shown, reason=_ALONE)


def ask(
    address: Address,
    token: Token | None,
    discretion: Discretion,
    leash: Leash,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Told:
    """What `/health` tells, once the endpoint is ready; waits two minutes for that, and `say`s so.

    No fault of the endpoint's raises.
    """
    health = address.below("health")
    until = time.monotonic() + _READY_WITHIN_S
    waits = False
    while True:
        try:
            told = leash.call(lambda: _ask_once(health, token, discretion), time.monotonic() + 2 * _ANSWER_S)
        except OutOfTimeError:
            told = f"{health.shown} does not answer within {2 * _ANSWER_S:.0f} s. Check the address."
        if isinstance(told, str):
            return Told(EndpointFacts(url=address.shown, reason=told), trouble=told)
        if told.ready or time.monotonic() > until:
            return _understood(address, told)
        if not waits:
            say(f"{address.shown} is not ready yet: waiting for it, {_READY_WITHIN_S:.0f} s at most.")
        waits = True
        sleep(1.0)


def _ask_once(address: Address, token: Token | None, discretion: Discretion) -> _Health | str:
    """What it says, or why that can't be had."""
    httpx = library()
    try:
        with (
            httpx.Client(
                timeout=httpx.Timeout(_ANSWER_S, connect=CONNECT_TIMEOUT_S),
                headers=authorization(token),
                trust_env=not address.is_loopback,
            ) as client,
            client.stream("GET", address.url) as response,
        ):
            if response.status_code != 200:
                return f"{address.shown} answers with {response.status_code}. Is it an endpoint of `bench serve`?"
            body = bytearray()
            deadline = time.monotonic() + _ANSWER_S
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES or time.monotonic() > deadline:
                    return f"{address.shown} does not end. Is it an endpoint of `bench serve`?"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        text = discretion(str(error)) or type(error).__name__
        return f"{address.shown} can't be asked: {text.rstrip('.')}. Check the address, and that the endpoint runs."
    try:
        return _Health.model_validate_json(bytes(body))
    except (ValidationError, ValueError):
        return f"{address.shown} is not that of an endpoint of `bench serve`. Give sd-v1/encode=URL for others."


def _understood(address: Address, health: _Health) -> Told:
    versions = health.versions or {}
    packages = {name: Package(version=text[:60]) for name, text in versions.items() if text and name != "commit"}
    commit = versions.get("commit")
    facts = EndpointFacts(
        url=address.shown,
        server_device=health.device,
        server_packages=packages,
        server_commit=commit[:60] if commit else None,
        stand_in=health.stand_in[:120] if health.stand_in else None,
    )
    models = {
        key: Offered(model.weights[:60], model.dtype, tuple(model.routes)) for key, model in health.models.items()
    }
    return Told(facts, models, health.token_required)
