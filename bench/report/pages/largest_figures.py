"""The fields of `bench predict --fits --json`. Edges are in pixels, memory in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AliasPath, BeforeValidator, Field

from bench.analysis.planning.largest_image import LargestImages
from bench.record import Tile
from bench.report.pages.figures import Figures
from bench.vram import assumptions


class _Boundary(Figures):
    """The largest one; `nothing_larger_tried` is true if the search ended there."""

    largest: int = Field(validation_alias="last")
    nothing_larger_tried: bool = Field(validation_alias="is_most")
    some_smaller_do_not: bool = Field(validation_alias="has_gaps")


class _Largest(Figures):
    fits: _Boundary
    runs: _Boundary
    most_tried: int = Field(validation_alias="most")
    limited_by_32_bit_indices: bool = Field(validation_alias="is_index_limit")


class _LargestImages(Figures):
    card: str | None = Field(validation_alias=AliasPath("place", "card"))
    total_bytes: int = Field(validation_alias=AliasPath("place", "total_bytes"))
    memory_assumed: bool = Field(validation_alias=AliasPath("place", "is_memory_assumed"))
    vram_limit_bytes: int | None = Field(validation_alias=AliasPath("place", "limit_bytes"))
    model: str = Field(validation_alias=AliasPath("case", "model"))
    operation: str = Field(validation_alias=AliasPath("case", "operation"))
    dtype: str = Field(validation_alias=AliasPath("case", "dtype"))
    tile: Tile | None
    untiled_px: _Largest | None = Field(validation_alias="untiled")
    tiled_px: _Largest | None = Field(validation_alias="tiled")
    batch_at_px: dict[int, _Largest] = Field(validation_alias="batches")
    batch_at_tokens: dict[int, _Largest] = Field(validation_alias="prompts")
    no_torch: str | None
    lacks: Annotated[str | None, BeforeValidator(lambda reason: reason or None)]


class LargestFigures(Figures):
    """What fits each card, by model and operation. `fits`: with high or medium confidence; `runs`: at all."""

    assumptions: str
    kind: str = "predicted"
    calls: tuple[_LargestImages, ...]


def figures(results: Sequence[LargestImages]) -> LargestFigures:
    """The fields of the results of searches."""
    allocator = results[0].place.allocator if results else "native"
    return LargestFigures.model_validate({"assumptions": assumptions.of(allocator), "calls": results})
