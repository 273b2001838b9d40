"""Requests, answers and errors of an endpoint, independent of HTTP.

A `Service` is one operation of one model in three steps, so that the device never waits for codecs: `read` and `write`
run on any thread, `compute` on the device's thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

#: The weights that a response of `bench serve` was computed with. The results of `random` are noise, for measuring.
WEIGHTS_HEADER = "x-weights"
#: SHA-256 in hex of the request's body as it was received.
RECEIVED_HEADER = "x-received-sha256"
#: The number of tiles that were computed; absent if the image was computed untiled.
TILES_HEADER = "x-tiles"


#: Which prompts of a request were longer than the tokens that were encoded, counted from 0; absent if none was.
TRUNCATED_HEADER = "x-truncated-prompts"
#: The replica that answered, of an endpoint that has several.
REPLICA_HEADER = "x-replica"
#: How often the request was sent again because the replica that had it was lost; absent if it never was.
RETRIED_HEADER = "x-retried"
#: How the addresses end that answer in the protocol of FLUX.2's remote text encoder.
PREDICT_PATH = "/predict"


@dataclass(frozen=True, slots=True)
class Message:
    """A request: its query in order, with repeated keys, two headers, its body, and the path to which it was posted."""

    query: tuple[tuple[str, str], ...]
    body: bytes
    content_type: str | None = None
    accept: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response: body, Content-Type and further headers."""

    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request that can't be served.

    Attributes:
        reason: one word for programs: `bad_request`, `too_large`, ...
        figures: the numbers in the message by name, for programs.
    """

    def __init__(
        self, status: int, message: str, reason: str = "bad_request", figures: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.reason, self.figures = status, message, reason, figures or {}


def error_body(
    message: str, reason: str, figures: Mapping[str, float] | None = None, *, has_detail: bool = False
) -> bytes:
    """Return an error as the JSON that every client of this protocol expects.

    With `has_detail` the message is there a second time, as clients of FLUX.2's remote text encoder read it.
    """
    detail = {"detail": message} if has_detail else {}
    return json.dumps({"error": message, "reason": reason, **detail, **(figures or {})}).encode()


@dataclass(frozen=True, slots=True)
class Size:
    """The work and memory of a request.

    Attributes:
        flops: floating-point operations of its computation, including tiles and attention; they determine its time.
        held_bytes: the host memory of its tensors and its answer at most.
    """

    flops: int
    held_bytes: int


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest input that would be quick enough: a sentence for people, and its numbers by name for programs."""

    text: str
    figures: Mapping[str, float]


Request = TypeVar("Request")
Result = TypeVar("Result")


class Service(Protocol, Generic[Request, Result]):
    """One operation of one model. Every step may raise RefusedError; any other error is a bug in the server."""

    #: The most bytes of a valid body.
    max_body_bytes: int
    #: What it takes, in words that begin with an article: `an image (a PNG or JPEG file, ...)`.
    input_words: str

    def takes(self, message: Message) -> bool:
        """Whether the message contains an input of this operation: an image, or a latent of the model.

        Raises RefusedError if the message can't be parsed.
        """

    def rehearsals(self) -> Iterator[Sequence[Message]]:
        """Yield messages to warm up with: of each size several in different forms, the smallest size first."""

    def largest(self, request: Request, fits: Callable[[int], bool]) -> Largest:
        """Return the largest input like this request's for which `fits`, asked for its operations, is true."""

    def read(self, message: Message) -> Request:
        """Parse and check a message, and decode its body. Does not use the device."""

    def size(self, request: Request) -> Size:
        """Return the work and memory of a request, from its shape and form. May take a second; needs no device."""

    def compute(self, request: Request) -> Result:
        """Run the model. Called only on the device's thread; the result is in host memory."""

    def write(self, result: Result) -> Answer:
        """Encode the result as the request asked. Does not use the device."""
