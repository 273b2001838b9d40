"""Scratch memory of torch's CPU kernels in float32: oneDNN's layout copies and the buffers of other kernels.

Every rule is derived from and checked against the allocation events of torch's profiler (torch 2.13, oneDNN with AVX2
and AVX-512: `benchmarks/cpu_memory.py`, `benchmarks/vae_memory.py`). The files named are where torch decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.traces.events import Attention, Convolution, Kernel, Shape, Upsampling
from bench.vram.workspace import NOTHING, Scratch

#: A single image whose first four dimensions have at most this product uses torch's own convolution. For a video they
#: leave the width out (Convolution.cpp, use_mkldnn).
_LEAST_ELEMENTS = 20480
#: The largest side of a filter with which such an image does.
_SMALL_FILTER = 3
#: The least batch of which oneDNN convolves single pixels on one thread.
_LARGE_BATCH = 16
#: oneDNN's own buffer for a channels-last convolution: a page, and for each thread a page and three addresses.
_PAGE_BYTES, _ADDRESSES_BYTES = 4096, 24
#: Upsampling to at most this height + width converts to channels-last
#: (UpSampleKernel.cpp, _use_vectorized_kernel_cond_2d).
_SMALL_UPSAMPLING = 128
_FLOAT_BYTES = 4
#: Dimensions of (batch, channels, height, width).
_IMAGE_RANK = 4


@dataclass(frozen=True, slots=True)
class OneDnn:
    """The CPU backend.

    Attributes:
        threads: torch's threads.
        lanes: channels per block of oneDNN's layouts: 16 with AVX-512, 8 with AVX2.
    """

    threads: int = 1
    lanes: int = 16

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        match kernel:
            case Convolution():
                return self._convolution(kernel, item_bytes)
            case Attention():
                return self._attention(kernel)
            case Upsampling():
                return self._upsampling(kernel, item_bytes)
        return NOTHING

    def _convolution(self, kernel: Convolution, item_bytes: int) -> Scratch:
        if not self._is_of_onednn(kernel):
            return _columns(kernel, item_bytes)
        if kernel.channels_last:
            return self._of_channels_last(kernel, item_bytes)
        if not self._is_blocked(kernel):
            return Scratch(across=(_bytes(kernel.output, item_bytes),))
        out_channels, in_channels, *sides = kernel.filter
        batch, channels, *area = kernel.input
        if in_channels < self.lanes and _groups(kernel) == 1 and not _is_pixel(kernel):
            source: tuple[int, ...] = ()  # oneDNN's kernel for images needs no copy
        else:
            in_channels = in_channels if _groups(kernel) > 1 else self._padded(in_channels)
            source = (_bytes((batch, self._padded(channels), *area), item_bytes),)
        filters = _bytes((self._padded(out_channels), in_channels, *sides), item_bytes)
        output = _bytes((batch, self._padded(out_channels), *kernel.output[2:]), item_bytes)
        bias = (self._padded(out_channels) * item_bytes,) if out_channels % self.lanes else ()
        return Scratch(before=(*bias, *source, filters), across=(output,))

    def _is_of_onednn(self, kernel: Convolution) -> bool:
        """Whether oneDNN convolves, not torch itself (Convolution.cpp, use_mkldnn, for float32)."""
        last_sides = kernel.filter[-2:]
        is_simple = self.threads == 1 and kernel.input[0] < _LARGE_BATCH and not _has_stride(kernel)
        if is_simple and last_sides == (1, 1):
            return False
        is_small = kernel.input[0] == 1 and math.prod(kernel.input[:4]) <= _LEAST_ELEMENTS
        return _groups(kernel) > 1 or min(last_sides) > _SMALL_FILTER or not is_small

    def _of_channels_last(self, kernel: Convolution, item_bytes: int) -> Scratch:
        """Only the filter is copied: channels-last, unless that is how it lies, then into blocks."""
        out_channels, *rest = kernel.filter
        copy = _copied_filter(kernel, item_bytes)
        blocks = _bytes((self._padded(out_channels), *rest), item_bytes)
        own = _PAGE_BYTES + self.threads * (_PAGE_BYTES + _ADDRESSES_BYTES)
        return Scratch(across=copy, buffers=(blocks,) if _groups(kernel) > 1 else (own, blocks))

    def _is_blocked(self, kernel: Convolution) -> bool:
        """Whether oneDNN has a kernel for blocks of channels: groups of one channel, or of whole blocks."""
        groups = _groups(kernel)
        sides = (kernel.filter[1], kernel.filter[0] // groups)
        return groups == 1 or sides == (1, 1) or not any(side % self.lanes for side in sides)

    def _padded(self, channels: int) -> int:
        return math.ceil(channels / self.lanes) * self.lanes

    def _attention(self, kernel: Attention) -> Scratch:
        """Log-sum-exp, and per thread a block of scores and results (FlashAttentionKernel.cpp, cpu_flash_attention)."""
        rows = 256 if kernel.queries >= 768 else 64 if kernel.queries >= 192 else 32
        columns = min(512, kernel.keys)
        rows = min(rows, kernel.queries)
        block = rows * columns + 2 * rows + rows * kernel.head_size
        sums = kernel.batch * kernel.heads * kernel.queries
        return Scratch(buffers=(sums * _FLOAT_BYTES, self.threads * block * _FLOAT_BYTES))

    def _upsampling(self, kernel: Upsampling, item_bytes: int) -> Scratch:
        if sum(kernel.output[2:]) > _SMALL_UPSAMPLING:
            return NOTHING
        return Scratch(buffers=(_bytes(kernel.input, item_bytes), _bytes(kernel.output, item_bytes)))


def _columns(kernel: Convolution, item_bytes: int) -> Scratch:
    """torch's own convolution unfolds the input into columns, unless the filter is one pixel (ConvolutionMM2d.cpp,
    ConvolutionMM3d.cpp: slow_conv3d copies a channels-last input instead of the filter)."""
    layout: tuple[int, ...] = ()
    if kernel.channels_last:
        is_video = len(kernel.input) > _IMAGE_RANK
        layout = (_bytes(kernel.input, item_bytes),) if is_video else _copied_filter(kernel, item_bytes)
    if _is_pixel(kernel) and not _has_stride(kernel):
        return Scratch(across=layout) if layout else NOTHING
    columns = math.prod(kernel.filter[1:]) * kernel.output[0] * math.prod(kernel.output[2:])
    return Scratch(across=(*layout, columns * item_bytes))


def _copied_filter(kernel: Convolution, item_bytes: int) -> tuple[int, ...]:
    """The channels-last copy of a filter; none if both layouts are the same."""
    is_both = _is_pixel(kernel) or kernel.filter[1] == 1
    return () if is_both else (_bytes(kernel.filter, item_bytes),)


def _groups(kernel: Convolution) -> int:
    return kernel.input[1] // kernel.filter[1]


def _is_pixel(kernel: Convolution) -> bool:
    return math.prod(kernel.filter[2:]) == 1


def _has_stride(kernel: Convolution) -> bool:
    """Whether an output is smaller than a stride of 1 would make it, even without padding."""
    sides = zip(kernel.input[2:], kernel.filter[2:], kernel.output[2:], strict=True)
    return any(output < side - width + 1 for side, width, output in sides)


def _bytes(shape: Shape, item_bytes: int) -> int:
    return math.prod(shape) * item_bytes
