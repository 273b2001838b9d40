"""A case, the thing that is measured; groups of cases; and when to stop sampling."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from typing import Any, Literal, TypeVar

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    computed_field,
    field_validator,
    model_serializer,
    model_validator,
)

from bench.record.axes import Axes
from bench.record.stored import Frozen, digest

#: How a payload travels. decode: jpg and png (an image), pt (a tensor in the model's own precision, NCHW; of videos
#: NCFHW), pt-partial (uint8, NHWC, where N counts frames) and mp4 (a video); encode: png (an image is sent) and pt (a
#: tensor is); encode-text: tensor (JSON is sent, raw bytes come back) and predict (FLUX.2's protocol: a file of
#: `torch.save` comes back).
Transport = Literal["jpg", "png", "pt", "pt-partial", "mp4", "tensor", "predict"]
#: The transports that carry an image file, which holds one image.
FILE_TRANSPORTS = ("jpg", "png")
#: The fields of a case that say how it is executed. The computation is the same, or nearly so, with any values.
EXECUTION = ("dtype", "tiling", "weights", "variant")
_Item = TypeVar("_Item")


class Tile(Frozen):
    """The size of a tile and how far neighbours overlap, in image pixels, and of a video perhaps in frames too."""

    tile: int = Field(gt=0, description="the edge; of a tile that is not square its width")
    overlap: int = Field(ge=0)
    height: int | None = Field(default=None, gt=0, description="null: as the width")
    overlap_height: int | None = Field(default=None, ge=0, description="null: as along the width")
    frames: int | None = Field(default=None, gt=0, description="null: chunks of frames are as the model has them")
    overlap_frames: int | None = Field(default=None, ge=0)

    @classmethod
    def of(cls, edge: int) -> Tile:
        """A tile of that edge whose neighbours overlap by a quarter of it, as diffusers' do, in whole steps of 8 px."""
        return cls(tile=edge, overlap=edge // 32 * 8)

    @model_validator(mode="before")
    @classmethod
    def _square_has_no_height(cls, data: Any) -> Any:
        """Leave out the height of a square tile: the same tile must not have two ids."""
        if not isinstance(data, dict) or data.get("height") != data.get("tile"):
            return data
        if data.get("overlap_height") not in (None, data.get("overlap")):
            return data
        return {name: value for name, value in data.items() if name not in ("height", "overlap_height")}

    @model_serializer(mode="wrap")
    def _without_unset(self, serialize: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """Leave out what is not set: ids and lines of square tiles are older than the other fields.

        Without a return type, which pydantic would take for the schema.
        """
        return {name: value for name, value in serialize(self).items() if value is not None}

    @property
    def rows(self) -> tuple[int, int]:
        """Height and overlap along the height, in pixels."""
        overlap = self.overlap if self.overlap_height is None else self.overlap_height
        return (self.tile if self.height is None else self.height), overlap

    @property
    def label(self) -> str:
        """`256/64` (tile/overlap); not square `360x240/72x40` (width x height); in time `256/64, 16/4 frames`."""
        height, overlap = self.rows
        is_square = (height, overlap) == (self.tile, self.overlap)
        space = f"{self.tile}/{self.overlap}" if is_square else f"{self.tile}x{height}/{self.overlap}x{overlap}"
        return space if self.frames is None else f"{space}, {self.frames}/{self.overlap_frames or 0} frames"


class Case(Frozen):
    """One thing to measure. Its id is a digest of its other fields, the same on every machine."""

    __slots__ = ("_known_id",)  # not a field: copies, comparisons and JSON leave it out

    model: str
    operation: str
    axes: Axes = Field(description="the dimensions along which cases of this model differ, as its workload names them")
    dtype: str = Field(description="float32, float16 or bfloat16; of the weights alone int8 or nf4")
    tiling: Literal["off"] | Tile = Field(default="off", description="off: the whole image at once")
    weights: str = Field(default="random", description="random, hub, hub:ID, or the path of a checkpoint folder")
    variant: str = "default"
    transport: Transport | None = Field(
        default=None, description="how the payload travels to an endpoint; null: locally"
    )

    @computed_field(description="digest of the other fields, a transport of null left out")  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        known: str | None = getattr(self, "_known_id", None)
        if known is None:
            fields = self.flat()  # as it was when axes were fields
            if self.transport is None:
                del fields["transport"]  # ids of local cases are older than this field
            known = digest(fields)
            object.__setattr__(self, "_known_id", known)
        return known

    def __hash__(self) -> int:
        """The hash of the id. Tables of thousands of cases have them as keys."""
        return hash(self.id)

    @field_validator("axes")
    @classmethod
    def _check_axes(cls, axes: Axes) -> Axes:
        """Reject axes named like a field, because the id hashes axes and fields together."""
        clashes = axes.keys() & cls.model_fields.keys() or axes.keys() & {"id"}
        if clashes:
            raise ValueError(f"an axis can't be named {min(clashes)!r}, which is a field of a case")
        return axes

    @model_validator(mode="before")
    @classmethod
    def _check_id(cls, data: Any) -> Any:
        """Accept the id of a stored case, unless its fields have another id."""
        if not isinstance(data, dict) or "id" not in data:
            return data
        fields = {key: value for key, value in data.items() if key != "id"}
        if cls.model_validate(fields).id != data["id"]:
            raise ValueError(f"case id {data['id']!r} does not match the case's fields: was the line edited by hand?")
        return fields

    def flat(self, *left_out: str) -> dict[str, Any]:
        """The case as JSON outside records: its fields without the id, with the axes as fields."""
        tiling = "off" if self.tiling == "off" else self.tiling.model_dump()
        fields = {
            "model": self.model,
            "operation": self.operation,
            **self.axes,
            "dtype": self.dtype,
            "tiling": tiling,
            "weights": self.weights,
            "variant": self.variant,
            "transport": self.transport,
        }
        return {name: value for name, value in fields.items() if name not in left_out} if left_out else fields

    def is_variant(self, name: str) -> bool:
        """Whether the variant is this one, or combines it with others: `channels-last+compiled` is both."""
        return name in self.variant.split("+")

    @property
    def tile(self) -> Tile | None:
        """The tile; None if tiling is off."""
        return None if self.tiling == "off" else self.tiling


def fits_in_one_request(transport: Transport | None, axes: Axes) -> bool:
    """Whether one request can carry a whole case: a file holds one image, or one video."""
    if transport in FILE_TRANSPORTS:
        return axes.product("batch", "frames") == 1
    return transport != "mp4" or axes.product("batch") == 1


@lru_cache(maxsize=1 << 16)
def alike_but_for(case: Case, *left_out: str) -> tuple[Hashable, ...]:
    """A key of the case without these fields and axes: cases that differ only in those have equal keys.

    `axes` leaves out all axes.
    """
    fields = [(name, value) for name, value in case if name not in left_out and name != "axes"]
    axes = () if "axes" in left_out else sorted(axis for axis in case.axes.items() if axis[0] not in left_out)
    return (*fields, *axes)


def grouped(items: Iterable[_Item], key: Callable[[_Item], Hashable]) -> list[list[_Item]]:
    """The items of each key, groups and items in the order in which they first came."""
    groups: dict[Hashable, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


class MeasureSettings(Frozen):
    """When to stop sampling a case (`run.stopping`). Times are seconds of accumulated samples."""

    min_samples: int = Field(default=10, ge=1, le=100_000)
    min_time: float = Field(default=0.5, ge=0, description="keep sampling until this much time is sampled")
    max_time: float = Field(default=15.0, gt=0, description="stop after this much, with at least `few_samples`")
    few_samples: int = Field(default=3, ge=1, description="enough for slow calls, and if max_time is reached first")
    slow_call: float | None = Field(
        default=3.0, gt=0, description="calls of this length or more need only `few_samples`; null: no call is slow"
    )
    max_noise: float | None = Field(
        default=0.005, gt=0, description="stop once standard deviation over mean is below this; null: no noise target"
    )
