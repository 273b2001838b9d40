"""The fields of advice for programs (`bench advise --json`). Times in seconds, memory in bytes, each with its `kind`.

Each model is read from the value of `analysis.advise` that it is named after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AliasPath, BeforeValidator, Field, PlainSerializer

from bench.analysis.advise.times import Clock
from bench.analysis.advise.ways import Advice
from bench.analysis.speed.extrapolation import Range
from bench.record import Case, Tile
from bench.report.pages import advice_changes, advice_words
from bench.report.pages.figures import Figures
from bench.vram import assumptions
from bench.workloads import models


def _image(case: Case) -> dict[str, Any]:
    return {"model": case.model, "operation": case.operation, **case.axes, "dtype": case.dtype}


def _named_capacities(capacities: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("low", "middle", "high"), capacities, strict=True))


def _named_band(band: tuple[int, int] | None) -> dict[str, int] | None:
    return None if band is None else {"least_bytes": band[0], "most_bytes": band[1]}


_TextOrNone = Annotated[str | None, BeforeValidator(lambda text: text or None)]


class _Errors(Figures):
    times: int = Field(validation_alias="cells")
    median_error: float = Field(validation_alias="median")
    worst_error: Annotated[float, BeforeValidator(abs)] = Field(validation_alias=AliasPath("worst", "error"))


class _Card(Figures):
    name: str | None = Field(validation_alias="card")
    total_bytes: int
    memory_assumed: bool = Field(validation_alias="is_memory_assumed")
    vram_limit_bytes: int | None = Field(validation_alias="limit_bytes")
    free_bytes: int | None
    unknown_rates: tuple[str, ...]
    os: str
    allocator: str
    pool_bytes: Annotated[dict[str, int], BeforeValidator(_named_capacities)] = Field(validation_alias="capacities")


class _Band(Figures):
    """The least and the most that a predicted peak may be."""

    least_bytes: int
    most_bytes: int


class _Peak(Figures):
    kind: str
    reserved_bytes: int | None
    needed_bytes: int | None
    range: Annotated[_Band | None, BeforeValidator(_named_band)] = Field(validation_alias="band")
    spilled_bytes: int | None


class _Time(Figures):
    """A time, or the range that it is in: `seconds` is null then, and so is `most_s` if nothing bounds it."""

    kind: str
    seconds: float | None
    range: Range | None = Field(validation_alias="between")
    beyond: tuple[str, ...]


class _LocalWay(Figures):
    """A way on the card; `model` is given if it is another VAE than the requested one."""

    optional = ("model",)
    way: str = Field(validation_alias=AliasPath("way", "option", "label"))
    model: str | None = Field(None, validation_alias=AliasPath("way", "option", "other_model"))
    case: str = Field(validation_alias=AliasPath("way", "option", "case", "id"))
    dtype: str = Field(validation_alias=AliasPath("way", "option", "case", "dtype"))
    risk: _TextOrNone = Field(validation_alias=AliasPath("way", "option", "risk"))
    tiling: Literal["off"] | Tile = Field(validation_alias=AliasPath("way", "option", "case", "tiling"))
    variant: str = Field(validation_alias=AliasPath("way", "option", "case", "variant"))
    verdict: str = Field(validation_alias="standing")
    confidence: str = Field(validation_alias=AliasPath("way", "peak", "confidence"))
    peak: _Peak = Field(validation_alias=AliasPath("way", "peak"))
    time: _Time | None = Field(validation_alias=AliasPath("way", "time"))
    reason: str
    hazard: str | None = Field(validation_alias=AliasPath("way", "option", "hazard"))


class _RemoteWay(Figures):
    way: str = Field(validation_alias="standing")
    network: str = Field(validation_alias=AliasPath("way", "network"))
    by: _TextOrNone = Field(validation_alias=AliasPath("way", "by"))
    verdict: str = Field(validation_alias="standing")
    time: _Time | None = Field(validation_alias=AliasPath("way", "time"))
    reason: str


class _Change(Figures):
    """A condition under which another way comes first: `way` is null if nothing does."""

    optional = ("frames",)

    condition: str
    at_bytes: int | None
    other_card: bool = Field(validation_alias="is_other_card")
    round_trip_s: float | None = Field(validation_alias="at_s")
    frames: int | None = Field(validation_alias="at_frames")
    way: Annotated[str | None, BeforeValidator(advice_changes.label)]
    dtype: str | None = Field(None, validation_alias=AliasPath("way", "way", "option", "case", "dtype"))
    verdict: str | None = Field(None, validation_alias=AliasPath("way", "standing"))


class _Variant(Figures):
    """A variant that was published as quicker; no time is predicted for it."""

    variant: str = Field(validation_alias="name")
    published: str
    source: str
    command: str | None


@dataclass(frozen=True, slots=True)
class _Told:
    """An advice, and the commands that measure what it rests on."""

    advice: Advice

    @property
    def command(self) -> str | None:
        return advice_changes.measuring(self.advice)

    @property
    def variants(self) -> list[dict[str, str | None]]:
        return [
            {
                "name": variant.name,
                "published": variant.published,
                "source": variant.source,
                "command": advice_changes.measuring_variant(variant, self.advice),
            }
            for variant in self.advice.variants
        ]


class _Advice(Figures):
    image: Annotated[Case, PlainSerializer(_image)] = Field(validation_alias=AliasPath("advice", "image"))
    own_dtype: Annotated[Case, PlainSerializer(lambda case: models.get(case.model).dtype)] = Field(
        validation_alias=AliasPath("advice", "image")
    )
    card: _Card = Field(validation_alias=AliasPath("advice", "place"))
    recommended: Annotated[bool, BeforeValidator(lambda best: best is not None)] = Field(
        validation_alias=AliasPath("advice", "best")
    )
    reason: str = Field(validation_alias=AliasPath("advice", "reason"))
    quicker: str | None = Field(validation_alias=AliasPath("advice", "quicker"))
    ways: tuple[_LocalWay | _RemoteWay, ...] = Field(validation_alias=AliasPath("advice", "ranked"))
    recommendation: _LocalWay | _RemoteWay | None = Field(validation_alias=AliasPath("advice", "best"))
    would_change: tuple[_Change, ...] = Field(validation_alias=AliasPath("advice", "changes"))
    measure: str | None = Field(validation_alias="command")
    worth_measuring: tuple[_Variant, ...] = Field(validation_alias="variants")


class AdviceFigures(Figures):
    """Every image with its ways in order; the first is the recommendation, unless `recommended` is false."""

    assumptions: str
    time_model: _Errors | None
    advice: tuple[_Advice, ...]


def figures(advice: Sequence[Advice], clock: Clock | None) -> AdviceFigures:
    """The fields of the advice, and of the errors of the model of times."""
    assumed = assumptions.of(advice[0].place.allocator if advice else "native")
    return AdviceFigures.model_validate(
        {
            "assumptions": " ".join([assumed, *advice_words.system_notes(advice)]),
            "time_model": clock and clock.errors,
            "advice": list(map(_Told, advice)),
        }
    )
