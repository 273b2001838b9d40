"""Applies `--model`, `--operation`, `--resolution` and similar options to a sweep. It need not list their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.config.sweep import Sweep
from bench.config.values import TRANSPORTS, Resolution, parse_model, parse_resolution
from bench.core.units import MIB, format_bytes, parse_bytes
from bench.errors import BenchError, ConfigError, nearest, printable
from bench.record import Transport
from bench.workloads import models as zoo

_Item = TypeVar("_Item")
#: The most characters of a value that an error repeats. No valid value is longer.
_SHOWN = 60


def choose(
    sweep: Sweep, models: Sequence[str] = (), operations: Sequence[str] = (), resolutions: Sequence[str] = ()
) -> Sweep:
    """The sweep with these models, operations and resolutions instead of its own.

    Values that the sweep lists keep its order; others follow. An empty list keeps the sweep's own values. Raises
    ConfigError for a value that does not exist.
    """
    changes = {
        "models": _in_order(sweep.models, models_of(models)),
        "operations": _in_order(sweep.operations or (), operations_of(operations)),
        "resolutions": _in_order(sweep.resolutions or (), resolutions_of(resolutions)),
    }
    return sweep.model_copy(update={key: values for key, values in changes.items() if values})


def choose_transports(sweep: Sweep, wanted: Sequence[str]) -> Sweep:
    """The sweep with these transports instead of its own. Raises ConfigError for one that does not exist."""
    chosen = _in_order(sweep.remote.transports, _each(wanted, "--transport", _transport_of))
    if not chosen:
        return sweep
    return sweep.model_copy(update={"remote": sweep.remote.model_copy(update={"transports": chosen})})


def models_of(names: Sequence[str]) -> tuple[str, ...]:
    """The models that `--model` gives, each once. Raises ConfigError that names the nearest."""
    return _each(names, "--model", model_of)


def operations_of(names: Sequence[str]) -> tuple[str, ...]:
    """The operations that `--operation` gives, each once. Raises ConfigError that names the nearest."""
    return _each(names, "--operation", operation_of)


def resolutions_of(texts: Sequence[str]) -> tuple[Resolution, ...]:
    """The resolutions that `--resolution` gives, each once. Raises ConfigError that names the nearest size."""
    return _each(texts, "--resolution", resolution_of)


def model_of(name: str, option: str) -> str:
    """The model that an option gives. Raises ConfigError that names the option and the nearest."""
    return _parsed(name, option, parse_model)


def operation_of(name: str, option: str) -> str:
    """The operation that an option gives. Raises ConfigError that names the option and the nearest."""
    if name not in zoo.operations():
        shown = printable(name, _SHOWN)
        raise ConfigError(f"{option} {shown}: there is no such operation. {nearest(name, zoo.operations())}")
    return name


def resolution_of(text: str, option: str) -> Resolution:
    """The resolution that an option gives. Raises ConfigError that names the option."""
    return _parsed(text, option, parse_resolution)


def memory_of(text: str, option: str) -> int:
    """The bytes that an option gives, 1 MiB or more. Raises ConfigError that names the option."""
    try:
        bytes_given = parse_bytes(text)
    except BenchError as error:
        raise ConfigError(f"{option} {text[:80]}: {error}") from None
    if bytes_given < MIB:
        number = text.strip()
        remedy = f"Did you mean {number}GiB?" if number.isdecimal() else f"Give at least {format_bytes(MIB)}."
        raise ConfigError(f"{option} {text}: that is {format_bytes(bytes_given)}. {remedy}")
    return bytes_given


def _parsed(text: str, option: str, parse: Callable[[str], _Item]) -> _Item:
    """The value that a parser in `values` returns. Raises ConfigError that names the option."""
    try:
        return parse(text)
    except ValueError as error:
        complaint = str(error).removesuffix(".")
        raise ConfigError(f"{option} {printable(text, _SHOWN)}: {complaint}.") from None


def _transport_of(name: str, option: str) -> Transport:
    for transport in TRANSPORTS:
        if name == transport:
            return transport
    raise ConfigError(f"{option} {printable(name, _SHOWN)}: there is no such transport. {nearest(name, TRANSPORTS)}")


def _each(texts: Sequence[str], option: str, parse: Callable[[str, str], _Item]) -> tuple[_Item, ...]:
    """The parsed values of a repeated option, each once. Raises ConfigError if one of them is a list (`a,b`)."""
    for text in texts:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if "," in text:
            again = " ".join(f"{option} {part}" for part in parts[:4])
            raise ConfigError(f"{option} {printable(text, _SHOWN)}: repeat the option for each value, as in `{again}`.")
    return tuple(dict.fromkeys(parse(text, option) for text in texts))


def _in_order(listed: Sequence[_Item], wanted: Sequence[_Item]) -> tuple[_Item, ...]:
    return (*(item for item in listed if item in wanted), *(item for item in wanted if item not in listed))
