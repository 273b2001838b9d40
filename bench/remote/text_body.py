"""The requests of a text encoder's case, over either of its protocols."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch

from bench.record import Case
from bench.remote import failures, saved_tensor, tensor_answer
from bench.remote.http import Post
from bench.remote.payloads import bytes_of
from bench.wire.address import Address, Token
from bench.workloads.payloads import PREDICT, TextPayload

_SLACK_BYTES = 2**20
#: diffusers' logger of pipelines that are made of blocks.
_LOGGER = "diffusers.modular_pipelines.modular_pipeline"
_WIDEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class TextBody:
    """Prompts for one case, as JSON.

    Attributes:
        data: the JSON.
        is_tried_first: True for FLUX.2's protocol, because diffusers reads its answers without any bounds.
    """

    case: Case
    payload: TextPayload
    data: bytes
    is_tried_first: bool
    content: str = "plain words"

    @property
    def max_response_bytes(self) -> int:
        """An upper bound on the bytes of a valid answer, and of one in a wider precision, which can then be named."""
        batch, tokens, width = self.payload.embeddings
        return batch * tokens * width * _WIDEST_BYTES + _SLACK_BYTES

    def has_diffusers_client(self, token: Token | None) -> bool:
        """Whether diffusers has a client: for FLUX.2's protocol, with or without a token."""
        del token
        return self.is_tried_first

    def post(self, address: Address) -> Post:
        """Return the request, as diffusers sends it, or as FLUX.2's protocol has none."""
        return Post(address, {}, {"Content-Type": "application/json"}, self.data)

    def sent_digest(self, request: Post) -> str:
        """Return the SHA-256 in hex of the JSON."""
        return hashlib.sha256(request.data).hexdigest()

    def result(self, content: bytes, headers: Mapping[str, str]) -> object:
        """Return the embeddings of an answer that was checked."""
        if self.is_tried_first:
            return saved_tensor.load(content)
        shape, dtype = tensor_answer.kind_of(headers)
        kind: torch.dtype = getattr(torch, dtype)
        return torch.frombuffer(bytearray(content), dtype=kind).reshape(shape)

    def through_diffusers(self, address: Address, token: Token | None = None) -> object:
        """Send the prompts with diffusers' remote text encoder, which has no time-out and no size limit."""
        with _token_of_the_hub(token):
            return _pipeline(address.url)(prompt=list(self.payload.prompts), output="prompt_embeds")

    def check_answer(self, content: bytes, headers: Mapping[str, str]) -> None:
        """Raises RequestError unless the answer is a tensor that may be loaded."""
        if self.is_tried_first:
            saved_tensor.check(content)
        else:
            shape, dtype = tensor_answer.kind_of(headers)
            self._check_kind(shape, dtype)
            tensor_answer.check_length(content, shape, dtype)

    def check_result(self, result: object) -> None:
        """Raises RequestError unless the result is a tensor of the case's shape and dtype."""
        if not isinstance(result, torch.Tensor):
            raise failures.failed("WrongType", "The result is not a tensor. Check that the address is this model's.")
        dtype = str(result.dtype).removeprefix("torch.")
        self._check_kind(tuple(result.shape), dtype)

    def _check_kind(self, shape: tuple[int, ...], dtype: str) -> None:
        """Raises RequestError unless this is the case's tensor. Without padding it may have fewer tokens."""
        batch, tokens, width = self.payload.embeddings
        answered = shape[1] if len(shape) == 3 and not self.payload.is_padded else tokens
        tensor_answer.check_kind(shape, dtype, (batch, min(answered, tokens), width), self.payload.dtype)

    def valid_answer(self) -> tuple[bytes, dict[str, str]]:
        """Return an answer of zeros."""
        dtype: torch.dtype = getattr(torch, self.payload.dtype)
        zeros = torch.zeros(self.payload.embeddings, dtype=dtype)
        if self.is_tried_first:
            buffer = io.BytesIO()
            torch.save(zeros, buffer)
            return buffer.getvalue(), {}
        shape = str(list(self.payload.embeddings))
        return bytes_of(zeros), {"shape": shape, "dtype": self.payload.dtype}


def make(case: Case, payload: TextPayload) -> TextBody:
    """Return the payload of a case over its transport."""
    assert case.transport is not None  # noqa: S101 - every case of an endpoint has one
    return TextBody(case, payload, payload.request(case.transport), is_tried_first=case.transport == PREDICT)


@lru_cache(maxsize=1)
def _pipeline(url: str) -> Any:
    """A pipeline of diffusers' remote text encoder alone, with nothing changed but its address."""
    from diffusers.modular_pipelines.flux2.encoders import Flux2RemoteTextEncoderStep  # noqa: PLC0415 - takes seconds

    logging.getLogger(_LOGGER).disabled = True  # it prints errors, which become outcomes here
    step = type("Flux2RemoteTextEncoderStep", (Flux2RemoteTextEncoderStep,), {"REMOTE_URL": url})
    return step().init_pipeline()


@contextmanager
def _token_of_the_hub(token: Token | None) -> Iterator[None]:
    """Let diffusers' client send this token, or none: by itself it sends the user's token of the hub to any address."""
    hub: Any = import_module("huggingface_hub")
    own = hub.get_token
    hub.get_token = lambda: token.value if token else None
    try:
        yield
    finally:
        hub.get_token = own
