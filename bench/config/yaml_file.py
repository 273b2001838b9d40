"""Reads users' YAML files safely; errors name the file, the key and the nearest valid key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import ConfigError, nearest, printable, quoted

#: Fields that can't be set by their own name: a sweep sets this one by `repeats`.
_NOT_TO_BE_SET = {"min_samples"}
_PACKAGE = Path(__file__).resolve().parents[1]
_Model = TypeVar("_Model", bound=BaseModel)


#: Bounds that no real file reaches: the largest shipped file (gpus.yaml) stays far below them.
MOST_BYTES = 2**20
_MOST_VALUES, _MOST_LEVELS, _MOST_CHARACTERS = 20_000, 32, 10_000
#: The most errors that are listed for one file; fixing these reveals the others.
_MOST_COMPLAINTS = 5
#: libyaml's scanner is twenty times as fast, if PyYAML was built with it.
_Scanner = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooLargeError(ValueError):
    """A YAML text is larger than any file needs, as written or with its aliases expanded; the message says how."""


class Loader(yaml.SafeLoader):
    """Refuses duplicate keys and huge whole numbers, which PyYAML accepts."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node. Raises ConstructorError if it does not fit its tag (`!!int ""`, `!!bool x`)."""
        try:
            return super().construct_object(node, deep=deep)
        except (IndexError, KeyError, AttributeError, TypeError):
            problem = f"{quoted(node.value)} is not a value of {quoted(node.tag)}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        duplicate = next((key for key, count in keys.items() if count > 1), None)
        if duplicate is not None:
            problem = f"duplicate key {quoted(duplicate)}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        """A whole number of at most 64 bits: no quantity needs more, and Python can't print more than 4300 digits."""
        number = self.construct_yaml_int(node)
        if not -(2**63) <= number < 2**63:
            problem = "a whole number has more than 64 bits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return int(number)


Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_whole_number)


def parse(text: str) -> Any:
    """The value of a YAML text. The program reads all YAML through this.

    Raises TooLargeError before any alias is expanded, and yaml.YAMLError, ValueError (a date such as 2026-02-30) or
    RecursionError for invalid YAML.
    """
    _check_size(text)
    return yaml.load(text, Loader=Loader)  # noqa: S506 - a SafeLoader


def _check_size(text: str) -> None:
    """Count values without expanding aliases; an alias counts as all the values it stands for. Raises TooLargeError."""
    sizes: dict[str, int] = {}
    collections: list[tuple[str | None, int]] = []  # open ones: anchor, and count at their start
    count = 0
    for event in yaml.parse(text, Loader=_Scanner):
        if isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            if any(name == anchor for anchor, _ in collections):
                raise TooLargeError(f"the alias *{printable(name, 80)} is inside the value that it refers to")
            count += sizes.get(name, 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = collections.pop()
            sizes |= {anchor: count - before} if anchor else {}
        elif isinstance(event, yaml.CollectionStartEvent):
            collections.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.ScalarEvent):
            sizes |= {event.anchor: 1} if event.anchor else {}
            count += 1
            _check_length(event.value)
        if len(collections) > _MOST_LEVELS:
            raise TooLargeError(f"it nests more than {_MOST_LEVELS} levels deep")
        count = min(count, 10**12)  # each level of a bomb multiplies it
    if count > _MOST_VALUES:
        raise TooLargeError(
            f"it holds {count:,} values with aliases expanded, but at most {_MOST_VALUES:,} are allowed. Shorten its "
            "lists, or split it into several files"
        )


def _check_length(value: str) -> None:
    if len(value) > _MOST_CHARACTERS:
        raise TooLargeError(
            f"one of its values has {len(value):,} characters, but at most {_MOST_CHARACTERS:,} are allowed"
        )


def configs() -> dict[str, Path]:
    """The shipped YAML files by name: in the wheel, or in a checkout's `configs/`."""
    folder = next((f for f in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if f.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def read_mapping(path: Path, what: str, keys: Sequence[str], needs: str) -> dict[str, Any]:
    """The mapping in a file, with its keys as text. Raises ConfigError.

    Args:
        path: the file.
        what: the kind of file in words (`a sweep`).
        keys: its valid keys.
        needs: the keys that it must have, in words.
    """
    try:
        with path.open("rb") as file:  # once: it may be a pipe
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError(
                f"{path}: is larger than {MOST_BYTES // 2**20} MiB, which {what} never is. Check the path."
            )
        data = parse(content.decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}. Check the path and its permissions.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text, but {what} is a YAML file. Check the path.") from None
    except TooLargeError as error:
        raise ConfigError(f"{path}: {error}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    if data is None:
        raise ConfigError(f"{path}: {what.split(' ', 1)[-1]} is empty. It needs at least {needs}.")
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: {what} is a mapping of keys to values. {nearest('', keys)}")
    return {str(key): value for key, value in data.items()}


def load_as(model: type[_Model], path: Path, what: str) -> _Model:
    """A file parsed as that model; `what` is the kind of file in words (`a file of prices`).

    Raises ConfigError that names the file, the key and the nearest valid key for each error.
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
    """pydantic's errors as sentences, without duplicates; `what` is the kind of file, `place` names a key in it."""
    items = error.errors(include_url=False)
    sentences: dict[str, None] = {}
    for number, item in enumerate(items):
        if len(sentences) == _MOST_COMPLAINTS:
            return [*sentences, f"And {len(items) - number:,} more errors."]
        sentences[_complaint(item, model, what, place)] = None
    return list(sentences)


def _complaint(item: ErrorDetails, model: type[BaseModel], what: str, place: Callable[[Sequence[str]], str]) -> str:
    keys = [printable(str(part), 80) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        valid = [key for key in fields_at(model, keys[:-1]) if key not in _NOT_TO_BE_SET]
        return f"{place(keys)}: unknown key {quoted(keys[-1])}. {nearest(keys[-1], valid)}"
    if item["type"] == "missing":
        return f"{place(keys[:-1]) if keys[:-1] else place(())}: key `{keys[-1]}` is missing, and {what} needs it."
    message = item["msg"].removeprefix("Value error, ").rstrip(".")
    given = "" if item["type"] == "value_error" else f" (got {quoted(item['input'])})"
    return f"{place(keys)}: {message}{given}."


def fields_at(model: type[BaseModel], keys: Sequence[str]) -> Iterable[str]:
    """The valid keys of the mapping at `keys`."""
    here: type[BaseModel] = model
    rest = list(keys)
    while rest:
        field = here.model_fields.get(rest.pop(0))
        inner = _model_in(field.annotation) if field else None
        if field is None or inner is None:
            break
        if getattr(field.annotation, "__origin__", None) is dict and rest:
            rest.pop(0)  # a name that the user gave
        here = inner
    return here.model_fields


def _place(path: Path, keys: Sequence[str]) -> str:
    return f"{path}: key `{'.'.join(keys)}`" if keys else str(path)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation: `X`, `X | None`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
