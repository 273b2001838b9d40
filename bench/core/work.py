"""What a call computes and moves, whatever the card and the precision. Pure; imports nothing of the project."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Counts of one call, or of several. A multiply-add is two operations.

    Attributes:
        convolution_flops: of the convolutions.
        product_flops: of the linear layers, which are plain matrix products.
        attention_flops: of the two products of scaled dot-product attention.
        elements: values that kernels read and write, each kernel on its own, as if nothing stayed in a cache.
        launches: kernels so small that launching them is all they take: those that blend tiles.
    """

    convolution_flops: int = 0
    product_flops: int = 0
    attention_flops: int = 0
    elements: int = 0
    launches: int = 0

    @property
    def flops(self) -> int:
        """All operations that torch's FlopCounterMode counts as well."""
        return self.convolution_flops + self.product_flops + self.attention_flops

    def __add__(self, other: Work) -> Work:
        return Work(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))
