"""Scratch memory of torch's CPU kernels in float32: oneDNN's layout copies and the buffers of other kernels.

Every rule is derived from and checked against the allocation events of torch's profiler (torch 2.13, oneDNN with
AVX-512: `benchmarks/cpu_memory.py`). The files named are where torch decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.traces.events import Attention, Convolution, Kernel, Shape, Upsampling
from bench.vram.workspace import NOTHING, Scratch

#: A single image with at most this many values uses torch's own convolution (Convolution.cpp, use_mkldnn).
_LEAST_ELEMENTS = 20480
#: Upsampling to at most this height + width converts to channels-last
#: (UpSampleKernel.cpp, _use_vectorized_kernel_cond_2d).
_SMALL_UPSAMPLING = 128
_FLOAT_BYTES = 4


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
        out_channels, in_channels, height, width = kernel.filter
        if kernel.input[0] == 1 and math.prod(kernel.input) <= _LEAST_ELEMENTS and height <= 3 and width <= 3:
            return _columns(kernel, item_bytes)
        padded = (self._padded(out_channels), *kernel.output[2:])
        if in_channels < self.lanes and height * width > 1:  # oneDNN's kernel for images needs no copy
            filter_in = in_channels
            source: tuple[int, ...] = ()
        else:
            filter_in = self._padded(in_channels)
            source = (_bytes((kernel.input[0], filter_in, *kernel.input[2:]), item_bytes),)
        filters = _bytes((padded[0], filter_in, height, width), item_bytes)
        output = _bytes((kernel.output[0], *padded), item_bytes)
        bias = (self.lanes * math.ceil(out_channels / self.lanes) * item_bytes,) if out_channels % self.lanes else ()
        return Scratch(before=(*bias, *source, filters), across=(output,))

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
    """torch's own convolution unfolds the input into columns, unless the filter is one pixel (ConvolutionMM2d.cpp)."""
    _out, in_channels, height, width = kernel.filter
    if height * width == 1:
        return NOTHING
    return Scratch(across=(in_channels * height * width * math.prod(kernel.output[2:]) * item_bytes,))


def _bytes(shape: Shape, item_bytes: int) -> int:
    return math.prod(shape) * item_bytes
