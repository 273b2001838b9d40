"""The parts of a call's time, each as the least seconds that a card's rates allow for it.

Kernels run one after another, so the parts of a call add up:

- *Convolutions and linear layers*: operations over the rate of the tensor cores. torch uses TF32 for float32
  convolutions but not for float32 linear layers (`torch.backends.cuda.matmul.allow_tf32` is False), which run at the
  vector rate.
- *Attention*: operations over the rate of the tensor cores. In float32 torch's kernel computes each product as three
  TF32 products (CUTLASS, OpMultiplyAddFastF32), which a factor covers.
- *Memory*: bytes over the bandwidth, of the tensors that do not stay in the L2 cache until the next kernel reads them.
- *Cache*: bytes of all tensors, over what can pass between the L2 cache and the multiprocessors.
- *Group normalisation*: torch computes the moments of each row (one group of one image) in one block of 512 threads,
  whatever the card (aten/src/ATen/native/cuda/group_norm_kernel.cu, RowwiseMomentsCUDAKernel). So a call of 32 rows
  keeps 32 multiprocessors busy, and its time goes with the clock. That its tensor is read and written counts as
  traffic besides.
- *Launches* of the kernels that blend tiles row by row, which are too small to take longer than their launch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from bench.config.gpus import Gpu, Precision
from bench.core.units import ITEM_BYTES
from bench.core.work import NORMALISATION_MOVES, Kernels

#: Bytes that can pass between the L2 cache and one multiprocessor in a clock cycle at most, two sectors of 32 (NVIDIA's
#: A100 whitepaper: 5120 bytes a cycle for the whole cache, which is 47 for each of 108 multiprocessors).
CACHE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Form:
    """What a call's time is made of, as far as it was reasoned and not fitted. `evaluation.FORMS` are others.

    Attributes:
        cache_share: a tensor stays in the L2 cache until the next kernel reads it if it is smaller than this share of
            it: the input and the output of a kernel, which are mostly of one size, need room at once.
        every_launch: whether the launch of every kernel takes time. A kernel that takes longer than its launch hides
            the launch of the next one, so by default only those count that blend tiles.
    """

    cache_share: float = 0.5
    every_launch: bool = False


#: The form of the model that predicts.
FORM = Form()


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
    cache_s: float
    normalisation_s: float
    launches: int

    @property
    def rated_s(self) -> float:
        """The time of all matrix products at the card's rated rates: no call is quicker."""
        return self.products_s + self.attention_s


def parts(kernels: Kernels, dtype: str, gpu: Gpu, form: Form = FORM) -> Parts:
    """The parts of a call's time on a card.

    Raises ValueError for a precision that the model does not know, or a card without all rates.
    """
    precision = _precision(dtype)
    tensor = gpu.tensor_flop_s(precision)
    linear = gpu.vector_flop_s if precision == "float32" else tensor
    room_bytes = form.cache_share * gpu.l2_bytes
    tensors = [(elements * ITEM_BYTES[dtype], count) for elements, count in _tensors(kernels)]
    missed_bytes = sum(size * count for size, count in tensors if size >= room_bytes)
    cache_byte_s = gpu.multiprocessors * gpu.clock_hz * CACHE_BYTES
    return Parts(
        products_s=kernels.convolution_flops / tensor + kernels.product_flops / linear,
        attention_s=kernels.attention_flops / tensor,
        memory_s=missed_bytes / gpu.bandwidth_byte_s,
        cache_s=sum(size * count for size, count in tensors) / cache_byte_s,
        normalisation_s=_normalisation_cycles(kernels, gpu) / gpu.clock_hz,
        launches=kernels.blend_launches + (kernels.launches if form.every_launch else 0),
    )


def _tensors(kernels: Kernels) -> Iterator[tuple[int, int]]:
    """The elements of the tensors that kernels read or write, and how many there are of each size."""
    yield from kernels.convolved.items()
    yield from kernels.moved.items()
    for (rows, length), count in kernels.normalised.items():
        yield rows * length, NORMALISATION_MOVES * count


def _normalisation_cycles(kernels: Kernels, gpu: Gpu) -> float:
    """Clock cycles of all moments, if a block took one cycle a value: rows beyond the multiprocessors wait."""
    return sum(
        count * rows * length / min(rows, gpu.multiprocessors) for (rows, length), count in kernels.normalised.items()
    )


def _precision(dtype: str) -> Precision:
    if dtype not in ITEM_BYTES:
        raise ValueError(f"the model of times does not know {dtype}, only {', '.join(ITEM_BYTES)}")
    return cast("Precision", dtype)
