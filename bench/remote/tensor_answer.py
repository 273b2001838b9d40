"""Checks an answer of raw tensor bytes whose headers give shape and dtype."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, TypeAdapter

from bench.core.units import ITEM_BYTES
from bench.remote import failures

_SHAPE = TypeAdapter(tuple[Annotated[int, Field(strict=True, gt=0, lt=2**31)], ...])
_ITEM_BYTES = {**ITEM_BYTES, "uint8": 1}


def check(content: bytes, headers: Mapping[str, str], expected: tuple[int, ...]) -> None:
    """Raises RequestError unless the answer is a tensor of the expected shape, in any dtype."""
    shape, dtype = kind_of(headers)
    check_kind(shape, dtype, expected, dtype)
    check_length(content, shape, dtype)


def kind_of(headers: Mapping[str, str]) -> tuple[tuple[int, ...], str]:
    """Return the shape and the dtype that the headers give. Raises RequestError if they are missing or invalid."""
    missing = [name for name in ("shape", "dtype") if name not in headers]
    if missing:
        raise failures.failed(
            "MissingHeaders",
            f"The answer lacks the headers {' and '.join(missing)}. Check that the address is this model's.",
        )
    try:
        shape, dtype = _SHAPE.validate_json(headers["shape"][:200]), headers["dtype"]
    except ValueError:
        shape, dtype = (), ""
    if dtype not in _ITEM_BYTES:
        raise failures.failed("BadHeaders", "The answer's headers `shape` and `dtype` are invalid.")
    return shape, dtype


def check_length(content: bytes, shape: tuple[int, ...], dtype: str) -> None:
    """Raises RequestError unless the answer has as many bytes as such a tensor."""
    if math.prod(shape) * _ITEM_BYTES[dtype] != len(content):
        raise failures.failed(
            "Truncated",
            f"The answer has {len(content)} bytes, too few or too many for {list(shape)} in {dtype}. Try again.",
        )


def check_kind(shape: tuple[int, ...], dtype: str, expected: tuple[int, ...], expected_dtype: str) -> None:
    """Raises RequestError unless shape and dtype are those expected."""
    if shape != expected:
        raise failures.failed(
            "WrongShape",
            f"The answer's shape is {list(shape)[:6]}, not {list(expected)}. Check that the address is this model's.",
        )
    if dtype != expected_dtype:
        raise failures.failed(
            "WrongDtype",
            f"The answer's dtype is {dtype[:40]}, not {expected_dtype}. Check that the address is this model's.",
        )
