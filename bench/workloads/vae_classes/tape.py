"""What a class of VAEs records of a call around its passes, so that it can be traced without torch. Pure.

`traces.tape` records it; `VaeClass.trace` says what happens, in the order of diffusers' code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bench.record import Case, Tile
from bench.workloads.base import Shape


class Tensor(Protocol):
    """A tensor of a recorded call."""

    @property
    def shape(self) -> Shape:
        """Its shape; the last two dimensions are height and width."""


Value = TypeVar("Value", bound=Tensor)


class Tape(Protocol[Value]):
    """Records one call."""

    @property
    def input(self) -> Value:
        """The input of the call."""

    def new(
        self, operator: str, shape: Shape, module: str = "", *, reads: Sequence[Value] | None = None, wide: bool = False
    ) -> Value:
        """A new tensor, made by an operator that reads these tensors; None: as much as it writes.

        `wide`: the tensor is in float32 whatever the call's precision.
        """

    def free(self, *tensors: Value) -> None:
        """The end of tensors."""

    def pointwise(self, module: str, values: Value, copied_by: str = "") -> Value:
        """A 1x1 convolution with as many channels as its input; an input that is cut is copied before.

        `copied_by`: an operator that copies any input.
        """

    def one_pass(self, values: Value, channels: int, scale: float) -> Value:
        """The result of a pass, with so many channels and sides that are `scale` times those of its input."""

    def clear_caches(self) -> None:
        """The end of what passes left in caches."""

    def part(self, values: Value, shape: Shape) -> Value:
        """A view of a part of a tensor."""

    def cut(self, shape: Shape) -> Value:
        """A view of a part of the input that is not contiguous."""

    def slices(self) -> Sequence[Value]:
        """The images of the input's batch one by one, as views."""

    def concatenated(self, parts: Sequence[Value], dimension: int) -> Value:
        """The parts one after another along a dimension."""

    def tiled(
        self, image: Value, grid: Grid, part: Callable[[Value], Value], left: Callable[[], Sequence[Value]] = tuple
    ) -> Value:
        """The result of an image whose tiles are computed by `part`, blended and put together.

        `left`: what the last tile leaves until the end.
        """


@dataclass(frozen=True, slots=True)
class Cut:
    """How one side is cut: lengths of a tile and from one tile to the next in the input, and of tiles in the result.

    Attributes:
        edge: length of a tile in the input.
        step: from the beginning of a tile to that of the next, in the input.
        extent: how much of neighbours is blended, in the result.
        limit: how much of a tile is kept, in the result.
    """

    edge: int
    step: int
    extent: int
    limit: int


@dataclass(frozen=True, slots=True)
class Grid:
    """How an image is cut into tiles."""

    rows: Cut
    columns: Cut

    @classmethod
    def of(cls, tile: Tile, operation: str, factor: int) -> Grid:
        """The grid of a tile in pixels; `factor` is image pixels per latent pixel."""
        given, made = (1, factor) if operation == "encode" else (factor, 1)
        rows, columns = (
            Cut(edge // given, (edge - overlap) // given, overlap // made, (edge - overlap) // made)
            for edge, overlap in (tile.rows, (tile.tile, tile.overlap))
        )
        return cls(rows, columns)


def whole_or_sliced(tape: Tape[Value], case: Case, compute: Callable[[Value], Value]) -> tuple[Value, Sequence[Value]]:
    """The result of the whole batch, and the results of its slices, which are still alive; none if not sliced."""
    if not case.is_variant("sliced") or case.axes["batch"] == 1:
        return compute(tape.input), ()
    results = [compute(image) for image in tape.slices()]
    return tape.concatenated(results, 0), results


def mode_of_moments(tape: Tape[Value], moments: Value, slices: Sequence[Value]) -> None:
    """What the distribution of latents computes from its moments (diffusers' DiagonalGaussianDistribution)."""
    batch, channels, *sides = moments.shape
    half = (batch, channels // 2, *sides)  # mean and log variance
    log_variance = tape.new("clamp", half)
    product = tape.new("mul", half)
    deviation = tape.new("exp", half)
    tape.free(product)
    variance = tape.new("exp", half)
    tape.free(*reversed(slices), log_variance, deviation, variance)
