"""The requests of a case: what a kind of model sends, and how its answers are checked and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bench.errors import ConfigError
from bench.record import Case
from bench.remote import image_body, text_body
from bench.remote.http import Post
from bench.wire.address import Address, Token
from bench.workloads import models
from bench.workloads.payloads import ImagePayload, TextPayload


class CasePayload(Protocol):
    """A user's input for one case, and what an endpoint answers to it."""

    @property
    def is_tried_first(self) -> bool:
        """Whether an answer must be checked before diffusers' client may read one."""

    @property
    def content(self) -> str:
        """What is sent, in words for the record."""

    @property
    def max_response_bytes(self) -> int:
        """An upper bound on the bytes of a valid answer."""

    def has_diffusers_client(self, token: Token | None) -> bool:
        """Whether diffusers has a client for these requests, which sends the token if there is one."""

    def post(self, address: Address) -> Post:
        """Return the request."""

    def sent_digest(self, request: Post) -> str:
        """Return the SHA-256 in hex of the bytes that must arrive."""

    def result(self, content: bytes, headers: Mapping[str, str]) -> object:
        """Return what a user makes of an answer that was checked."""

    def through_diffusers(self, address: Address, token: Token | None = None) -> object:
        """Send the request with diffusers' client, which has no time-out and no size limit. Returns its result."""

    def check_answer(self, content: bytes, headers: Mapping[str, str]) -> None:
        """Raises RequestError unless the answer is valid."""

    def check_result(self, result: object) -> None:
        """Raises RequestError unless the result has the right type and size."""

    def valid_answer(self) -> tuple[bytes, dict[str, str]]:
        """Return the body and headers of a valid answer, to warm up with."""


def make(case: Case) -> CasePayload:
    """Return the payload of a case, the same on every machine. Raises ConfigError for what no endpoint serves."""
    payload = models.workload(case.model).payload(case)
    match payload:
        case ImagePayload():
            return image_body.make(case, payload)
        case TextPayload():
            return text_body.make(case, payload)
    raise ConfigError(f"{case.model}: no endpoint serves a {models.workload(case.model).name}.")
