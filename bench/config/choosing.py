"""What options choose of a sweep, and of results: also what the sweep does not list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.config.sweep import Sweep
from bench.config.values import OPERATIONS, TRANSPORTS, Resolution, parse_model, parse_resolution
from bench.errors import ConfigError, nearest
from bench.record import Transport

_Item = TypeVar("_Item")
#: So many characters are repeated of what was typed. No valid value is longer.
_SHOWN = 60


def choose(
    sweep: Sweep, models: Sequence[str] = (), operations: Sequence[str] = (), resolutions: Sequence[str] = ()
) -> Sweep:
    """The sweep with the models, operations and resolutions that were asked for in place of its own.

    What the sweep lists stands in its order, what it does not list comes after. An empty list leaves a key as it is.
    Raises ConfigError for what there is not.
    """
    changes = {
        "models": _in_order(sweep.models, models_of(models)),
        "operations": _in_order(sweep.operations, operations_of(operations)),
        "resolutions": _in_order(sweep.resolutions, resolutions_of(resolutions)),
    }
    return sweep.model_copy(update={key: values for key, values in changes.items() if values})


def choose_transports(sweep: Sweep, wanted: Sequence[str]) -> Sweep:
    """The sweep with the transports that were asked for, in the same manner. Raises ConfigError."""
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
    try:
        return parse_model(_shown(name))
    except ValueError as error:
        raise ConfigError(f"{option} {_shown(name)}: {error}") from None


def operation_of(name: str, option: str) -> str:
    """The operation that an option gives. Raises ConfigError that names the option and the nearest."""
    if name not in OPERATIONS:
        raise ConfigError(f"{option} {_shown(name)}: there is no such operation. {nearest(name, OPERATIONS)}")
    return name


def resolution_of(text: str, option: str) -> Resolution:
    """The resolution that an option gives. Raises ConfigError that names the option."""
    try:
        return parse_resolution(_shown(text))
    except ValueError as error:
        raise ConfigError(f"{option} {_shown(text)}: {error}.") from None


def _transport_of(name: str, option: str) -> Transport:
    for transport in TRANSPORTS:
        if name == transport:
            return transport
    raise ConfigError(f"{option} {_shown(name)}: there is no such transport. {nearest(name, TRANSPORTS)}")


def _each(texts: Sequence[str], option: str, parse: Callable[[str, str], _Item]) -> tuple[_Item, ...]:
    """What an option gives each time, without doubles. Raises ConfigError for a list in one of them."""
    for text in texts:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if "," in text:
            again = " ".join(f"{option} {part}" for part in parts[:4])
            raise ConfigError(f"{option} {_shown(text)}: repeat the option for each value, as in `{again}`.")
    return tuple(dict.fromkeys(parse(text, option) for text in texts))


def _in_order(listed: Sequence[_Item], wanted: Sequence[_Item]) -> tuple[_Item, ...]:
    return (*(item for item in listed if item in wanted), *(item for item in wanted if item not in listed))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
