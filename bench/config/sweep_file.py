"""Reads a YAML file and `--set` into a Sweep. Every error names the file or option, the key and the nearest name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from bench.config.sweep import AxisError, Sweep, sweep_model
from bench.config.values import NAME_LENGTH
from bench.config.yaml_file import TooLargeError, complaints, configs, parse, place_of, read_mapping
from bench.errors import ConfigError, nearest, quoted, unknown

#: Shipped files that are not sweeps.
_NO_SWEEPS = {"gpus", "networks", "prices"}


def shipped() -> dict[str, Path]:
    """The shipped sweeps, by name."""
    return {name: path for name, path in configs().items() if name not in _NO_SWEEPS}


def find(name: str) -> Path:
    """The file of a sweep: a path, `-` (standard input), or a shipped sweep by name: `docs` or `configs/docs.yaml`."""
    try:
        path = Path("/dev/stdin") if name == "-" else Path(name).expanduser()
        if path.exists() and not path.is_dir():  # a file, or a pipe: `bench run <(...)`
            return path
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, an unknown user, a NUL byte
        raise ConfigError(f"There is no sweep {quoted(name)}: {error}.") from None
    known = shipped()
    plain = len(path.parts) == 1 or path.parts[:-1] == ("configs",)
    if plain and path.suffix in {"", ".yaml"} and path.stem in known:
        return known[path.stem]
    if name and path.is_dir():
        raise ConfigError(f"{name} is a folder, not a sweep. Name a YAML file in it.")
    raise ConfigError(
        f"There is no sweep {quoted(name)}: no such file, and no shipped sweep. {nearest(path.stem, known)}"
    )


def load(
    path: Path,
    overrides: Sequence[str] = (),
    options: Mapping[str, str] = MappingProxyType({}),
    *,
    check_axes: bool = True,
) -> Sweep:
    """Read a sweep, and apply `key=value` overrides. Raises ConfigError.

    `options` maps keys to the option that set them, if it was not --set. Without `check_axes` the values of axes need
    not suit the sweep's models, because others will replace them (`choose`); `plan.make` checks them.
    """
    data = read_mapping(path, "a sweep", list(sweep_model().model_fields), "`models` and `resolutions`")
    data.setdefault("name", _name_of(path))
    keys = [_override(data, item) for item in overrides]
    overridden = {key: options.get(key, f"--set {key}") for key in keys}
    try:
        sweep = sweep_model().model_validate(data)
    except ValidationError as error:
        raise ConfigError(*complaints(error, sweep_model(), path, partial(_option_of, overridden))) from None
    try:
        for model in sweep.models if check_axes else ():
            sweep.values_of(model)
    except AxisError as error:
        if error.is_missing:
            raise ConfigError(f"{path}: required key `{error.key}` is missing: {error}.") from None
        place = _option_of(overridden, [error.key]) or place_of(path, [error.key])
        raise ConfigError(f"{place}: {error}.") from None
    return sweep


def _name_of(path: Path) -> str:
    """A sweep's name, after its file; `sweep` for a pipe."""
    stem = path.stem if path.is_file() and path.parts[:2] != ("/", "dev") else ""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:NAME_LENGTH] or "sweep"


def _override(data: dict[str, Any], item: str) -> str:
    """Set one `key=value` in `data`, and return the key."""
    key, equals, text = item.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {quoted(item)}: write key=value, like --set repeats=5 or --set measure.max_time=3.")
    first, _, second = key.partition(".")
    if first not in sweep_model().model_fields:
        raise ConfigError(f"--set {quoted(item)}: {unknown('key', first, sweep_model().model_fields)}")
    try:
        value = parse(text)
    except TooLargeError as error:
        raise ConfigError(f"--set {quoted(item)}: {error}.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"--set {quoted(item)}: {quoted(text)} is not a YAML value.") from None
    if second and first not in {"measure", "remote"}:
        raise ConfigError(f"--set {quoted(item)}: {quoted(first)} has no nested keys. Write --set {first}=...")
    _put(data, key.split("."), value)
    return key


def _put(data: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set a nested key. A value on the way that is not a mapping is kept: validation reports it."""
    first, *rest = keys
    if not rest:
        data[first] = value
        return
    whole = data.get(first) or {}
    if isinstance(whole, dict):
        data[first] = dict(whole)
        _put(data[first], rest, value)


def _option_of(overridden: Mapping[str, str], keys: Sequence[str | int]) -> str | None:
    """The option that set this key, a key around it, or a key inside it; None if the file did."""
    for key, option in overridden.items():
        if keys and all(given == part for given, part in zip(keys, key.split("."), strict=False)):
            return option
    return None
