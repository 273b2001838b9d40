"""Searches for the largest image and the largest batch of a model that fit a card, untiled and in tiles.

Of a text encoder it searches the largest batch of prompts.

What is reserved hardly ever falls as an image grows: of 362 square sizes up to 2896 px of each VAE of the docs and each
operation at most 11 reserve less than a smaller one, and above 512 px each is at most two steps of 8 px away from it.
So a few sizes beside the boundary are tried too. On eight cards none of them made a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from bench.analysis.planning.largest_image import Largest, LargestImages
from bench.analysis.training.caching import with_batch
from bench.config import DTYPES
from bench.core.boundary import Boundary, find, interpolated
from bench.core.units import QUANTISED
from bench.errors import ConfigError, known
from bench.predictions.target_cards import TargetCard
from bench.record import Axes, Case, Tile
from bench.traces.indexing import MOST_ELEMENTS
from bench.vram import grades
from bench.workloads import models
from bench.workloads.base import SIDES

#: Edges in pixels for which the largest batch is searched.
BATCH_EDGES = (512, 1024)
#: The longest edge in pixels, the most tiles along it, and the largest batch that are tried. Replaying more tiles would
#: take seconds, and `bench advise` takes no larger batch either.
MOST_EDGE_PX, MOST_TILES_A_SIDE, MOST_BATCH = 8192, 22, 1024
#: Steps from the boundary up to which sizes are tried: see above.
_BESIDE = 2
#: Edges in pixels whose peaks say about where the boundary is.
_PROBED_PX = (768, 1536)


def calls_of(keys: Sequence[str], operations: Sequence[str], dtype: str | None) -> list[Case]:
    """The smallest case of each model and operation, of the featured models if none is named.

    Raises ConfigError for a model whose cases can't be predicted, or that refuses the precision, for an unknown
    precision, and if no model has the operations.
    """
    precision = _precision(dtype, keys)
    cases = []
    for key in keys or models.featured():
        workload = models.workload(key)
        if not workload.is_predicted:
            raise ConfigError(f"--model {key}: memory of the kind {workload.name!r} can't be predicted.")
        edge = _step_px(key)
        axes = models.sized(key, edge, edge) if models.has_sides(key) else models.usual(key)
        calls = [
            Case(model=key, operation=name, axes=axes, dtype=precision or models.get(key).dtype)
            for name in workload.operations
            if not operations or name in operations
        ]
        refusals = [workload.check(call) for call in calls]
        if keys and refusals and all(refusals):
            raise ConfigError(f"--model {key}: {refusals[0]}.")
        cases += [call for call, refusal in zip(calls, refusals, strict=True) if not refusal]
    if not cases:
        raise ConfigError(f"--operation {' '.join(operations)}: these models have no such operation.")
    return cases


def _precision(dtype: str | None, keys: Sequence[str]) -> str | None:
    """The precision that was asked for; None for each model's own. Raises ConfigError."""
    if dtype in QUANTISED and any(dtype in models.workload(key).precisions for key in keys):
        raise ConfigError(
            f"--dtype {dtype}: the largest batch is not searched for quantised weights. Leave out --fits, and give a "
            "batch: --set batch=8."
        )
    return None if dtype is None or known("dtype", dtype, DTYPES, "--dtype") == "model" else dtype


def searches(calls: Iterable[Case], cards: Sequence[TargetCard]) -> list[Callable[[], LargestImages]]:
    """The searches of what fits, by call and then by card. Each raises ConfigError if its call can't be predicted."""
    return [partial(search.on, card) for search in map(_Call, calls) for card in cards]


def _step_px(key: str) -> int:
    """The smallest edge of the model's images; all edges are multiples of it."""
    axes = models.axes(key)
    sides = [axes[side] for side in SIDES if side in axes]
    return next((edge for edge in range(1, 1025) if not any(side.check(edge) for side in sides)), 1)


@dataclass(frozen=True, slots=True)
class _Search:
    """A search over cases by number: edges in steps of the model's, or batches.

    Attributes:
        most: the last number that is tried.
        is_index_limit: whether the next one has a tensor that is too large.
        power: the power of the number that memory grows with.
        probed: numbers whose peaks tell about where the boundary is.
        beside: numbers from the boundary up to which cases may fit although a smaller one does not.
    """

    case_of: Callable[[int], Case]
    most: int
    is_index_limit: bool
    power: int
    probed: tuple[int, int]
    beside: int

    def find(self, holds: Callable[[Case], bool], measure: Callable[[Case], int], limit: int) -> Boundary:
        """The last number that a condition holds for, if a measure of its case is about within the limit."""

        def measured(number: int) -> int:
            return measure(self.case_of(number))

        def guess() -> int:
            low, high = self.probed
            near = min(max(interpolated(measured, limit, (low, high), self.power), 1), self.most)
            nearer = (min(low, near), max(low, near)) if near != low else (low, high)
            return interpolated(measured, limit, nearer, self.power)

        return find(lambda number: holds(self.case_of(number)), guess, self.most, self.beside)


