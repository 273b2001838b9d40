"""What travels to and from an endpoint, apart from HTTP. Free of torch and of the web stack.

A `Service` is one operation of one model in three steps, so that the device need not wait for codecs: `read` and
`write` run on any thread, `compute` on the one that drives the device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

#: With this every response of `bench serve` says what weights it was computed with; `random` is noise, to measure with.
WEIGHTS_HEADER = "x-weights"
#: SHA-256 of the request's body as it was received, in hex.
RECEIVED_HEADER = "x-received-sha256"
#: How many tiles one call computed; absent where the image was computed at once.
TILES_HEADER = "x-tiles"


@dataclass(frozen=True, slots=True)
class Message:
    """A request: its query in order, repeated keys included, the two headers that matter, and its body."""

    query: tuple[tuple[str, str], ...]
    body: bytes
    content_type: str | None = None
    accept: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A good response: body, Content-Type and further headers."""

    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request that can't be served.

    Attributes:
        reason: one word for programs: `bad_request`, `too_large`, ...
        figures: numbers that the message speaks of, by name, for programs.
    """

    def __init__(
        self, status: int, message: str, reason: str = "bad_request", figures: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.reason, self.figures = status, message, reason, figures or {}


def error_body(message: str, reason: str, figures: Mapping[str, float] | None = None) -> bytes:
    """The JSON that every client of this protocol expects of an error."""
    return json.dumps({"error": message, "reason": reason, **(figures or {})}).encode()


@dataclass(frozen=True, slots=True)
class Size:
    """How much work a request is.

    Attributes:
        flops: floating-point operations of its computation, tiles and attention included; what its time goes by.
        held_bytes: what its tensors and its answer take of the host's memory at most.
    """

    flops: int
    held_bytes: int


Request = TypeVar("Request")
Result = TypeVar("Result")


class Service(Protocol, Generic[Request, Result]):
    """One operation of one model. Every step may raise RefusedError; anything else is a fault of the server's."""

    #: No body that can be served is longer than this.
    max_body_bytes: int

    def takes(self, message: Message) -> bool:
        """Whether what the message holds looks like what this operation takes: an image, or a latent of the model.

        Raises RefusedError if it can't be told, because the message can't be parsed.
        """
        ...

    def square_flops(self, side: int) -> int:
        """Floating-point operations for one square image of so many pixels a side."""
        ...

    def read(self, message: Message) -> Request:
        """Parse and check a message, and decode its body; touches no device."""
        ...

    def size(self, request: Request) -> Size:
        """How much work it is; known from its shape and form, before anything is computed."""
        ...

    def compute(self, request: Request) -> Result:
        """Run the VAE. Called on the device's thread alone; the result lies in host memory."""
        ...

    def write(self, result: Result) -> Answer:
        """Encode the result as the request asked; touches no device."""
        ...
