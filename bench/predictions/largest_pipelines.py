"""Searches for the largest square picture that each way to run a pipeline makes on a card.

Edges are tried in steps of 128 px up to 2048 px, because each takes a trace of its own, which takes seconds. A larger
edge is taken not to fit where a smaller one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

from bench.analysis.pipelines import choice
from bench.analysis.pipelines.memory_map import LargestPicture, LargestPictures
from bench.config import DTYPES
from bench.errors import known
from bench.predictions import pipelines, predicted_stages
from bench.predictions.target_cards import TargetCard
from bench.record import Case, Prediction
from bench.workloads import models

#: The step and the longest edge in pixels.
STEP_PX, MOST_PX = 128, 2048


def searches(
    keys: Sequence[str], dtype: str | None, cards: Sequence[TargetCard]
) -> list[Callable[[], LargestPictures]]:
    """The searches of what fits, by pipeline and then by card. Raises ConfigError for an unknown precision.

    Each raises ConfigError if its pipeline can't be predicted.
    """
    if dtype is not None and known("dtype", dtype, DTYPES, "--dtype") == "model":
        dtype = None
    cases = [pipelines.usual_case(key) for key in keys]
    cases = [case if dtype is None else case.model_copy(update={"dtype": dtype}) for case in cases]
    return [partial(on_card, case, card) for case in cases for card in cards]


def on_card(case: Case, card: TargetCard) -> LargestPictures:
    """The largest pictures of all ways to run a pipeline on a card."""
    if card.no_torch is not None:
        return LargestPictures(case.model, case.dtype, card.name, (), card.no_torch)
    ways = [_largest(chosen, card) for chosen in _ways(case)]
    return LargestPictures(case.model, case.dtype, card.name, tuple(ways), "")


def _ways(case: Case) -> list[Case]:
    """A case of each way without tiles that the pipeline can be run in."""
    chosen = [case.model_copy(update={"variant": variant}) for variant, is_tiled in choice.ORDER if not is_tiled]
    return [each for each in chosen if not models.workload(case.model).check(each)]


def _largest(case: Case, card: TargetCard) -> LargestPicture:
    @cache
    def of_edge(edge: int) -> Prediction:
        call = predicted_stages.predict(_sized(case, edge), card)
        assert call is not None  # noqa: S101 - pipelines have stages
        return call.prediction

    fits = _last(lambda edge: of_edge(edge).verdict == "fits" and of_edge(edge).confidence != "low")
    runs = _last(lambda edge: of_edge(edge).verdict in {"fits", "tight"})
    return LargestPicture(case.variant, fits, runs, fits == MOST_PX)


def _last(is_enough: Callable[[int], bool]) -> int | None:
    """The longest edge that is enough, by bisection; None if not even the first one is."""
    low, high = 0, MOST_PX // STEP_PX
    while low < high:
        middle = (low + high + 1) // 2
        if is_enough(middle * STEP_PX):
            low = middle
        else:
            high = middle - 1
    return low * STEP_PX or None


def _sized(case: Case, edge: int) -> Case:
    counts = {name: count for name, count in case.axes.items() if name not in {"width", "height"}}
    return case.model_copy(update={"axes": models.sized(case.model, edge, edge, **counts)})
