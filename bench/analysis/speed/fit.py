"""The model of a call's time, and how it is fitted. Pure; scipy inside the function that needs it.

A call takes the sum of four parts: products at a factor of the least time that the tensor cores' rate allows, attention
at another, traffic at a factor of what the memory's bandwidth allows, and so many seconds a launch for the small
kernels that blend tiles. Kernels run one after another, so parts are added; each of them is linear in the factors. The
factors of products and attention are apart for 2 and 4 bytes a value, since those are different kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.speed.observation import Observation, least
from bench.config.gpus import Gpu
from bench.core.units import ITEM_BYTES
from bench.core.work import Work


@dataclass(frozen=True, slots=True)
class Kernels:
    """How many times the least time, by the card's rates, the kernels of one width of values take."""

    products: float
    attention: float


@dataclass(frozen=True, slots=True)
class Model:
    """The fitted figures.

    Attributes:
        half: of values of 2 bytes, float16 and bfloat16.
        single: of values of 4 bytes, float32 with TF32 convolutions.
        traffic: how many times the least time it takes to move the tensors; less than 1 where they stay in a cache.
        launch_s: seconds that one launch takes.
    """

    half: Kernels
    single: Kernels
    traffic: float
    launch_s: float

    def seconds(self, work: Work, dtype: str, gpu: Gpu) -> float:
        """The time of one call of this work on a card, in seconds. Raises ValueError for an unknown precision."""
        parts = least(work, dtype, gpu)
        kernels = self.single if ITEM_BYTES[dtype] == 4 else self.half
        return (
            kernels.products * parts.products_s
            + kernels.attention * parts.attention_s
            + self.traffic * parts.traffic_s
            + self.launch_s * parts.launches
        )


def fit(observations: Sequence[Observation]) -> Model:
    """The figures, none below 0, with the least sum of squared relative errors (Lawson and Hanson 1974, NNLS).

    Raises ValueError where one of the two widths of values was not observed: nothing can be said of it.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 - only who fits pays for it

    seen = {ITEM_BYTES[one.case.dtype] for one in observations}
    if seen != {2, 4}:
        raise ValueError("a model of times is fitted on times of both float32 and float16 (or bfloat16)")
    figures, _ = nnls([_row(one) for one in observations], [1.0] * len(observations))
    two, two_attention, four, four_attention, traffic, launch_s = (float(one) for one in figures)
    return Model(Kernels(two, two_attention), Kernels(four, four_attention), traffic, launch_s)


def _row(one: Observation) -> list[float]:
    """The parts of one observation as shares of its time, in the order of the figures."""
    parts = least(one.work, one.case.dtype, one.gpu)
    kernels = [parts.products_s, parts.attention_s]
    none = [0.0, 0.0]
    placed = [*none, *kernels] if ITEM_BYTES[one.case.dtype] == 4 else [*kernels, *none]
    return [part / one.seconds for part in (*placed, parts.traffic_s, parts.launches)]
