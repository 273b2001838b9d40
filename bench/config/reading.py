"""From a YAML file and `--set` to a Sweep. Every complaint names the file or option, the key and the nearest name."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from bench.config.sweep import LoadSettings, OverlapSettings, RemoteSettings, Sweep
from bench.config.values import NAME_LENGTH
from bench.errors import ConfigError, nearest
from bench.record import MeasureSettings

_MEASURE_KEYS = [key for key in MeasureSettings.model_fields if key != "min_samples"]
#: What `remote` has parts of, and their keys.
_REMOTE_KEYS: dict[str, Iterable[str]] = {
    "load": LoadSettings.model_fields,
    "overlap": OverlapSettings.model_fields,
}
_PACKAGE = Path(__file__).resolve().parents[1]


class _Loader(yaml.SafeLoader):
    """PyYAML takes the last of two equal keys without a word; this says so."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        doubled = next((key for key in keys if keys.count(key) > 1), None)
        if doubled is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {doubled!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def shipped() -> dict[str, Path]:
    """The sweeps that come with the program, by name: from the wheel, or from a checkout's `configs/`."""
    folder = next((f for f in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if f.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def find(name: str) -> Path:
    """The file of a sweep: a path, or the name of a shipped one (`docs`, `docs.yaml` or `configs/docs.yaml`)."""
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError) as error:  # a name too long, a user that is not there
        raise ConfigError(f"There is no sweep {name[:80]!r}: {error}.") from None
    known = shipped()
    plain = len(path.parts) == 1 or path.parts[:-1] == ("configs",)
    if plain and path.suffix in {"", ".yaml"} and path.stem in known:
        return known[path.stem]
    if name and path.is_dir():
        raise ConfigError(f"{name} is a folder, not a sweep. Name a YAML file in it.")
    raise ConfigError(f"There is no sweep {name!r}: no such file, and no shipped sweep. {nearest(path.stem, known)}")


def load(path: Path, overrides: Sequence[str] = (), options: Mapping[str, str] = MappingProxyType({})) -> Sweep:
    """Read a sweep and lay `key=value` overrides over it. Raises ConfigError.

    `options` are the keys that the user set by an option other than --set, with that option's name.
    """
    data = _read_yaml(path)
    data.setdefault("name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:NAME_LENGTH] or "sweep")
    keys = [_override(data, item) for item in overrides]
    overridden = {key: options.get(key, f"--set {key}") for key in keys}
    try:
        return Sweep.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, overridden)) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}. Check the path and its permissions.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text. A sweep is a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-02-30
        what = " ".join(str(error).split())
        raise ConfigError(f"{path}: is not valid YAML: {what}") from None
    if data is None:
        raise ConfigError(f"{path}: the sweep is empty. It needs at least `models` and `resolutions`.")
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a sweep is a mapping of keys to values. {nearest('', Sweep.model_fields)}")
    return {str(key): value for key, value in data.items()}


def _override(data: dict[str, Any], item: str) -> str:
    """Lay one `key=value` over `data`; return the key."""
    key, equals, text = item.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {item!r}: write key=value, like --set repeats=5 or --set measure.max_time=3.")
    first, _, second = key.partition(".")
    if first not in Sweep.model_fields:
        raise ConfigError(f"--set {item!r}: unknown key {first!r}. {nearest(first, Sweep.model_fields)}")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"--set {item!r}: {text!r} is not a YAML value.") from None
    if second and first not in {"measure", "remote"}:
        raise ConfigError(f"--set {item!r}: {first!r} has no parts. Write --set {first}=...")
    _put(data, key.split("."), value)
    return key


def _put(data: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Lay a value over a nested key. What is no mapping on the way is left, and complained of when it is read."""
    first, *rest = keys
    if not rest:
        data[first] = value
        return
    whole = data.get(first) or {}
    if isinstance(whole, dict):
        data[first] = dict(whole)
        _put(data[first], rest, value)


def _explain(error: ValidationError, path: Path, overridden: Mapping[str, str]) -> str:
    """One paragraph from pydantic's list: each complaint with the file (or option) and key that it is about."""
    said: list[str] = []
    for item in error.errors():
        keys = [str(part) for part in item["loc"]]
        option = next((key for key in overridden if keys and _about(keys, key.split("."))), None)
        where = overridden[option] if option else f"{path}: key `{'.'.join(keys[: _depth(keys)])}`"
        if item["type"] == "extra_forbidden":
            fields = _fields(keys)
            text = f"{where}: unknown key {keys[-1]!r}. {nearest(keys[-1], fields)}"
        elif item["type"] == "missing":
            text = f"{path}: key `{'.'.join(keys)}` is missing, and a sweep needs it."
        else:
            message = item["msg"].removeprefix("Value error, ").rstrip(".")
            given = "" if item["type"] == "value_error" else f" (it says {reprlib.repr(item['input'])})"
            text = f"{where}: {message}{given}."
        if text not in said:
            said.append(text)
    return " ".join(said)


def _about(keys: Sequence[str], option: Sequence[str]) -> bool:
    """Whether a complaint is of the key that an option set, of one inside it, or of the whole that it is part of."""
    return all(one == other for one, other in zip(keys, option, strict=False))


def _depth(keys: Sequence[str]) -> int:
    """How many parts of a place name a key; what follows are places in lists, and pydantic's own words."""
    return 3 if keys[0] == "remote" and len(keys) > 1 and keys[1] in _REMOTE_KEYS else 2


def _fields(keys: Sequence[str]) -> Iterable[str]:
    """The keys that are valid where an unknown one stands."""
    if keys[0] == "measure":
        return _MEASURE_KEYS
    if keys[0] == "remote":
        return _REMOTE_KEYS[keys[1]] if len(keys) > 2 else RemoteSettings.model_fields
    return Sweep.model_fields
