"""The model of a call's time, and how it is fitted.

A call takes the sum of four parts: products, at a factor of the least time that the tensor cores' rate allows;
attention, at another factor of it; traffic, at a factor of the least time that the memory's bandwidth allows; and some
seconds a launch for the small kernels that blend tiles. Kernels run one after another, so the parts are added, and each
is linear in its factor. Products and attention have separate factors for 2 and 4 bytes a value, since other kernels
compute them.
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
    """The factors of the least time, by the card's rates, that kernels for one width of values take."""

    products: float
    attention: float


@dataclass(frozen=True, slots=True)
class Model:
    """The fitted figures.

    Attributes:
        half: of values of 2 bytes, float16 and bfloat16.
        single: of values of 4 bytes, float32 with TF32 convolutions.
        traffic: the factor of the least time to move the tensors; less than 1 if they stay in a cache.
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
    """Fit the figures, none below 0, with the least sum of squared relative errors (Lawson and Hanson 1974, NNLS).

    Raises ValueError if one of the two widths of values was not observed.
    """
    widths = {ITEM_BYTES[observation.case.dtype] for observation in observations}
    if widths != {2, 4}:
        raise ValueError("a model of times is fitted on times of both float32 and float16 (or bfloat16)")
    from scipy.optimize import nnls  # noqa: PLC0415 - slow to import, and only needed to fit

    figures, _ = nnls([_row(observation) for observation in observations], [1.0] * len(observations))
    half, half_attention, single, single_attention, traffic, launch_s = map(float, figures)
    return Model(Kernels(half, half_attention), Kernels(single, single_attention), traffic, launch_s)


def _row(observation: Observation) -> list[float]:
    """The parts of an observation as shares of its time, in the order of the figures."""
    dtype = observation.case.dtype
    parts = least(observation.work, dtype, observation.gpu)
    kernels = [parts.products_s, parts.attention_s]
    none = [0.0, 0.0]
    by_width = [*none, *kernels] if ITEM_BYTES[dtype] == 4 else [*kernels, *none]
    return [part / observation.seconds for part in (*by_width, parts.traffic_s, parts.launches)]
