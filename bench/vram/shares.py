"""How much of its input and output a convolution of cuDNN needs again as workspace.

The figures are fitted to the untiled peaks of the docs' encode and decode tables, which show them through the
allocator only. Which kernels are behind them is not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.traces.events import Convolution

#: The most channels of an image or a latent.
_IMAGE_CHANNELS = 8
#: The most channels of a narrow convolution, on both sides.
_NARROW_CHANNELS = 128
#: With 2 GiB or more of input or output a kernel takes this share more. Only the narrow convolutions of SDXL's encode
#: at 2048 px show it, on both architectures: the peak is one tensor higher than at 1024 px. Assumed of wide ones.
_HUGE_BYTES = 2**31
_HUGE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of (input + output) in a convolution's workspace, by kind of convolution.

    Attributes:
        wide: of convolutions in general. 1 is a copy of both in another layout.
        narrow: of those with few channels and a stride of 1. None: all kinds are alike, also if one side is an image.
        image: copies of an image or a latent. The other side of such a convolution is copied once.
    """

    wide: float
    narrow: float | None = None
    image: float = 1

    def elements(self, kernel: Convolution, item_bytes: int) -> float:
        """Elements in a convolution's workspace, with a copy of its filter unless one side is an image."""
        sides = tuple((shape[1], math.prod(shape)) for shape in (kernel.input, kernel.output))
        both = sum(size for _, size in sides)
        if self.narrow is None:
            return self.wide * both + math.prod(kernel.filter)
        if _is_of_image(kernel):
            return sum(size * (self.image if channels <= _IMAGE_CHANNELS else 1) for channels, size in sides)
        share = self.narrow if _is_narrow(kernel) else self.wide
        if _is_huge(kernel, item_bytes):
            share += _HUGE_SHARE
        return share * both + math.prod(kernel.filter)

    def are_fitted_to(self, kernel: Convolution, item_bytes: int) -> bool:
        """Whether the docs' tables have convolutions of this kind."""
        return self.narrow is not None and (_is_narrow(kernel) or not _is_huge(kernel, item_bytes))


def _is_of_image(kernel: Convolution) -> bool:
    return min(kernel.input[1], kernel.output[1]) <= _IMAGE_CHANNELS


def _is_narrow(kernel: Convolution) -> bool:
    return max(kernel.input[1], kernel.output[1]) <= _NARROW_CHANNELS and _has_stride_1(kernel)


def _is_huge(kernel: Convolution, item_bytes: int) -> bool:
    largest = max(math.prod(kernel.input), math.prod(kernel.output))
    return largest * item_bytes >= _HUGE_BYTES and _has_stride_1(kernel) and not _is_of_image(kernel)


def _has_stride_1(kernel: Convolution) -> bool:
    return kernel.input[2:] == kernel.output[2:]


#: No workspace at all.
NOTHING = Shares(0)
#: If there is no published figure: a copy plus a quarter, in the middle of the fitted shares.
RULE = Shares(1.25)
#: By bytes per value and architecture. That float16 copies no image follows from one cell, SD v1.5's encode at 2048 px
#: on the RTX 3080: there the padded input of the downsampling does not fit into the block of the image's convolution.
FITTED: dict[tuple[int, str], Shares] = {
    (2, "ampere"): Shares(wide=1, narrow=2, image=0),
    (2, "ada"): Shares(wide=1.125, narrow=2, image=0),
    (4, "ampere"): Shares(wide=1, narrow=1.25),
    (4, "ada"): Shares(wide=1, narrow=11 / 12),
}
