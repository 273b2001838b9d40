"""How much of its input and output a convolution of cuDNN needs again as workspace.

The figures for images are fitted to the untiled peaks of the docs' encode and decode tables, which show them through
the allocator only. Which kernels are behind them is not known. The tables are of one class alone; cuDNN chooses by
the convolution and not by the model, so the fitted shares hold for other models' convolutions of the same kinds.
`Shares.are_fitted_to` tells which those are.

No table shows convolutions in three dimensions. For them the reason behind the shares is taken as it is: tensor cores
want channels last (NDHWC), so input, output and filter are copied once. Peaks of a video VAE on an RTX 4090 agree with
that (third-party figures, allocated: within 0.1%); without it they would be 15 to 27% lower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.traces.events import Convolution

#: The most channels of an image or a latent.
_IMAGE_CHANNELS = 8
#: The most channels of a narrow convolution, on both sides.
_NARROW_CHANNELS = 128
#: The most channels, and the largest filter, of the convolutions behind the docs' tables.
_MOST_CHANNELS, _LARGEST_FILTER = 512, 3
#: Dimensions of (batch, channels, height, width).
_IMAGE_RANK = 4
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
        video: of those in three dimensions, of any channels and stride.
    """

    wide: float
    narrow: float | None = None
    image: float = 1
    video: float = 1

    def elements(self, kernel: Convolution, item_bytes: int) -> float:
        """Elements in a convolution's workspace, with a copy of its filter unless one side is an image.

        A convolution of each channel by itself has none: torch's own kernel (DepthwiseConv2d.cu, DepthwiseConv3d.cu)
        or cuDNN's takes the tensors as they lie.
        """
        sides = tuple((shape[1], math.prod(shape)) for shape in (kernel.input, kernel.output))
        both = sum(size for _, size in sides)
        if _is_depthwise(kernel):
            return 0
        if is_video(kernel):
            return self.video * both + math.prod(kernel.filter)
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
        if self.narrow is None or not _is_of_tables(kernel):
            return False
        return _is_narrow(kernel) or not _is_huge(kernel, item_bytes)


def is_video(kernel: Convolution) -> bool:
    """Whether a convolution is in three dimensions."""
    return len(kernel.input) > _IMAGE_RANK


def _is_of_tables(kernel: Convolution) -> bool:
    """Whether it is of an image, with all channels together, a filter and channels as those of the tables."""
    has_groups = kernel.filter[1] != kernel.input[1]
    is_larger = max(kernel.filter[2:]) > _LARGEST_FILTER or max(kernel.input[1], kernel.output[1]) > _MOST_CHANNELS
    return not (is_video(kernel) or has_groups or is_larger)


def _is_depthwise(kernel: Convolution) -> bool:
    """Whether each channel is convolved by itself (Convolution.cpp, is_depthwise)."""
    return kernel.filter[1] == 1 < kernel.input[1]


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
NOTHING = Shares(0, video=0)
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
