"""What a call computes and moves, independent of card and precision."""

from __future__ import annotations

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
