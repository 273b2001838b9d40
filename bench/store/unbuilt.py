"""Records that are only checked while files are read, and built if a page shows them.

Of many lines a page shows a few: those of the latest run. `unbuilt_record` takes the lines that `quick_record` takes,
and builds only what the choice among them needs. The rest it checks with msgspec types that are made from the models,
in a fraction of the time in which the models are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

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
from bench.store.line import UNIQUE_FIELDS, cached_value, quick_record, record_of
from bench.store.stand_in import stand_in_of

#: Numbers from here on may not fit in 64 bits: `quick_record` and `record_of` judge their lines.
_GREATEST = 10**18
_NAMES = tuple(Record.model_fields)
#: The length of a line whose values are empty, as this program writes lines: with every field once, and no spaces.
_FRAME = len("{}") + sum(len(f'"{name}":,') for name in _NAMES) - len(",")


@dataclass(frozen=True, slots=True)
class UnbuiltRecord:
    """A good line, and the fields by which it is chosen."""

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
        """The record of the line."""
        return quick_record(self.line) or record_of(self.line, "a line that was checked")


@dataclass(slots=True)
class _Draft:
    """A record with its stages and telemetry as msgspec reads them, which is enough to find contradictions."""

    kind: Kind
    device: Device
    outcome: Outcome
    stages: Sequence[Stage]
    telemetry: Telemetry | None
    prediction: Prediction | None = None

    @property
    def timing(self) -> Timing | None:
        return self.stages[0].timing if self.stages else None

    @property
    def memory(self) -> Memory | None:
        return self.stages[0].memory if self.stages else None


def unbuilt_record(line: bytes) -> UnbuiltRecord | Record | None:
    """The record of a line, unbuilt if that is possible; None where `quick_record` returns None."""
    try:
        return _checked(line) or quick_record(line)
    except (ValueError, LookupError, RecursionError, ResultsError):  # the first are also pydantic's and msgspec's
        return quick_record(line)


def _checked(line: bytes) -> UnbuiltRecord | None:
    """The unbuilt record of a line. None for an older version, an endpoint, a prediction, or several stages.

    Raises ValueError, LookupError, RecursionError or ResultsError for a line that may be bad.
    """
    if not line.isascii():
        line.decode()
    texts = [*map(bytes, msgspec.structs.astuple(_split(line)))]
    fields = dict(zip(_NAMES, texts, strict=True))
    is_plain = len(line) == _FRAME + sum(map(len, texts)) and fields["schema_version"] == _VERSION
    if not (is_plain and fields["remote"] == fields["prediction"] == b"null"):
        return None
    values = {name: cached_value(SCHEMA_VERSION, name, fields[name]) for name in _REPEATED}
    values |= {name: decode(fields[name]) for name, decode in _DECODERS.items()}
    draft = _Draft(values["kind"], values["device"], values["outcome"], values["stages"], values["telemetry"])
    if len(draft.stages) > 1 or any(contradictions(cast("Record", draft))):
        return None
    return UnbuiltRecord(
        line=line,
        kind=draft.kind,
        case=values["case"],
        device=draft.device,
        vram_limit_bytes=values["vram_limit_bytes"],
        run=values["run"],
        stand_in=stand_in_of(values["environment"]),
    )


def _checking(annotation: Any, constraints: Sequence[Any] = ()) -> Any:
    """The msgspec type that takes what a model's field takes, or less.

    Raises TypeError for a constraint that msgspec does not know.
    """
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        outer = [constraint for info in inside[1:] for constraint in cast("FieldInfo", info).metadata]
        return _checking(inside[0], outer)
    if origin in (Union, UnionType):
        return Union[tuple(_checking(kind, constraints) for kind in inside)]  # noqa: UP007 - of types made here
    if origin is tuple:
        return tuple[tuple(_checking(kind) for kind in inside)]  # type: ignore[misc] # of types made here
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation)
    limits = {name: value for constraint in constraints for name, value in asdict(constraint).items()}
    if annotation in (int, float):
        limits = {"lt": _GREATEST} | ({} if "ge" in limits or "gt" in limits else {"gt": -_GREATEST}) | limits
    return Annotated[annotation, msgspec.Meta(**limits)] if limits and annotation is not NoneType else annotation


@cache
def _struct(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The msgspec type that takes what a model takes, or less."""
    fields = [
        (name, _checking(info.annotation, info.metadata), msgspec.NODEFAULT if info.is_required() else info.default)
        for name, info in model.model_fields.items()
    ]
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=True, gc=False)


_VERSION = str(SCHEMA_VERSION).encode()
_split = msgspec.json.Decoder(
    msgspec.defstruct("Line", [(name, msgspec.Raw) for name in _NAMES], forbid_unknown_fields=True, gc=False)
).decode
_DECODERS = {
    name: msgspec.json.Decoder(_checking(field.annotation, field.metadata)).decode
    for name, field in Record.model_fields.items()
    if name in UNIQUE_FIELDS and name not in ("remote", "prediction")
}
_REPEATED = tuple(name for name in _NAMES if name not in UNIQUE_FIELDS)
