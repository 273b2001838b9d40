"""Lines that are checked without building their models, which takes a fraction of the time.

Files of 100,000 records hold mostly lines that this version wrote on this machine. Their stages and telemetry are
checked by msgspec types, which are made from the models and accept what the models accept, or less; a line that these
refuse is left to `record_of`, which decides. `unbuilt_record` keeps a checked line as it is until its record is shown;
`built_record` makes its models at once, without validating them again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bench.errors import ResultsError
from bench.record import (
    SCHEMA_VERSION,
    Case,
    Device,
    Kind,
    Memory,
    Outcome,
    Prediction,
    Record,
    Run,
    Stage,
    Telemetry,
    Timing,
    contradictions,
)
from bench.store.line import CACHE_SIZE, UNIQUE_FIELDS, record_of, shared_value, whole_number
from bench.store.stand_in import stand_in_of

#: Numbers from here on may not fit in 64 bits: `record_of` judges their lines.
_GREATEST = 10**18
_set = object.__setattr__
#: The model or dataclass that each msgspec type is made from, and the names of its fields that hold such.
_MODELS: dict[type[msgspec.Struct], tuple[type, Sequence[str]]] = {}
_Model = TypeVar("_Model", bound=BaseModel)
#: The fields of a line but for one that only pipelines have: their lines, of several stages, are left to `record_of`.
_NAMES = tuple(name for name in Record.model_fields if name != "loading")
_VERSION = str(SCHEMA_VERSION).encode()
#: Fields that are the same in most lines of a run, and those of which other lines have the same value.
_SAME_IN_RUNS = ("schema_version", "kind", "device", "vram_limit_bytes", "run", "environment", "measure", "source")
_VARYING = tuple(name for name in _NAMES if name not in (*_SAME_IN_RUNS, *UNIQUE_FIELDS))
_texts_same_in_runs = itemgetter(*map(_NAMES.index, _SAME_IN_RUNS))
#: The length of a line whose values are empty, as this program writes lines: with every field once, and no spaces.
_FRAME = len("{}") + sum(len(f'"{name}":,') for name in _NAMES) - len(",")


class UnbuiltRecord(msgspec.Struct, frozen=True, gc=False):
    """A good line, and the fields by which it is chosen. A dataclass takes six times as long to make."""

    line: bytes
    kind: Kind
    case: Case
    device: Device
    vram_limit_bytes: int | None
    run: Run
    stand_in: str | None

    @property
    def key(self) -> tuple[str, str, str | None, int | None, str, str]:
        """The same as the record's."""
        device = self.device
        return (self.case.id, device.name, device.identity, self.vram_limit_bytes, self.kind, self.run.id)

    def build(self) -> Record:
        """The record of the line, which was checked."""
        return _of_checked(_decoded(self.line))


class _Draft(msgspec.Struct, gc=False):
    """A record with its stages and telemetry as msgspec reads them, which is enough to find contradictions."""

    kind: Kind
    device: Device
    outcome: Outcome
    stages: Sequence[Stage]
    telemetry: Telemetry | None
    prediction: Prediction | None

    @property
    def timing(self) -> Timing | None:
        return self.stages[0].timing if self.stages else None

    @property
    def memory(self) -> Memory | None:
        return self.stages[0].memory if self.stages else None


_DRAFTED = itemgetter(*_Draft.__struct_fields__)


def unbuilt_record(line: bytes, where: str) -> UnbuiltRecord | Record:
    """The record of a line, unbuilt if that is possible. Raises what `record_of` raises."""
    values = _values(line)
    if values is None:
        return record_of(line, where)
    return UnbuiltRecord(
        line,
        values["kind"],
        values["case"],
        values["device"],
        values["vram_limit_bytes"],
        values["run"],
        stand_in_of(values["environment"]),
    )


def built_record(line: bytes, where: str) -> Record:
    """The record of a line. Raises what `record_of` raises."""
    values = _values(line)
    return record_of(line, where) if values is None else _of_checked(values)


def _of_checked(values: dict[str, Any]) -> Record:
    values["stages"] = tuple(map(_model, values["stages"]))
    values["telemetry"] = values["telemetry"] and _model(values["telemetry"])
    values["loading"] = None
    return _of_values(Record, values)


def _values(line: bytes) -> dict[str, Any] | None:
    """The values of a record's fields, the stages and telemetry as msgspec types.

    None if the line may be bad, has another version or several stages, or is of an endpoint.
    """
    try:
        values = _decoded(line)
    except (ValueError, LookupError, RecursionError, ResultsError):  # the first are also pydantic's and msgspec's
        return None
    draft = _Draft(*_DRAFTED(values))
    return None if len(draft.stages) > 1 or any(contradictions(cast("Record", draft))) else values