class _Call:
    """Searches the largest cases of one model, operation and precision."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._step = _step_px(case.model)
        self._tile = models.workload(case.model).default_tile(case.model)

    @cached_property
    def _untiled(self) -> _Search:
        return self._over_edges(None)

    @cached_property
    def _tiled(self) -> _Search | None:
        return None if self._tile is None else self._over_edges(self._tile)

    @cached_property
    def _batches(self) -> dict[int, _Search]:
        return {edge: self._over_batches(edge) for edge in BATCH_EDGES}

    @cached_property
    def _prompts(self) -> dict[int, _Search]:
        """Of a text encoder, whose cases have no width and no height."""
        tokens = self._case.axes["tokens"]

        def case_of(batch: int) -> Case:
            return self._with_axes(models.usual(self._case.model, batch=batch))

        # the biases of T5's attention do not grow with the batch
        return {tokens: _limited(_Search(case_of, MOST_BATCH, False, 1, (2, 4), 1))}

    def _with_axes(self, axes: Axes) -> Case:
        return self._case.model_copy(update={"axes": axes})

    def on(self, card: TargetCard) -> LargestImages:
        """What fits a card."""
        if card.no_torch is not None:
            return LargestImages(card.place, self._case, self._tile, no_torch=card.no_torch)
        grader = _Grader(card, self._case)
        if not models.has_sides(self._case.model):
            prompts = {tokens: grader.largest(search) for tokens, search in self._prompts.items()}
            return LargestImages(card.place, self._case, self._tile, prompts=prompts)
        untiled = grader.largest(self._untiled)
        tiled = None
        if self._tiled is not None and self._tile is not None:
            tiled = grader.largest_tiled(self._tiled, untiled, self._tile.tile // self._step)
        return LargestImages(
            place=card.place,
            case=self._case,
            tile=self._tile,
            untiled=_scaled(untiled, self._step),
            tiled=None if tiled is None else _scaled(tiled, self._step),
            batches={edge: grader.largest(search) for edge, search in self._batches.items()},
        )

    def _over_edges(self, tile: Tile | None) -> _Search:
        def case_of(steps: int) -> Case:
            axes = models.sized(self._case.model, steps * self._step, steps * self._step)
            return self._case.model_copy(update={"axes": axes, "tiling": tile or "off"})

        low, high = (edge // self._step for edge in _PROBED_PX)
        most_px = MOST_EDGE_PX if tile is None else min(MOST_EDGE_PX, MOST_TILES_A_SIDE * (tile.tile - tile.overlap))
        return _limited(_Search(case_of, most_px // self._step, False, 2, (low, high), _BESIDE))

    def _over_batches(self, edge: int) -> _Search:
        axes = models.sized(self._case.model, edge, edge)
        return _over_batches(self._with_axes(axes), MOST_BATCH)


def largest_batch(case: Case, card: TargetCard, most: int) -> Largest:
    """The largest batches of a case, up to `most`, that fit a card and that run on it.

    Raises ConfigError if it can't be predicted.
    """
    return _Grader(card, case).largest(_over_batches(case, most))


def _over_batches(case: Case, most: int) -> _Search:
    indexed = MOST_ELEMENTS // grades.largest_tensor(with_batch(case, 1))  # all tensors grow with the batch
    return _Search(partial(with_batch, case), min(indexed, most), indexed < most, 1, (2, 4), 1)


class _Grader:
    """Finds the largest cases that fit one card and that run on it."""

    def __init__(self, card: TargetCard, case: Case) -> None:
        self._backend, self._memory, self._allocator = card.backend(case), card.memory(), card.place.allocator

    def largest(self, search: _Search) -> Largest:
        """The largest cases of a search."""
        comfortable, typical, _ = self._memory.capacities
        fits = search.find(self._fits, self._reserved_bytes, comfortable)
        runs = fits if fits.is_most else search.find(self._runs, self._live_bytes, typical)
        return Largest(fits, runs, search.most, search.is_index_limit)

    def largest_tiled(self, search: _Search, untiled: Largest, whole: int) -> Largest:
        """The largest edges in tiles of `whole` steps. An image that is not larger than a tile is computed untiled."""

        def bounded(holds: Callable[[Case], bool], without_tiles: Boundary) -> Boundary:
            if not holds(search.case_of(whole + 1)):
                return Boundary(min(without_tiles.last, whole), has_gaps=without_tiles.has_gaps)
            return find(lambda steps: holds(search.case_of(steps)), lambda: 2 * whole, search.most, 1)

        fits = bounded(self._fits, untiled.fits)
        runs = fits if fits.is_most else bounded(self._runs, untiled.runs)
        return Largest(fits, runs, search.most, search.is_index_limit)

    def _fits(self, case: Case) -> bool:
        return grades.fits(case, self._backend, self._memory, self._allocator)

    def _runs(self, case: Case) -> bool:
        return grades.runs(case, self._backend, self._memory, self._allocator)

    def _reserved_bytes(self, case: Case) -> int:
        return grades.reserved_bytes(case, self._backend, self._allocator)

    def _live_bytes(self, case: Case) -> int:
        return grades.live_bytes(case, self._backend)


def _limited(search: _Search) -> _Search:
    """The search without cases whose tensors go beyond 32-bit indices."""
    last = replace(search, beside=0).find(grades.is_indexed, grades.largest_tensor, MOST_ELEMENTS).last
    return replace(search, most=last, is_index_limit=last < search.most)


def _scaled(largest: Largest, step: int) -> Largest:
    """Steps as pixels."""
    fits, runs = (replace(boundary, last=boundary.last * step) for boundary in (largest.fits, largest.runs))
    return replace(largest, fits=fits, runs=runs, most=largest.most * step)
