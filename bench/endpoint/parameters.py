"""A request's parameters by name, from its query or from legacy JSON.

Every getter raises RefusedError (400) with the parameter's name, its value and the valid values.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from bench.wire.messages import Message, RefusedError

T = TypeVar("T")
_WHOLE = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_MOST_DIMENSIONS = 8
#: Where the base64 of a legacy body begins. It is cut out before the JSON is parsed.
_INPUTS = re.compile(rb'"inputs"\s*:\s*"')
#: Bytes of JSON beside the base64: names, shape, dtype. Longer JSON could take gigabytes as Python objects.
_MOST_JSON = 64 * 1024
#: Base64 is decoded in pieces of this many bytes (a multiple of four), because decoding blocks all other threads.
_PIECE = 1 << 20


class Parameters:
    """A request's parameters: texts by name."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return the value, or None if it is absent. Refuses a parameter that is given twice."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise RefusedError(400, f"{name} is given {len(values)} times. Give it once.")
        return values[0]

    def _parsed(self, name: str, parse: Callable[[str], T | None], valid: str) -> T | None:
        """Return the parsed value, or None if it is absent. `parse` returns None for an invalid value."""
        value = self.text(name)
        if value is None:
            return None
        parsed = parse(value)
        if parsed is None:
            raise _invalid(name, value, valid)
        return parsed

    def one_of(self, name: str, valid: Collection[str]) -> str | None:
        """Return the value, which must be one of `valid`, or None if it is absent."""
        return self._parsed(name, lambda value: value if value in valid else None, ", ".join(valid))

    def truth(self, name: str) -> bool | None:
        """Return the value of True or False (in any case), 1 or 0; None if it is absent."""
        return self._parsed(name, lambda value: _TRUTH.get(value.lower()), "True, False")

    def whole(self, name: str) -> int | None:
        """Return a whole number from 1 to 999,999,999, or None if it is absent."""
        return self._parsed(
            name,
            lambda value: int(value) or None if _WHOLE.fullmatch(value) else None,
            "a whole number of pixels, at least 1",
        )

    def number(self, name: str, low: float, high: float) -> float | None:
        """Return a number from `low` to `high`, or None if it is absent."""

        def parse(value: str) -> float | None:
            number = float(value) if _NUMBER.fullmatch(value) else math.nan
            return number if low <= number <= high else None

        return self._parsed(name, parse, f"a number from {low:g} to {high:g}")

    def shape(self) -> tuple[int, ...] | None:
        """Return the dimensions, each given as its own `shape=`, or None if there are none."""
        values = self._values.get("shape")
        if values is None:
            return None
        if len(values) > _MOST_DIMENSIONS:
            raise RefusedError(400, f"shape has {len(values)} dimensions. Send a tensor of at most five.")
        for value in values:
            if not _WHOLE.fullmatch(value):
                raise _invalid("shape", value, "one whole number for each dimension, each as its own `shape=`")
        return tuple(int(value) for value in values)


def _invalid(name: str, value: str, valid: str) -> RefusedError:
    shown = value if len(value) <= 40 else f"{value[:40]}..."
    return RefusedError(400, f"{name}={shown!r} is not valid. Valid: {valid}.")


def unwrap(message: Message) -> tuple[Parameters, bytes]:
    """Return a message's parameters and the bytes of its tensor or image, decoded from base64 if necessary.

    Two generations of clients send `{"inputs": base64}` as JSON: the first with `"parameters"` in the JSON and no
    query, the second with a query. The query wins. Raises RefusedError.
    """
    query = Parameters(message.query)
    media_type = (message.content_type or "").partition(";")[0].strip().lower()
    if media_type not in {"tensor/base64", "application/json"}:
        return query, message.body
    rest, encoded = _cut(message.body, media_type)
    inside = _json(rest, media_type)
    inputs, parameters = inside.get("inputs"), inside.get("parameters")
    if not isinstance(inputs, str):
        raise RefusedError(
            400, f'The JSON body has no text "inputs". With Content-Type {media_type}, send {{"inputs": base64}}.'
        )
    if parameters is not None and not isinstance(parameters, dict):
        raise RefusedError(400, 'In the JSON body "parameters" must be an object.')
    body = _decoded(encoded if inputs == "" else inputs.encode("utf-8", "replace"))
    inside_only = (pair for pair in _pairs(parameters or {}) if pair[0] not in query)
    return Parameters([*message.query, *inside_only]), body


def _cut(body: bytes, media_type: str) -> tuple[bytes, bytes]:
    """Return the JSON with the text of its first `inputs` removed, and that text as it was sent."""
    inputs = _INPUTS.search(body, 0, _MOST_JSON)
    start = inputs.end() if inputs else len(body)
    end = body.find(b'"', start) if inputs else len(body)
    if end < 0:
        raise RefusedError(400, f'Content-Type is {media_type}, but the body is not JSON: its "inputs" does not end.')
    if start + len(body) - end > _MOST_JSON:
        raise RefusedError(
            400,
            f'Content-Type is {media_type}, but more than {_MOST_JSON} bytes of the body are not the text of "inputs". '
            "Send nothing but the base64 and its parameters.",
        )
    return body[:start] + body[end:], body[start:end]


def _decoded(encoded: bytes) -> bytes:
    """Decode base64. JSON may write its slashes as `\\/`."""
    if b"\\" in encoded:
        encoded = encoded.replace(b"\\/", b"/")
    try:
        if -1 < encoded.find(b"=") < len(encoded) - 2:
            raise binascii.Error("there is padding before its end")
        pieces = range(0, len(encoded), _PIECE)
        return b"".join([base64.b64decode(encoded[start : start + _PIECE], validate=True) for start in pieces])
    except binascii.Error as error:
        raise RefusedError(400, f'In the JSON body "inputs" is not base64: {error}.') from None


def _json(text: bytes, media_type: str) -> dict[str, object]:
    try:
        inside = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, not UTF-8, or an absurd number
        raise RefusedError(
            400, f"Content-Type is {media_type}, but the body is not JSON: {str(error)[:100]}."
        ) from None
    if not isinstance(inside, dict):
        raise RefusedError(400, "The JSON body must be an object.")
    return inside


def _pairs(parameters: dict[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in parameters.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        for item in values:
            if not isinstance(item, (str, int, float)):
                raise RefusedError(400, f'In "parameters" of the JSON body {name[:40]!r} must be a text or a number.')
            yield name, _as_text(item)


def _as_text(value: str | float) -> str:
    """Return the value as a query would contain it. A number too long to print is never valid."""
    try:
        return str(value)
    except ValueError:
        return "a number of thousands of digits"
