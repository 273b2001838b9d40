"""The parts of a call's time, each as the least seconds that a card's rates allow for it.

Kernels run one after another, so the parts of a call add up:

- *Convolutions and linear layers*: operations over the rate of the tensor cores. torch uses TF32 for float32
  convolutions but not for float32 linear layers (`torch.backends.cuda.matmul.allow_tf32` is False), which run at the
  vector rate.
- *Attention*: operations over the rate of the tensor cores. In float32 torch's kernel computes each product as three
  TF32 products (CUTLASS, OpMultiplyAddFastF32), which a factor covers.
- *Memory*: bytes over the bandwidth, of what does not stay in the L2 cache.
- *Cache*: bytes that stay in the L2 cache, over what can pass between it and the multiprocessors. Convolutions have a
  part of their own: an implicit matrix product reads a value once for each tap of the filter and each tile of output
  channels, and NCHW tensors are copied to another layout, but a tensor is counted once.
- *Group normalisation*: torch computes the moments of each row (one group of one image) in one block of 512 threads,
  whatever the card (aten/src/ATen/native/cuda/group_norm_kernel.cu, RowwiseMomentsCUDAKernel). So a call of 32 rows
  keeps 32 multiprocessors busy, and its time goes with the clock. That its tensor is read and written counts as
  traffic besides.
- *Launches* of the kernels that blend tiles row by row, which are too small to take longer than their launch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from bench.config.gpus import Gpu, Precision
from bench.core.units import ITEM_BYTES
from bench.core.work import NORMALISATION_MOVES, Kernels

#: Bytes that can pass between the L2 cache and one multiprocessor in a clock cycle, at most: two sectors of 32. NVIDIA's
#: A100 whitepaper gives 5120 bytes a cycle for the whole cache, which is 47 for each of 108 multiprocessors.
CACHE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Parts:
    """The least seconds of each part of a call, as described above.

    Attributes:
        normalisation_s: if a block took one clock cycle a value.
        launches: how many kernels take no longer than their launch.
    """

    products_s: float
    attention_s: float
    memory_s: float
    convolution_cache_s: float
    cache_s: float
    normalisation_s: float
    launches: int

    @property
    def rated_s(self) -> float:
        """The time of all matrix products at the card's rated rates: no call is quicker."""
        return self.products_s + self.attention_s


def parts(kernels: Kernels, dtype: str, gpu: Gpu, cache_share: float) -> Parts:
    """The parts of a call's time on a card. Of a tensor, up to `cache_share` times the L2 cache's size stays there.

    Raises ValueError for a precision that the model does not know, or a card without all rates.
    """
    precision = _precision(dtype)
    tensor = gpu.tensor_flop_s(precision)
    linear = gpu.vector_flop_s if precision == "float32" else tensor
    cached_most = cache_share * gpu.l2_bytes
    convolutions = _Traffic.of(kernels.convolved, ITEM_BYTES[dtype], cached_most)
    others = _Traffic.of(_moved(kernels), ITEM_BYTES[dtype], cached_most)
    cache_byte_s = gpu.multiprocessors * gpu.clock_hz * CACHE_BYTES
    return Parts(
        products_s=kernels.convolution_flops / tensor + kernels.product_flops / linear,
        attention_s=kernels.attention_flops / tensor,
        memory_s=(convolutions.missed + others.missed) / gpu.bandwidth_byte_s,
        convolution_cache_s=convolutions.cached / cache_byte_s,
        cache_s=others.cached / cache_byte_s,
        normalisation_s=_normalisation_cycles(kernels, gpu) / gpu.clock_hz,
        launches=kernels.blend_launches,
    )


@dataclass(frozen=True, slots=True)
class _Traffic:
    """The bytes that stay in the cache, and those that do not."""

    cached: float
    missed: float

    @classmethod
    def of(cls, tensors: Mapping[int, int], item_bytes: int, cached_most: float) -> _Traffic:
        """Of tensors by their number of elements: how many of each."""
        cached = sum(count * min(elements * item_bytes, cached_most) for elements, count in tensors.items())
        whole = sum(count * elements * item_bytes for elements, count in tensors.items())
        return cls(cached, whole - cached)


def _moved(kernels: Kernels) -> Mapping[int, int]:
    """The tensors that kernels other than convolutions read or write."""
    moved = dict(kernels.moved)
    for (rows, length), count in kernels.normalised.items():
        moved[rows * length] = moved.get(rows * length, 0) + NORMALISATION_MOVES * count
    return moved


def _normalisation_cycles(kernels: Kernels, gpu: Gpu) -> float:
    """Clock cycles of all moments, if a block took one cycle a value: rows beyond the multiprocessors wait."""
    return sum(
        count * rows * length / min(rows, gpu.multiprocessors) for (rows, length), count in kernels.normalised.items()
    )


def _precision(dtype: str) -> Precision:
    if dtype not in ITEM_BYTES:
        raise ValueError(f"the model of times does not know {dtype}, only {', '.join(ITEM_BYTES)}")
    return cast("Precision", dtype)
