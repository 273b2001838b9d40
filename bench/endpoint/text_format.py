"""The wire protocol of text encoders: parses JSON into frozen requests.

Two forms share it. That of FLUX.2's remote text encoder (`/predict`) has prompts and nothing else; its answer is a file
of `torch.save`. The other (`/encode-text`) may also say how many tokens; its answer is raw bytes. Written from
diffusers' `Flux2RemoteTextEncoderStep` (0.42). Parsing raises only RefusedError, whatever a body contains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_core import from_json

from bench.endpoint.shapes import Limits
from bench.errors import nearest, printable
from bench.wire.messages import PREDICT_PATH, Message, RefusedError

#: UTF-8 bytes of one prompt. Encoders read far less of it, and a tokenizer would read all.
MOST_PROMPT_BYTES = 64 * 1024
#: Bytes of JSON for one byte of a prompt at most: `\u0001`.
_ESCAPED = 6
_SLACK_BYTES = 4096
_KEYS = ("prompt", "tokens")
_EXAMPLE = '{"prompt": "a text"} or {"prompt": ["a text", "another"]}'
_TYPES = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number", type(None): "null"}


@dataclass(frozen=True, slots=True)
class TextRequest:
    """Prompts to encode.

    Attributes:
        prompts: the texts; an empty text is one too.
        tokens: to which each is cut and padded; None: the encoder's usual number.
        saved: whether the answer is a file of `torch.save` instead of raw bytes.
    """

    prompts: tuple[str, ...]
    tokens: int | None
    saved: bool


def max_body_bytes(limits: Limits) -> int:
    """Return the most bytes of JSON that a valid request may have."""
    return limits.max_batch * MOST_PROMPT_BYTES * _ESCAPED + _SLACK_BYTES


def text_request(message: Message, limits: Limits) -> TextRequest:
    """Return the request. Raises RefusedError: 400 for what is not one, 413 for too many or too long prompts."""
    content = _object(message.body)
    saved = message.path.endswith(PREDICT_PATH)
    unknown = next((key for key in content if key not in _KEYS), None)
    if unknown is not None and (not saved or "prompt" not in content):
        hint = nearest(unknown, _KEYS)
        raise RefusedError(400, f'The JSON has an unknown key "{printable(unknown, 40)}". {hint} Send {_EXAMPLE}.')
    if "prompt" not in content:
        raise RefusedError(400, f'The JSON has no "prompt". Send {_EXAMPLE}.')
    prompts = _prompts(content["prompt"], limits)
    return TextRequest(prompts, None if saved else _tokens(content.get("tokens")), saved)


def _object(body: bytes) -> Mapping[str, object]:
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise RefusedError(400, f"The body is not JSON ({printable(str(error), 100)}). Send {_EXAMPLE}.") from None
    if not isinstance(content, dict):
        raise RefusedError(400, f"The JSON is {_type_of(content)}, but must be an object. Send {_EXAMPLE}.")
    return content


def _prompts(value: object, limits: Limits) -> tuple[str, ...]:
    if not isinstance(value, (str, list)):
        raise RefusedError(400, f'"prompt" is {_type_of(value)}. Send a text or a list of texts: {_EXAMPLE}.')
    texts = [value] if isinstance(value, str) else value
    if not texts:
        raise RefusedError(400, f'"prompt" is an empty list. Send at least one text: {_EXAMPLE}.')
    if len(texts) > limits.max_batch:
        raise RefusedError(
            413,
            f"The request has {len(texts)} prompts; this endpoint allows at most {limits.max_batch}. Send fewer at "
            "once, or start it with a larger --max-batch.",
            "too_large",
        )
    return tuple(_prompt(place, text) for place, text in enumerate(texts))


def _prompt(place: int, text: object) -> str:
    if not isinstance(text, str):
        raise RefusedError(400, f'Entry {place} of "prompt" is {_type_of(text)}. Send a list of texts: {_EXAMPLE}.')
    size = len(text.encode())
    if size > MOST_PROMPT_BYTES:
        raise RefusedError(
            413,
            f"Prompt {place} has {size:,} bytes; this endpoint allows at most {MOST_PROMPT_BYTES:,}. Shorten it.",
            "too_large",
        )
    return text


def _tokens(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        shown = printable(str(value), 40)
        raise RefusedError(400, f'"tokens" is {shown}. Send a whole number of at least 1, or leave it out.')
    return value


def _type_of(value: object) -> str:
    return "true or false" if isinstance(value, bool) else _TYPES.get(type(value), "something else")
