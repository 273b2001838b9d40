"""Reads users' YAML files safely; errors name the file, the key and the nearest valid key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import ConfigError, in_plain_words, nearest, printable, quoted, unknown

#: Fields that can't be set by their own name: a sweep sets this one by `repeats`.
_UNSETTABLE = {"min_samples"}
_PACKAGE = Path(__file__).resolve().parents[1]
_Model = TypeVar("_Model", bound=BaseModel)

#: Bounds that no real file reaches: the largest shipped file (gpus.yaml) stays far below them.
MOST_BYTES = 2**20
_MOST_VALUES, _MOST_LEVELS, _MOST_CHARACTERS = 20_000, 32, 10_000
#: The most errors that are listed for one file; fixing these reveals the others.
_MOST_COMPLAINTS = 5
#: libyaml's parser is twenty times as fast, if PyYAML was built with it.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooLargeError(ValueError):
    """A YAML text is larger than any file needs, as written or with its aliases expanded; the message says how."""


class Loader(_SafeLoader):  # type: ignore[misc] # one of two classes
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
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping

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
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            count += _size_of(event, sizes, [anchor for anchor, _ in collections])
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = collections.pop()
            sizes |= {anchor: count - before} if anchor else {}
        elif isinstance(event, yaml.CollectionStartEvent):
            collections.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.ScalarEvent):
            sizes |= {event.anchor: 1} if event.anchor else {}
            count += 1
            if len(event.value) > _MOST_CHARACTERS:
                length = f"{len(event.value):,} characters"
                raise TooLargeError(f"one of its values has {length}, but at most {_MOST_CHARACTERS:,} are allowed")
        if len(collections) > _MOST_LEVELS:
            raise TooLargeError(f"it nests more than {_MOST_LEVELS} levels deep")
        count = min(count, 10**12)  # each level of a bomb multiplies it
    if count > _MOST_VALUES:
        raise TooLargeError(
            f"it holds {count:,} values with aliases expanded, but at most {_MOST_VALUES:,} are allowed. Shorten its "
            "lists, or split it into several files"
        )


def _size_of(alias: yaml.AliasEvent, sizes: Mapping[str, int], around: Iterable[str | None]) -> int:
    """The values that an alias stands for, by the sizes of complete values and the anchors of those around it."""
    name = str(alias.anchor)
    if name in around:
        raise TooLargeError(f"the alias *{printable(name, 80)} is inside the value that it refers to")
    if name not in sizes:  # libyaml's own error does not name it
        mark: Any = alias.start_mark  # libyaml's marks have a class of their own
        raise yaml.composer.ComposerError(None, None, f"found undefined alias {quoted(name)}", mark)
    return sizes[name]


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
                f"{path} is larger than {MOST_BYTES // 2**20} MiB, which {what} never is. Check the path."
            )
        data = parse(content.decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"Can't read {path}: {error.strerror}. Check the path and its permissions.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text, but {what} is a YAML file. Check the path.") from None
    except TooLargeError as error:
        raise ConfigError(f"{path}: {error}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}{_syntax_error(error)}.") from None
    if data is None:
        raise ConfigError(f"{path} is empty, but {what} needs at least {needs}.")
    if not isinstance(data, dict):
        given = "list" if isinstance(data, list) else "single value"
        raise ConfigError(f"{path} is a {given}, but {what} is a mapping of keys to values. {nearest('', keys)}")
    return {str(key): value for key, value in data.items()}


def _syntax_error(error: Exception) -> str:
    """`, line 3, column 14: not valid YAML: expected ',' or ']'`; without a place if the parser gives none."""
    mark = getattr(error, "problem_mark", None)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return f"{place}: not valid YAML: {' '.join(reason.split()).replace('did not find expected', 'expected')}"


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
        raise ConfigError(*complaints(error, model, path)) from None


def complaints(
    error: ValidationError,
    model: type[BaseModel],
    path: Path,
    option_of: Callable[[Sequence[str | int]], str | None] = lambda _: None,
) -> list[str]:
    """pydantic's errors as sentences, without duplicates. `option_of` gives the option that set a key, if one did."""
    items = error.errors(include_url=False)
    sentences: dict[str, None] = {}
    for number, item in enumerate(items):
        if len(sentences) == _MOST_COMPLAINTS:
            return [*sentences, f"And {len(items) - number:,} more errors."]
        sentences[_complaint(item, model, path, option_of(item["loc"]))] = None
    return list(sentences)


def _complaint(item: ErrorDetails, model: type[BaseModel], path: Path, option: str | None) -> str:
    keys = item["loc"]
    if item["type"] in {"extra_forbidden", "invalid_key"}:
        *parents, key = map(str, keys)
        valid = [name for name in fields_at(model, parents) if name not in _UNSETTABLE]
        return f"{option or place_of(path, parents)}: {unknown('key', key, valid)}"
    if item["type"] == "missing":
        return f"{path}: required key `{'.'.join(map(str, keys))}` is missing."
    return f"{option or place_of(path, keys)}: {in_plain_words(item)}."


def place_of(path: Path, keys: Sequence[str | int]) -> str:
    """``c.yaml: key `models`, item 1``: a key of a file, for messages. Items are counted from 1."""
    if not keys:
        return str(path)
    names = ".".join(printable(key, 80) for key in keys if isinstance(key, str))
    return f"{path}: key `{names}`{''.join(f', item {key + 1}' for key in keys if isinstance(key, int))}"


def fields_at(model: type[BaseModel], keys: Sequence[str]) -> Iterable[str]:
    """The valid keys of the mapping at `keys`."""
    rest = list(keys)
    while rest:
        field = model.model_fields.get(rest.pop(0))
        inner = _model_in(field.annotation) if field else None
        if field is None or inner is None:
            break
        if getattr(field.annotation, "__origin__", None) is dict and rest:
            rest.pop(0)  # a name that the user gave
        model = inner
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation: `X`, `X | None`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
