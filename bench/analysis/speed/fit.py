"""The model of a call's time, and how it is fitted.

A call takes the sum of its parts (`parts`), each times a figure. Products and attention have separate figures for 2 and
4 bytes a value, since other kernels compute them. No figure may fall below what the hardware allows: a factor of the
least time is at least 1. The rates are those at the rated boost clock, which a well cooled card may exceed a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.speed.observation import Observation
from bench.analysis.speed.parts import FORM, Form, Parts, parts
from bench.config.gpus import Gpu
from bench.core.units import ITEM_BYTES
from bench.core.work import Kernels


@dataclass(frozen=True, slots=True)
class ProductFigures:
    """The factors of the least time that kernels for one width of values take."""

    products: float
    attention: float


@dataclass(frozen=True, slots=True)
class Model:
    """The fitted figures.

    Attributes:
        half: of values of 2 bytes, float16 and bfloat16.
        single: of values of 4 bytes, float32 with TF32 convolutions.
        memory: the factor of the least time for what the L2 cache does not keep.
        cache: the factor of the least time for what passes through it.
        normalisation: clock cycles that one block takes for a value, in which group normalisation finds the moments.
        launch_s: seconds that one launch takes.
        form: what the parts are.
    """

    half: ProductFigures
    single: ProductFigures
    memory: float
    cache: float
    normalisation: float
    launch_s: float
    form: Form = FORM

    def parts(self, kernels: Kernels, dtype: str, gpu: Gpu) -> Parts:
        """The least seconds of each part of a call. Raises ValueError as `parts.parts` does."""
        return parts(kernels, dtype, gpu, self.form)

    def seconds(self, kernels: Kernels, dtype: str, gpu: Gpu) -> float:
        """The time of one call of these kernels on a card, in seconds. Raises ValueError as `parts.parts` does."""
        shares = _by_figure(self.parts(kernels, dtype, gpu), dtype)
        return sum(figure * share for figure, share in zip(self.figures, shares, strict=True))

    @property
    def figures(self) -> tuple[float, ...]:
        """All fitted figures, in the order of the attributes."""
        products = (self.half.products, self.half.attention, self.single.products, self.single.attention)
        return (*products, self.memory, self.cache, self.normalisation, self.launch_s)

    @classmethod
    def of(cls, figures: Sequence[float], form: Form = FORM) -> Model:
        """The model with these figures."""
        half, half_attention, single, single_attention, *others = map(float, figures)
        memory, cache, normalisation, launch_s = others
        return cls(
            ProductFigures(half, half_attention),
            ProductFigures(single, single_attention),
            memory,
            cache,
            normalisation,
            launch_s,
            form,
        )


#: The least that each figure may be: nothing is quicker than the hardware.
LEAST = Model(ProductFigures(1, 1), ProductFigures(1, 1), 1, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Equation:
    """What an observation says of the figures: shares of its time, each times how far its figure is above its least.

    Attributes:
        item_bytes: the width of its values.
        shares: its parts as shares of its time, in the order of the figures.
        left: the share of its time that the least figures leave.
    """

    item_bytes: int
    shares: tuple[float, ...]
    left: float


def fit(observations: Sequence[Observation], form: Form = FORM) -> Model:
    """Fit the figures, none below `LEAST`, with the least sum of squared relative errors.

    Raises ValueError if one of the two widths of values was not observed.
    """
    return solve([equation(observation, form) for observation in observations], form)


def solve(equations: Sequence[Equation], form: Form = FORM) -> Model:
    """As `fit`, from the observations' equations. Many fits share them, and they take longer than a fit.

    What is fitted is how far each figure is above its least (Lawson and Hanson 1974, NNLS).
    """
    if {each.item_bytes for each in equations} != {2, 4}:
        raise ValueError("a model of times is fitted on times of both float32 and float16 (or bfloat16)")
    from scipy.optimize import nnls  # noqa: PLC0415 - slow to import, and only needed to fit

    above, _ = nnls([each.shares for each in equations], [each.left for each in equations])
    return Model.of([least + more for least, more in zip(LEAST.figures, above, strict=True)], form)


def equation(observation: Observation, form: Form = FORM) -> Equation:
    """What an observation says of the figures. Raises ValueError as `parts.parts` does."""
    dtype = observation.case.dtype
    whole = parts(observation.kernels, dtype, observation.gpu, form)
    shares = tuple(part / observation.seconds for part in _by_figure(whole, dtype))
    left = 1 - sum(least * share for least, share in zip(LEAST.figures, shares, strict=True))
    return Equation(ITEM_BYTES[dtype], shares, left)


def _by_figure(whole: Parts, dtype: str) -> tuple[float, ...]:
    """The parts in the order of the figures; those of the other width are 0."""
    products, none = (whole.products_s, whole.attention_s), (0.0, 0.0)
    by_width = (*none, *products) if ITEM_BYTES[dtype] == 4 else (*products, *none)
    return (*by_width, whole.memory_s, whole.cache_s, whole.normalisation_s, whole.launches)
