"""YAML files that users write: read safely, and complaints that name the file, the key and the nearest valid one."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import ConfigError, nearest

#: Fields that have another key: a sweep's `repeats` says it.
_NOT_TO_BE_SET = {"min_samples"}
_PACKAGE = Path(__file__).resolve().parents[1]
_Model = TypeVar("_Model", bound=BaseModel)


class Loader(yaml.SafeLoader):
    """PyYAML takes the last of two equal keys without a word; this says so."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        doubled = next((key for key in keys if keys.count(key) > 1), None)
        if doubled is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {doubled!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def configs() -> dict[str, Path]:
    """The YAML files that come with the program, by name: from the wheel, or from a checkout's `configs/`."""
    folder = next((f for f in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if f.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def read_mapping(path: Path, what: str, keys: Sequence[str], needs: str) -> dict[str, Any]:
    """The mapping that a file holds, keys as text. Raises ConfigError.

    `what` names such a file (`a sweep`), `keys` its valid ones, `needs` those that it can't do without.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}. Check the path and its permissions.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text. {what[0].upper()}{what[1:]} is a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-02-30
        said = " ".join(str(error).split())
        raise ConfigError(f"{path}: is not valid YAML: {said}") from None
    if data is None:
        raise ConfigError(f"{path}: {what.split(' ', 1)[-1]} is empty. It needs at least {needs}.")
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: {what} is a mapping of keys to values. {nearest('', keys)}")
    return {str(key): value for key, value in data.items()}


def load_as(model: type[_Model], path: Path, what: str) -> _Model:
    """A file as that model; `what` names such a file (`a file of prices`).

    Raises ConfigError that names file, key and nearest valid key for each complaint.
    """
    fields = model.model_fields
    needs = " and ".join(f"`{key}`" for key, field in fields.items() if field.is_required())
    data = read_mapping(path, what, list(fields), needs)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(" ".join(complaints(error, model, "such a file", lambda keys: _place(path, keys)))) from None


def complaints(
    error: ValidationError, model: type[BaseModel], what: str, place: Callable[[Sequence[str]], str]
) -> list[str]:
    """pydantic's list as sentences, each once. `what` names the file (`a sweep`), `place` the place of a key in it."""
    said = [_complaint(item, model, what, place) for item in error.errors()]
    return list(dict.fromkeys(said))


def _complaint(item: ErrorDetails, model: type[BaseModel], what: str, place: Callable[[Sequence[str]], str]) -> str:
    keys = [str(part) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        valid = [key for key in fields_at(model, keys[:-1]) if key not in _NOT_TO_BE_SET]
        return f"{place(keys)}: unknown key {keys[-1]!r}. {nearest(keys[-1], valid)}"
    if item["type"] == "missing":
        return f"{place(keys[:-1]) if keys[:-1] else place(())}: key `{keys[-1]}` is missing, and {what} needs it."
    message = item["msg"].removeprefix("Value error, ").rstrip(".")
    given = "" if item["type"] == "value_error" else f" (it says {reprlib.repr(item['input'])})"
    return f"{place(keys)}: {message}{given}."


def fields_at(model: type[BaseModel], keys: Sequence[str]) -> Iterable[str]:
    """The keys that are valid in the mapping that stands under `keys`."""
    here: type[BaseModel] = model
    rest = list(keys)
    while rest:
        field = here.model_fields.get(rest.pop(0))
        inner = _model_in(field.annotation) if field else None
        if field is None or inner is None:
            break
        if _is_mapping(field.annotation) and rest:
            rest.pop(0)  # a name that the user gave
        here = inner
    return here.model_fields


def _place(path: Path, keys: Sequence[str]) -> str:
    return f"{path}: key `{'.'.join(keys)}`" if keys else str(path)


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation speaks of: `X`, `X | None`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
