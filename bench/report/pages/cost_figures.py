"""The keys of `bench cost --json`, each with the attribute of the costs that holds its value.

Amounts are for 1,000 images, in the currency that is named; volumes are images per hour. A video counts by the unit
that is named beside it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AliasPath, Field

from bench.analysis.cost.arithmetic import BreakEven, Charge
from bench.record import Kind
from bench.report.pages.figures import Figures
from bench.report.pages.hybrid_figures import ImageFields


class _Local(Figures):
    device: str = Field(validation_alias=AliasPath("row", "device", "name"))
    vram_limit_bytes: int | None = Field(validation_alias=AliasPath("row", "vram_limit_bytes"))
    precision: str = Field(validation_alias=AliasPath("row", "case", "dtype"))
    way: str
    seconds: float | None = Field(None, validation_alias=AliasPath("cost", "seconds"))
    kind: Kind = Field(validation_alias=AliasPath("row", "kind"))
    energy_j: float | None = Field(None, validation_alias=AliasPath("energy", "joules"))
    energy_from: str | None = Field(None, validation_alias=AliasPath("energy", "source"))
    per_1000: list[float] | None
    per_1000_kind: Literal["simulated"] = "simulated"
    break_even: dict[str, dict[Charge, BreakEven | None]]


class _Remote(Figures):
    endpoint: str = Field(validation_alias="name")
    accelerator: str | None = Field(validation_alias=AliasPath("price", "accelerator"))
    seconds: float | None
    kind: Kind | None
    time_of: str | None = Field(validation_alias="by")
    per_1000: list[float] | None
    per_1000_kind: Literal["simulated"] = "simulated"


class _Image(Figures):
    optional = ("unit", "units_per_call")

    case: ImageFields
    unit: str | None = Field(None, validation_alias=AliasPath("video", "unit"))
    units_per_call: float | None = Field(None, validation_alias=AliasPath("video", "count"))
    local: list[_Local]
    remote: list[_Remote]


class CostFigures(Figures):
    """The costs of all images: `CostFigures.model_validate(costs)`."""

    currency: str = Field(validation_alias=AliasPath("prices", "currency"))
    images_per_hour: list[float] = Field(validation_alias="volumes")
    images: list[_Image]
    missing: list[str] = Field(validation_alias="gaps")
