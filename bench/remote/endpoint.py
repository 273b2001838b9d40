"""Asks an endpoint of `bench serve` for its information (`/health`). Needs httpx2."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator

from bench.record import Device, EndpointFacts, Package, Start
from bench.remote import failures
from bench.remote.http import client_options, library
from bench.remote.leash import Leash, OutOfTimeError
from bench.remote.reachability import CONNECT_TIMEOUT_S
from bench.wire.address import Address, Redactor, Token

_ANSWER_S = 15.0
_MOST_BYTES = 2**20
_Shortened = AfterValidator(lambda text: text[:60])
#: A server listens before it has loaded its models.
_READY_WITHIN_S = 120.0


def _known_fields(device: Any) -> Any:
    """Return a device without the unknown fields of a newer server."""
    return (
        {key: value for key, value in device.items() if key in Device.model_fields}
        if isinstance(device, dict)
        else device
    )


def _known_start(start: Any) -> Any:
    """Return a start that this version can read; None for one of a newer server's form."""
    try:
        return Start.model_validate(start)
    except ValueError:
        return None


class OfferedModel(BaseModel):
    """A model of an endpoint: its weights, its precision, and an address for each of its operations."""

    weights: Annotated[str, _Shortened] = "random"
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    routes: dict[str, str] = {}


class _Health(BaseModel):
    """The fields of `/health` that are used."""

    ready: bool = True
    models: dict[str, OfferedModel]
    device: Annotated[Device | None, BeforeValidator(_known_fields)] = None
    versions: dict[str, str | None] | None = None
    stand_in: str | None = None
    start: Annotated[Start | None, BeforeValidator(_known_start)] = None
    token_required: bool = False


@dataclass(frozen=True, slots=True)
class EndpointInfo:
    """An endpoint's information. `models` is None if it is unknown, and `problem` says why it could not be asked."""

    facts: EndpointFacts
    models: dict[str, OfferedModel] | None = None
    token_required: bool = False
    problem: str | None = None


def ask(
    address: Address,
    token: Token | None,
    redact: Redactor,
    leash: Leash,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> EndpointInfo:
    """Return the content of `/health` once the endpoint is ready. Waits up to two minutes, and calls `say` if it waits.

    Whatever the endpoint does, no error is raised.
    """
    health = address.below("health")
    until = time.monotonic() + _READY_WITHIN_S
    is_waiting = False
    while True:
        try:
            answer = leash.call(lambda: _ask_once(health, token, redact), time.monotonic() + 2 * _ANSWER_S)
        except OutOfTimeError:
            answer = f"{health.shown} did not answer within {2 * _ANSWER_S:.0f} s. Check the address."
        if isinstance(answer, str):
            return EndpointInfo(EndpointFacts(url=address.shown, reason=answer), problem=answer)
        if answer.ready or time.monotonic() > until:
            return _information(address, answer)
        if not is_waiting:
            say(f"{address.shown} is not ready yet. Waiting for up to {_READY_WITHIN_S:.0f} s.")
        is_waiting = True
        sleep(1.0)


def _ask_once(address: Address, token: Token | None, redact: Redactor) -> _Health | str:
    """Return the content of `/health`, or a message that says why it can't be read."""
    httpx = library()
    try:
        with (
            httpx.Client(
                timeout=httpx.Timeout(_ANSWER_S, connect=CONNECT_TIMEOUT_S), **client_options(address, token)
            ) as client,
            client.stream("GET", address.url) as response,
        ):
            if response.status_code != 200:
                return (
                    f"{address.shown} answered {response.status_code}. Check that it is an endpoint of `bench serve`."
                )
            body = bytearray()
            deadline = time.monotonic() + _ANSWER_S
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES or time.monotonic() > deadline:
                    return f"{address.shown} did not end. Check that it is an endpoint of `bench serve`."
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        text = failures.text_of(error, redact) or type(error).__name__
        return f"Can't reach {address.shown} ({text.rstrip('.')}). {failures.CHECK_ADDRESS}"
    try:
        return _Health.model_validate_json(bytes(body))
    except ValueError:
        return f"{address.shown} is not an endpoint of `bench serve`. For other endpoints give sd-v1/encode=URL."


def _information(address: Address, health: _Health) -> EndpointInfo:
    versions = health.versions or {}
    packages = {name: Package(version=text[:60]) for name, text in versions.items() if text and name != "commit"}
    commit = versions.get("commit")
    facts = EndpointFacts(
        url=address.shown,
        server_device=health.device,
        server_packages=packages,
        server_commit=commit[:60] if commit else None,
        stand_in=health.stand_in[:120] if health.stand_in else None,
        start=health.start,
    )
    return EndpointInfo(facts, health.models, health.token_required)
