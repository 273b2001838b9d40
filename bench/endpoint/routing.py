"""Which operation of a model a request means, told by what it holds: images are encoded, latents are decoded.

Free of torch and of the web stack; runs on codec threads.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.endpoint.state import AnyService
from bench.wire.messages import Message, RefusedError

_TAKES = {
    "encode": "an image (a PNG or JPEG file, or a tensor [batch, 3, height, width])",
    "decode": "a latent (a tensor with the channels of the model's latents)",
}
_BAD_REQUEST = 400


def operation_of(model: str, services: Mapping[str, AnyService], message: Message) -> str:
    """The operation, by name, that takes what the message holds.

    Raises RefusedError (400): the message can't be read, or it is not clear which operation is meant.
    """
    if len(services) == 1:
        return next(iter(services))
    fitting = [name for name, service in services.items() if service.takes(message)]
    if len(fitting) == 1:
        return fitting[0]
    addresses = "; ".join(f"/{model}/{name} takes {_TAKES[name]}" for name in services)
    raise RefusedError(400, f"It is not clear whether to encode or to decode this request. {addresses}.")


def elsewhere(
    refusal: RefusedError, model: str, name: str, services: Mapping[str, AnyService], message: Message
) -> RefusedError:
    """The refusal of a message, or a better one if it was meant for another operation of the model."""
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
    text = f"/{model}/{name} takes {_TAKES[name]}, and this request holds {_TAKES[other].partition(' (')[0]}."
    return RefusedError(_BAD_REQUEST, f"{text} Send it to /{model}/{other}.", "wrong_address")
