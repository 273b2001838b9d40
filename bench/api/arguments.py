"""Arguments of the Python interface: single values and sequences, warnings, and errors that name them."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import index
from typing import Any

from bench.api.argument_types import Allocator
from bench.errors import BenchError, ConfigError, known, quoted
from bench.record import AllocatorKind
from bench.vram import alloc_conf

#: A command's option in a message.
_OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")


def texts(values: Any) -> list[str]:
    """One value, or each of several, as text; none for None."""
    if values is None:
        return []
    if isinstance(values, str) or not isinstance(values, Iterable):
        return [str(values)]
    return [str(value) for value in values]


def text_or_none(value: object) -> str | None:
    """The value as text; None stays None."""
    return None if value is None else str(value)


def count(value: Any, name: str) -> int:
    """A whole number of at least 1. Raises ConfigError that names the argument."""
    try:
        number = index(value)
    except TypeError:
        raise ConfigError(f"{name}: {quoted(value)} is not a whole number. Give 1 or more.") from None
    if number < 1:
        raise ConfigError(f"{name}: {number} is too few. Give 1 or more.")
    return number


def counts(values: Any, name: str) -> list[int]:
    """One whole number, or each of several. Raises ConfigError."""
    return [count(value, name) for value in (values if isinstance(values, Iterable) else [values])]


def allocator_kind(name: Allocator | None) -> AllocatorKind:
    """The allocator that is named, else the one that the environment chooses."""
    if name is None:
        return alloc_conf.read(os.environ).kind
    known("allocator", name, ("native", "expandable"), "allocator")
    return name


def warn(messages: Iterable[str]) -> None:
    """Give each message as a Python warning of the caller's caller."""
    for message in messages:
        warnings.warn(message, stacklevel=3)


@contextmanager
def named_errors() -> Iterator[None]:
    """Let errors of the block name arguments (`vram_limit`) where they name a command's options (`--vram-limit`)."""
    try:
        yield
    except BenchError as error:
        error.args = tuple(_OPTION.sub(lambda option: option[1].replace("-", "_"), str(text)) for text in error.args)
        raise
