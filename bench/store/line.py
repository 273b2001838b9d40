"""The record of a line of a results file.

Lines of a file repeat the same case, device, run and environment, so each distinct value of these is validated once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import chain
from typing import Annotated, Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from bench.errors import ResultsError, in_plain_words, listed, printable
from bench.record import Case, Record, contradictions
from bench.store.migrations import migrate
from bench.workloads import models

#: The most characters of a line that an error repeats.
_MOST_SHOWN = 160
#: Fields whose values rarely repeat between lines.
UNIQUE_FIELDS = ("stages", "telemetry", "remote", "prediction", "wall_s", "recorded_at")
#: How many values of the other fields are cached.
CACHE_SIZE = 1 << 16


class TornLineError(ResultsError):
    """A line that is not JSON: the last line of a file, if it was cut off."""


def record_of(line: bytes, where: str) -> Record:
    """The record of a line of any schema version. `where` is its file and line number, for messages.

    Raises ResultsError for a line that is not JSON (TornLineError), is not a record, has a newer schema version
    (NewerLineError), or contradicts itself.
    """
    try:
        data = json.loads(line, parse_int=whole_number)
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        raise TornLineError(
            f"{where} is not valid JSON. Restore it if the file was edited, or delete the line."
        ) from None
    except ResultsError as error:
        raise ResultsError(f"{where} {error}") from None
    try:
        record = _validated(migrate(data, where))
    except ValidationError as error:
        first = error.errors()[0]
        field = printable(".".join(str(part) for part in first["loc"]), _MOST_SHOWN)
        problem = printable(in_plain_words(first), _MOST_SHOWN)
        raise ResultsError(f"{where} is not a record of this program: `{field}` {problem}.") from None
    contradiction = next(chain(contradictions(record), _wrong_axes(record.case)), None)
    if contradiction is not None:
        raise ResultsError(f"{where} contradicts itself: {contradiction}. Was the line edited?")
    return record


def _validated(data: dict[str, Any]) -> Record:
    """The record of a parsed line of the current schema version. Raises ValidationError."""
    try:
        values = {name: value if name in UNIQUE_FIELDS else shared_value(name, value) for name, value in data.items()}
        return Record.model_validate(values)
    except (ValueError, LookupError, RecursionError):  # the error of a single value does not name its field
        return Record.model_validate(data)


def shared_value(name: str, value: Any) -> Any:
    """The validated value of a field that lines repeat: one object for equal values.

    Raises ValueError, LookupError or RecursionError.
    """
    return _of_packed(name, msgspec.msgpack.encode(value))


@lru_cache(maxsize=CACHE_SIZE)
def _of_packed(name: str, packed: bytes) -> Any:
    value = _adapter(name).validate_python(msgspec.msgpack.decode(packed))
    if isinstance(value, Case) and any(_wrong_axes(value)):
        raise ValueError("the axes are not those of the model")
    return value


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """The validator of a record's field."""
    field = Record.model_fields[name]
    return TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type] # made at run time


def _wrong_axes(case: Case) -> Iterator[str]:
    """A phrase if the axes of a case are not those of its model, if the model is known here."""
    if case.model not in models.zoo():
        return
    known = models.axes(case.model)
    if set(case.axes) != set(known):
        yield f"{case.model} has the axes {listed(known)}, but the case has {listed(case.axes)}"


def whole_number(digits: str) -> int:
    """The integer of these digits. Raises ResultsError if it does not fit in 64 bits."""
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ResultsError(f"has the number {digits[:24]}, but all numbers of a record fit in 64 bits.")
    return int(digits)