def _decoded(line: bytes) -> dict[str, Any]:
    """The values of a record's fields, each as its model would have it; together they may contradict themselves.

    Raises ValueError, LookupError, RecursionError or ResultsError for a line that only `record_of` can judge.
    """
    if not line.isascii():
        line.decode()
    texts = msgspec.structs.astuple(_line_decoder().decode(line))
    if len(line) != _FRAME + sum(map(len, texts)):
        raise ValueError("not as this program writes lines")
    values = dict(zip(_NAMES, texts, strict=True))
    values.update(_same_in_runs(tuple(map(bytes, _texts_same_in_runs(texts)))))
    for name in _VARYING:
        values[name] = _repeated(name, bytes(values[name]))
    for name, decode in _decoders():
        values[name] = decode(values[name])
    if values["prediction"] is not None:
        values["prediction"] = _model(values["prediction"])
    return values


@lru_cache(maxsize=CACHE_SIZE)
def _same_in_runs(texts: tuple[bytes, ...]) -> dict[str, Any]:
    """The values of the fields that are the same in most lines of a run, out of their JSON.

    Raises ValueError for another version, and as `_repeated` does.
    """
    if texts[0] != _VERSION:
        raise ValueError("a line of another version")
    return {name: _repeated(name, text) for name, text in zip(_SAME_IN_RUNS, texts, strict=True)}


@lru_cache(maxsize=CACHE_SIZE)
def _repeated(name: str, text: bytes) -> Any:
    """The value of a field that lines repeat, out of its JSON."""
    return shared_value(name, json.loads(text, parse_int=whole_number))


def _model(struct: msgspec.Struct) -> Any:
    """The model or dataclass of a checked msgspec value."""
    values = msgspec.structs.asdict(struct)
    model, inside = _MODELS[type(struct)]
    for name in inside:
        if values[name] is not None:
            values[name] = _model(values[name])
    return _of_values(model, values) if issubclass(model, BaseModel) else model(**values)


def _of_values(model: type[_Model], values: dict[str, Any]) -> _Model:
    """A model of values that were checked; pydantic's own `model_construct` takes six times as long."""
    built = model.__new__(model)
    _set(built, "__dict__", values)
    _set(built, "__pydantic_fields_set__", _all_fields(model))
    _set(built, "__pydantic_extra__", None)
    _set(built, "__pydantic_private__", None)
    return built


@cache
def _all_fields(model: type[BaseModel]) -> set[str]:
    """The names of a model's fields, one set for all records: pydantic's own sets are a third of a record's memory."""
    return set(model.model_fields)


def _msgspec_type(annotation: Any, constraints: Sequence[Any] = ()) -> Any:
    """The msgspec type that accepts what a model's field accepts, or less.

    Raises TypeError for a constraint that msgspec does not know.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _msgspec_type(parts[0], [limit for info in parts[1:] for limit in cast("FieldInfo", info).metadata])
    if origin in (Union, UnionType):
        return Union[tuple(_msgspec_type(part, constraints) for part in parts)]  # noqa: UP007 - of types made here
    if origin is tuple:
        return tuple[tuple(_msgspec_type(part) for part in parts)]  # type: ignore[misc] # of types made here
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)):
        return _struct(annotation)
    limits = {name: value for constraint in constraints for name, value in dataclasses.asdict(constraint).items()}
    if annotation in (int, float):
        limits = {"lt": _GREATEST} | ({} if "ge" in limits or "gt" in limits else {"gt": -_GREATEST}) | limits
    return Annotated[annotation, msgspec.Meta(**limits)] if limits and annotation is not NoneType else annotation


@cache
def _struct(model: type) -> type[msgspec.Struct]:
    """The msgspec type that accepts what a model, or a dataclass in one, accepts, or less."""
    fields = list(_fields_of_model(model) if issubclass(model, BaseModel) else _fields_of_dataclass(model))
    struct = msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=True, gc=False, kw_only=True)
    inside = [name for name, value, _ in fields if any(kind in _MODELS for kind in (value, *get_args(value)))]
    _MODELS[struct] = model, inside
    return struct


def _fields_of_model(model: type[BaseModel]) -> Iterator[tuple[str, Any, Any]]:
    """The name, msgspec type and default of each field."""
    for name, info in model.model_fields.items():
        default = msgspec.NODEFAULT if info.is_required() else info.default
        yield name, _msgspec_type(info.annotation, info.metadata), default


def _fields_of_dataclass(model: type) -> Iterator[tuple[str, Any, Any]]:
    """The same of a dataclass whose fields have plain defaults."""
    hints = get_type_hints(model, include_extras=True)
    for field in dataclasses.fields(model):
        default = msgspec.NODEFAULT if field.default is dataclasses.MISSING else field.default
        yield field.name, _msgspec_type(hints[field.name]), default


@cache
def _line_decoder() -> msgspec.json.Decoder[msgspec.Struct]:
    """Splits a line into the JSON of its fields."""
    fields = [(name, msgspec.Raw) for name in _NAMES]
    return msgspec.json.Decoder(msgspec.defstruct("Line", fields, forbid_unknown_fields=True, gc=False))


@cache
def _decoders() -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """What decodes each field that lines rarely repeat. Lines of endpoints are not for it."""
    fields = {name: field for name, field in Record.model_fields.items() if name in UNIQUE_FIELDS}
    types = {
        name: _msgspec_type(field.annotation, field.metadata) for name, field in fields.items() if name != "remote"
    }
    return tuple((name, msgspec.json.Decoder(kind).decode) for name, kind in {"remote": None, **types}.items())
