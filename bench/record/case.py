"""What is measured, and when it has been called often enough."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, computed_field, model_validator

from bench.record.stored import Frozen, digest
from bench.units import one_line

#: How a payload travels. decode: jpg and png (an image), pt (a tensor in the model's own precision, NCHW) and
#: pt-partial (uint8, NHWC); encode: png (an image is sent) and pt (a tensor is).
Transport = Literal["jpg", "png", "pt", "pt-partial"]
#: Those by which an image file travels, which holds one image.
FILE_TRANSPORTS = ("jpg", "png")


def one_frame(frames: int) -> int:
    """The frames of a call, which are 1 until a video VAE can be built. Raises ValueError for any other count."""
    if frames != 1:
        raise ValueError(
            f"{frames} frames: every model here is an image VAE and takes 1 frame; video can't be measured yet"
        )
    return frames


class Tile(Frozen):
    """A square tile's edge and how far neighbours overlap, both in image pixels."""

    tile: int = Field(gt=0)
    overlap: int = Field(ge=0)


class Case(Frozen):
    """One thing to measure. Its id is a digest of its other fields, the same on every machine."""

    model: str
    operation: str
    width: int = Field(gt=0, description="image pixels, also for decode")
    height: int = Field(gt=0, description="image pixels, also for decode")
    frames: Annotated[int, Field(gt=0), AfterValidator(one_frame)] = 1
    batch: int = Field(default=1, gt=0)
    dtype: str = Field(description="float32, float16 or bfloat16")
    tiling: Literal["off"] | Tile = Field(default="off", description="off: the whole image at once")
    weights: str = Field(default="random", description="random, hub, or the path of a checkpoint folder")
    variant: str = "default"
    transport: Transport | None = Field(
        default=None, description="how the payload travels to an endpoint; null: locally"
    )

    @computed_field(description="digest of the other fields, a transport of null left out")  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        fields = self.model_dump(exclude={"id"})
        if self.transport is None:
            del fields["transport"]  # what local cases are, and were before there were others
        return digest(fields)

    @model_validator(mode="before")
    @classmethod
    def _check_id(cls, data: Any) -> Any:
        """Accept the id that a stored case carries, and refuse one that its fields contradict."""
        if not isinstance(data, dict) or "id" not in data:
            return data
        fields = {key: value for key, value in data.items() if key != "id"}
        if cls.model_validate(fields).id != data["id"]:
            raise ValueError(f"case id {data['id']!r} does not match the case's fields: was the line edited by hand?")
        return fields

    @property
    def tile(self) -> Tile | None:
        """The tile, or None where tiling is off."""
        return None if self.tiling == "off" else self.tiling

    @property
    def resolution(self) -> str:
        """`512x768`, width by height, as the docs write it."""
        return f"{self.width}x{self.height}"

    @property
    def label(self) -> str:
        """One line for people, whatever the names hold: `sdxl encode 512x512 float32 tiled 256/64`."""
        parts = [self.model, self.operation, self.resolution, self.dtype]
        parts += [f"tiled {self.tile.tile}/{self.tile.overlap}"] if self.tile else ["untiled"]
        parts += [f"batch {self.batch}"] if self.batch != 1 else []
        parts += [f"{self.frames} frames"] if self.frames != 1 else []
        parts += [self.weights] if self.weights != "random" else []
        parts += [self.variant] if self.variant != "default" else []
        parts += [f"over {self.transport}"] if self.transport else []
        return one_line(" ".join(parts))


class MeasureSettings(Frozen):
    """When a case has been called often enough; `measure.loop` says how. Times in seconds of accumulated samples."""

    min_samples: int = Field(default=10, ge=1, le=100_000)
    min_time: float = Field(default=0.5, ge=0, description="keep sampling until this much time is sampled")
    max_time: float = Field(default=15.0, gt=0, description="stop after this much, with at least `few_samples`")
    few_samples: int = Field(default=3, ge=1, description="enough for slow calls, and where max_time is met first")
    slow_call: float | None = Field(
        default=3.0, gt=0, description="calls of this length or more need only `few_samples`; null: none is slow"
    )
    max_noise: float | None = Field(
        default=0.005, gt=0, description="stop once standard deviation over mean is below this; null: whatever it is"
    )
