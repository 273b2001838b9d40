"""What a call computes and moves, independent of card and precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Counts of one call, or of several. A multiply-add is two operations.

    Attributes:
        convolution_flops: of the convolutions.
        product_flops: of the linear layers, which are plain matrix products.
        attention_flops: of the two products of scaled dot-product attention.
        elements: values that kernels read and write, counted per kernel as if nothing were cached.
        launches: kernels so small that only their launch takes time: those that blend tiles.
    """

    convolution_flops: int = 0
    product_flops: int = 0
    attention_flops: int = 0
    elements: int = 0
    launches: int = 0

    @property
    def flops(self) -> int:
        """The operations that torch's FlopCounterMode counts."""
        return self.convolution_flops + self.product_flops + self.attention_flops

    def __add__(self, other: Work) -> Work:
        return Work(*(sum(counts) for counts in zip(astuple(self), astuple(other), strict=True)))

    def times(self, count: int) -> Work:
        """The work of so many equal calls."""
        return Work(*(count * number for number in astuple(self)))


#: Times that a group normalisation moves its tensor: read for the moments, read again, written.
NORMALISATION_MOVES = 3
#: Kernels that blend one row or column of two tiles: two products, their sum, and a copy.
_LAUNCHES_PER_LINE = 4


@dataclass(frozen=True, slots=True)
class Kernels:
    """What the kernels of one call compute and move, by kind. A multiply-add is two operations.

    Attributes:
        convolution_flops, product_flops, attention_flops: as in `Work`.
        convolved: tensors that convolutions read or write, filters too: how many of each number of elements.
        moved: tensors that all other kernels read or write, except those that blend tiles: how many of each size.
        normalised: group normalisations by their rows (images times groups) and the values of a row: how many of each.
        launches: kernels, except those that blend tiles.
        blended_lines: rows and columns of tiles that are blended one by one.
    """

    convolution_flops: int
    product_flops: int
    attention_flops: int
    convolved: Mapping[int, int]
    moved: Mapping[int, int]
    normalised: Mapping[tuple[int, int], int]
    launches: int
    blended_lines: int

    @property
    def blend_launches(self) -> int:
        """How many kernels blend tiles. They are so small that only their launch takes time."""
        return _LAUNCHES_PER_LINE * self.blended_lines

    @property
    def work(self) -> Work:
        """The totals."""
        tensors = (*self.convolved.items(), *self.moved.items())
        elements = sum(size * count for size, count in tensors)
        elements += NORMALISATION_MOVES * sum(
            rows * length * count for (rows, length), count in self.normalised.items()
        )
        flops = self.convolution_flops, self.product_flops, self.attention_flops
        return Work(*flops, elements, self.blend_launches)
