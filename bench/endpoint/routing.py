"""Chooses a request's operation by its content: images are encoded, latents are decoded. Runs on codec threads."""

from __future__ import annotations

from collections.abc import Mapping

from bench.endpoint.state import AnyService
from bench.wire.messages import Message, RefusedError

_LATENT = "a latent (a tensor with the channels of the model's latents)"
#: What each operation takes, by whether the model is one of videos.
_TAKES = {
    False: {"encode": "an image (a PNG or JPEG file, or a tensor [batch, 3, height, width])", "decode": _LATENT},
    True: {
        "encode": "a video (a tensor [batch, 3, frames, height, width], or a PNG or JPEG file of one frame)",
        "decode": _LATENT,
    },
}
_BAD_REQUEST = 400


def operation_of(model: str, services: Mapping[str, AnyService], message: Message, *, is_video: bool = False) -> str:
    """Return the name of the operation that accepts the message. `is_video`: whether the model is one of videos.

    Raises RefusedError (400) if the message can't be read, or if not exactly one operation accepts it.
    """
    if len(services) == 1:
        return next(iter(services))
    accepting = [name for name, service in services.items() if service.takes(message)]
    if len(accepting) == 1:
        return accepting[0]
    addresses = "; ".join(f"/{model}/{name} takes {_TAKES[is_video][name]}" for name in services)
    raise RefusedError(400, f"It is not clear whether this request is to be encoded or decoded. {addresses}.")


def elsewhere(
    refusal: RefusedError,
    model: str,
    name: str,
    services: Mapping[str, AnyService],
    message: Message,
    *,
    is_video: bool = False,
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
    takes = _TAKES[is_video]
    text = f"/{model}/{name} takes {takes[name]}, but this request contains {takes[other].partition(' (')[0]}."
    return RefusedError(_BAD_REQUEST, f"{text} Send it to /{model}/{other}.", "wrong_address")
