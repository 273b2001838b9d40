"""The dimensions of a case as an immutable mapping: `{"width": 512, "height": 768, "batch": 1}`."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_ENTRIES = core_schema.dict_schema(
    core_schema.str_schema(min_length=1), core_schema.int_schema(gt=0, strict=True), min_length=1
)


class Axes(Mapping[str, int]):
    """Values of at least 1 by name, in the order in which the workload names them. Immutable and hashable."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, int]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    # As a dict has them, which is much quicker than what Mapping makes of the methods above.

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def keys(self) -> KeysView[str]:
        return self._values.keys()

    def values(self) -> ValuesView[int]:
        return self._values.values()

    def items(self) -> ItemsView[str, int]:
        return self._values.items()

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, Axes) else other)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)

    def product(self, *names: str) -> int:
        """The product of the values of the named axes (all, if none is named). A missing axis counts as 1."""
        return math.prod(value for name, value in self._values.items() if not names or name in names)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        as_dict = core_schema.plain_serializer_function_ser_schema(dict)
        entries = core_schema.no_info_before_validator_function(_as_dict, _ENTRIES)
        return core_schema.no_info_after_validator_function(cls, entries, serialization=as_dict)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(_ENTRIES)


def _as_dict(value: Any) -> Any:
    return dict(value) if isinstance(value, Axes) else value
