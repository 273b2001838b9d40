"""Chooses a request's operation by its content: images are encoded, latents are decoded. Runs on codec threads."""

from __future__ import annotations

from collections.abc import Mapping

from bench.endpoint.state import AnyService
from bench.wire.messages import Message, RefusedError

_BAD_REQUEST = 400


def operation_of(model: str, services: Mapping[str, AnyService], message: Message) -> str:
    """Return the name of the operation that accepts the message.

    Raises RefusedError (400) if the message can't be read, or if not exactly one operation accepts it.
    """
    if len(services) == 1:
        return next(iter(services))
    accepting = [name for name, service in services.items() if service.takes(message)]
    if len(accepting) == 1:
        return accepting[0]
    addresses = "; ".join(f"/{model}/{name} takes {service.input_words}" for name, service in services.items())
    raise RefusedError(400, f"It is not clear whether this request is to be encoded or decoded. {addresses}.")


def elsewhere(
    refusal: RefusedError, model: str, name: str, services: Mapping[str, AnyService], message: Message
) -> RefusedError:
    """Return the refusal, or one that names the right address if another operation of the model accepts the message."""
    if refusal.status != _BAD_REQUEST:
        return refusal
    try:
        if services[name].takes(message):
            return refusal
        other = next((key for key, service in services.items() if key != name and service.takes(message)), None)
    except RefusedError:
        return refusal
    if other is None:
        return refusal
    content = services[other].input_words.partition(" (")[0]
    text = f"/{model}/{name} takes {services[name].input_words}, but this request contains {content}."
    return RefusedError(_BAD_REQUEST, f"{text} Send it to /{model}/{other}.", "wrong_address")
