"""The base of models whose fields are what `--json` prints. pydantic reads them from values and writes them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Figures(BaseModel):
    """Fields that are read from the attributes of a value. Fields named in `optional` are left out if they are None."""

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)
    optional: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _leave_out_optional(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        return {name: value for name, value in fields.items() if value is not None or name not in self.optional}
