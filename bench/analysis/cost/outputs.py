"""What costs are counted by: images; prompts; seconds of video, or frames if nobody says how many a second has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.record import Case
from bench.workloads import models
from bench.workloads.labels import frames_of

Unit = Literal["image", "prompt", "second of video", "frame"]


@dataclass(frozen=True, slots=True)
class Output:
    """What one call makes.

    Attributes:
        unit: what it is counted by.
        count: how many of them one call makes.
        frames_per_second: of a video; None for images, and if it is not known.
    """

    unit: Unit
    count: float
    frames_per_second: float | None = None

    @property
    def plural(self) -> str:
        """`images`, `seconds of video`, `frames`."""
        return "seconds of video" if self.unit == "second of video" else f"{self.unit}s"

    @property
    def is_video(self) -> bool:
        return self.unit in {"second of video", "frame"}


def output_of(case: Case) -> Output:
    """What a call of the case makes; of a batch all images or videos together."""
    pictures = case.axes.product("batch", "frames")
    if frames_of(case) is None:
        return Output(models.workload(case.model).counted if case.model in models.zoo() else "image", pictures)
    rate = models.workload(case.model).facts(case.model).frames_per_second
    return Output("frame", pictures) if rate is None else Output("second of video", pictures / rate, rate)
