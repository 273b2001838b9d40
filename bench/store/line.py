"""Parses a line of a results file: `record_of` parses or rejects any line; `quick_record` is faster for most good ones.

Lines of a file repeat the same case, device, run and environment. `quick_record` splits a line into its fields
unparsed, and parses and validates each distinct value of a repeated field once. It validates with the same models as
`record_of`, and never rejects a line: if it returns None, use `record_of`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache, lru_cache, partial
from itertools import chain
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.errors import ResultsError, in_plain_words, listed, printable
from bench.record import Case, Record, contradictions
from bench.store.migrations import OF_A_STAGE, STAGES_SINCE, migrate
from bench.workloads import models

#: The most characters of a line that an error repeats.
_MOST_SHOWN = 160
#: Fields whose values rarely repeat between lines.
UNIQUE_FIELDS = ("stages", "telemetry", "remote", "prediction", "wall_s", "recorded_at")
#: How many values of the other fields are cached.
_CACHE_SIZE = 1 << 16

_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type] # made at run time
    for name, field in Record.model_fields.items()
}
#: Validates the text of each field whose values rarely repeat.
_UNIQUE = {name: _ADAPTERS[name].validator.validate_json for name in UNIQUE_FIELDS}
#: Splits a line into its fields; of two fields of one name the last counts, as in `json`.
_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

#: Maps digits to 0, what may stand before a number to a space, and all else to a point.
_SHAPE = bytes(48 if 48 <= byte < 58 else 32 if byte in b":,[- \t\r\n" else 46 for byte in range(256))
#: The shape of an integer of 19 or more digits, which may not fit in 64 bits: `record_of` checks such lines.
_LONG_NUMBER = b" " + b"0" * 19


class TornLineError(ResultsError):
    """A line that is not JSON: the last line of a file, if it was cut off."""


def record_of(line: bytes, where: str) -> Record:
    """The record of a line of any schema version. `where` is its file and line number, for messages.

    Raises ResultsError for a line that is not JSON (TornLineError), is not a record, has a newer schema version
    (NewerLineError), or contradicts itself.
    """
    try:
        data = json.loads(line, parse_int=partial(_whole_number, where=where))
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        raise TornLineError(
            f"{where} is not valid JSON. Restore it if the file was edited, or delete the line."
        ) from None
    try:
        record = Record.model_validate(migrate(data, where))
    except ValidationError as error:
        first = error.errors()[0]
        field = printable(".".join(str(part) for part in first["loc"]), _MOST_SHOWN)
        problem = printable(in_plain_words(first), _MOST_SHOWN)
        raise ResultsError(f"{where} is not a record of this program: `{field}` {problem}.") from None
    contradiction = _contradiction(record)
    if contradiction is not None:
        raise ResultsError(f"{where} contradicts itself: {contradiction}. Was the line edited?")
    return record


def quick_record(line: bytes) -> Record | None:
    """The record that `record_of` returns for the line; None if parsing it takes longer, or if `record_of` raises."""
    try:
        if not line.isascii():
            line.decode()  # raises for invalid UTF-8, also in a field that a later one of its name replaces
        if _LONG_NUMBER in line.translate(_SHAPE):
            return None
        record = _joined(_split(line))
    except (ValueError, LookupError, RecursionError, ResultsError):  # the first are also pydantic's and msgspec's
        return None
    return record if not any(contradictions(record)) else None


def _joined(fields: dict[str, msgspec.Raw]) -> Record:
    """A record out of the unparsed fields of a line. Raises ValueError, LookupError or ResultsError."""
    version = int(bytes(fields["schema_version"]))
    texts = {name: bytes(raw) for name, raw in fields.items()}
    if version < STAGES_SINCE:
        texts = _with_stages(texts)
    values = {
        name: _UNIQUE[name](text) if name in _UNIQUE and text != b"null" else cached_value(version, name, text)
        for name, text in texts.items()
    }
    record = Record.model_validate(values)
    _share_field_names(record)
    return record


def _with_stages(texts: dict[str, bytes]) -> dict[str, bytes]:
    """The fields of an older line, with the fields of a stage moved into `stages` as `migrate` does.

    Raises ValueError if the line has stages already.
    """
    if "stages" in texts:
        raise ValueError("stages in a line of a version that had none")
    stage = {name: texts[name] for name in OF_A_STAGE if name in texts}
    rest = {name: text for name, text in texts.items() if name not in stage}
    if all(text == b"null" for text in stage.values()):
        return rest
    operation = bytes(_split(texts["case"])["operation"])
    inside = b",".join([b'"name":' + operation, *(f'"{name}":'.encode() + text for name, text in stage.items())])
    return rest | {"stages": b"[{" + inside + b"}]"}


@lru_cache(maxsize=_CACHE_SIZE)
def cached_value(version: int, name: str, text: bytes) -> Any:
    """The validated value of a field that lines repeat. Raises ValueError, LookupError or ResultsError."""
    if _LONG_NUMBER in (b" " + text).translate(_SHAPE):
        raise ValueError("a number may not fit in 64 bits")
    line = migrate({"schema_version": version, name: json.loads(text)}, where=name)
    value = _ADAPTERS[name].validate_python(line[name])
    if isinstance(value, Case) and any(_wrong_axes(value)):
        raise ValueError("the axes are not those of the model")
    return value


def _share_field_names(record: Record) -> None:
    """Share equal sets of field names: pydantic keeps a set per model, which is a third of a record's memory."""
    parts: list[BaseModel | None] = [record, record.telemetry]
    for stage in record.stages:
        parts += (stage, stage.timing, stage.memory)
    for part in parts:
        if part is not None:
            names = part.__pydantic_fields_set__
            shared = all_fields(type(part))
            object.__setattr__(
                part, "__pydantic_fields_set__", shared if len(names) == len(shared) else _shared_set(frozenset(names))
            )


@cache
def all_fields(model: type[BaseModel]) -> set[str]:
    """The names of a model's fields, one set for all records."""
    return set(model.model_fields)


@lru_cache(maxsize=1024)
def _shared_set(names: frozenset[str]) -> set[str]:
    return set(names)


def _contradiction(record: Record) -> str | None:
    """The first contradiction between a record's fields, in words."""
    return next(chain(contradictions(record), _wrong_axes(record.case)), None)


def _wrong_axes(case: Case) -> Iterator[str]:
    """A phrase if the axes of a case are not those of its model, if the model is known here."""
    if case.model not in models.zoo():
        return
    known = models.axes(case.model)
    if set(case.axes) != set(known):
        yield f"{case.model} has the axes {listed(known)}, but the case has {listed(case.axes)}"


def _whole_number(digits: str, where: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ResultsError(f"{where} has the number {digits[:24]}, but all numbers of a record fit in 64 bits.")
    return int(digits)
