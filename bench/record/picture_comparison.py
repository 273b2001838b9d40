"""Pictures that were computed in two ways, and how far they are apart (`bench quality`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.record.case import Case
from bench.record.environment import Device, Environment
from bench.record.stored import Frozen

#: The schema version of a file of comparisons.
PICTURES_VERSION = 1


class SeamFigures(Frozen):
    """The error at the seams of tiles and elsewhere; `bench.analysis.quality.seams` says what a seam is."""

    near: float = Field(ge=0, description="root mean square of the differences at seams, from 0 to 1")
    elsewhere: float = Field(ge=0, description="the same of all other pixels")
    share: float = Field(gt=0, lt=1, description="the part of the pixels that are at a seam")

    @property
    def ratio(self) -> float | None:
        """How many times as large the error is at seams; None if there is none elsewhere."""
        return self.near / self.elsewhere if self.elsewhere else None


class PictureFigures(Frozen):
    """How far a picture is from its reference. Values of pictures go from 0 to 1."""

    psnr_db: float | None = Field(description="peak signal-to-noise ratio in dB; null: the pictures are identical")
    ssim: float | None = Field(description="structural similarity, 1 for identical pictures; null: too small a picture")
    mean: float = Field(ge=0, description="mean absolute difference")
    largest: float = Field(ge=0, description="largest absolute difference")
    lpips: float | None = Field(default=None, description="LPIPS of torchmetrics with AlexNet; null: not computed")
    no_lpips: str | None = Field(default=None, description="why LPIPS was not computed")
    seams: SeamFigures | None = Field(default=None, description="null: not computed in tiles")
    difference: str | None = Field(
        default=None, description="file with the picture of the differences, beside this one"
    )
    amplification: int = Field(default=1, ge=1, description="factor by which that picture amplifies the differences")

    @property
    def is_identical(self) -> bool:
        """Whether both pictures are the same in every value."""
        return self.psnr_db is None


class PictureComparison(Frozen):
    """One picture against its reference: figures, or the reason why there are none."""

    changed: Case
    reference: Case
    image: str = Field(description="name of the image's file; `synthetic`: made by this program")
    image_digest: str = Field(description="digest of the image's pixels, as they were encoded")
    outcome: Literal["compared", "not_finite", "out_of_memory", "failed"] = "failed"
    figures: PictureFigures | None = Field(default=None, description="of the outcome compared")
    reason: str | None = Field(default=None, description="why there are no figures")

    @property
    def has_real_weights(self) -> bool:
        """Whether the figures say something about quality: random weights make no pictures."""
        return "random" not in {self.changed.weights, self.reference.weights}

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells comparisons apart: both cases and the image."""
        return self.changed.id, self.reference.id, self.image_digest


class PictureComparisons(Frozen):
    """The content of `results/<device>/quality-<time>.json`: what one `bench quality` compared on a device."""

    schema_version: int = PICTURES_VERSION
    device: Device
    comparisons: tuple[PictureComparison, ...]
    environment: Environment | None = None
    recorded_at: str
