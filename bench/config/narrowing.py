"""A sweep cut down to what options ask for; none of them adds anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench import models
from bench.config.sweep import Sweep
from bench.config.values import OPERATIONS, TRANSPORTS, Resolution, parse_resolution
from bench.errors import ConfigError, nearest


def narrow(sweep: Sweep, chosen: dict[str, Sequence[str]]) -> Sweep:
    """Keep only the values of `models`, `operations` and `resolutions` that were asked for, in the sweep's order.

    Raises ConfigError for one that the sweep does not have.
    """
    changes: dict[str, tuple[Any, ...]] = {}
    for key, wanted in chosen.items():
        if not wanted:
            continue
        have = {str(value): value for value in getattr(sweep, key)}
        option = f"--{key.removesuffix('s')}"
        names = [str(resolution_of(name, option)) if key == "resolutions" else name for name in wanted]
        for name in names:
            if name not in have:
                hint = " Give the option once for each." if "," in name else ""
                if name in models.zoo() or key == "resolutions":
                    hint = f" To put another in its place: --set {key}={name}"
                raise ConfigError(
                    f"{option} {name}: the sweep {sweep.name!r} does not have it, and the option only narrows. "
                    f"{nearest(name, have)}{hint}"
                )
        changes[key] = tuple(value for name, value in have.items() if name in names)
    return sweep.model_copy(update=changes)


def narrow_transports(sweep: Sweep, wanted: Sequence[str]) -> Sweep:
    """Keep only the transports that were asked for, in the sweep's order. Raises ConfigError for one it has not."""
    have = sweep.remote.transports
    for name in wanted:
        if name not in have:
            hint = f" To put another in its place: --set remote.transports={name}" if name in TRANSPORTS else ""
            raise ConfigError(
                f"--transport {name}: the sweep {sweep.name!r} does not have it. {nearest(name, have)}{hint}"
            )
    kept = tuple(name for name in have if name in wanted or not wanted)
    return sweep.model_copy(update={"remote": sweep.remote.model_copy(update={"transports": kept})})


def operation_of(name: str, option: str) -> str:
    """The operation that an option gives. Raises ConfigError that names the option and the nearest."""
    if name not in OPERATIONS:
        raise ConfigError(f"{option} {name}: there is no such operation. {nearest(name, OPERATIONS)}")
    return name


def resolution_of(text: str, option: str) -> Resolution:
    """The resolution that an option gives. Raises ConfigError that names the option."""
    try:
        return parse_resolution(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text}: {error}.") from None
