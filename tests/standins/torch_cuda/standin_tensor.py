"""Tensors of the stand-in device: each wraps a CPU tensor, whose storage is counted from its birth to its death."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from standin_pool import Pool
from torch.utils._pytree import tree_map

from bench.vram.allocator import OutOfMemoryError
from bench.vram.blocks import Block

_CPU = torch.device("cpu")
#: Kept, since the registered kernels live as long as this object.
_LIBRARY = torch.library.Library("aten", "IMPL")


class Heap:
    """Which block each live storage has. `index` is the current card's, which all tensors are on."""

    def __init__(self, pool: Callable[[], Pool], index: Callable[[], int]) -> None:
        self._current_pool, self._index = pool, index
        self._blocks: dict[int, Block] = {}

    @property
    def _pool(self) -> Pool:
        return self._current_pool()

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", self._index())

    def count(self, tensor: torch.Tensor) -> None:
        """Give the tensor's storage a block, unless it has one. Raises torch.OutOfMemoryError."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._blocks:
            self._blocks[key] = self.block(storage.nbytes())
            weakref.finalize(storage, self._forget, key).atexit = False

    def block(self, size: int) -> Block:
        try:
            return self._pool.allocate(size)
        except OutOfMemoryError as error:
            message = str(error)
        raise torch.OutOfMemoryError(message)

    def refuse_if_too_large(self, size: int) -> None:
        """Refuse before the CPU is asked for what the device does not have."""
        if size > self._pool.free_bytes():
            self.block(size)

    def address(self, tensor: torch.Tensor) -> int:
        return self._pool.address(self._blocks[tensor.untyped_storage()._cdata])

    def _forget(self, key: int) -> None:
        self._pool.free(self._blocks.pop(key))


class CudaTensor(torch.Tensor):
    """Says that it is on CUDA; what computes is the CPU tensor inside, and what it returns is on the device too."""

    heap: Heap
    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls: type[CudaTensor], inner: torch.Tensor) -> CudaTensor:
        cls.heap.count(inner)
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=_CPU,
            dispatch_device=True,
        )
        made.inner = inner
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:  # so that Module.to swaps parameters for these
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(tensors: dict[str, torch.Tensor], *_: object) -> CudaTensor:
        return CudaTensor(tensors["inner"])

    def untyped_storage(self) -> Any:
        return _Storage(self.inner.untyped_storage().nbytes(), self.heap.address(self.inner))

    def data_ptr(self) -> int:
        return self.heap.address(self.inner) + self.inner.storage_offset() * self.inner.element_size()

    def numpy(self, **_: object) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it first.")

    def __getitem__(self, index: Any) -> CudaTensor:  # torch's own asks CUDA's runtime for a guard
        return CudaTensor(self.inner[tree_map(_inner, index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.inner[tree_map(_inner, index)] = _inner(value)

    def contiguous(self, memory_format: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
        if self.inner.is_contiguous(memory_format=memory_format):
            return self
        return self.clone(memory_format=memory_format)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, **_: object) -> str:
        return f"CudaTensor({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.prim.device.default:
            return cls.heap.device
        given: dict[int, Any] = {}

        def unwrapped(value: Any) -> Any:
            if isinstance(value, torch.device):
                return _CPU if value.type == "cuda" else value
            inner = _inner(value)
            if isinstance(inner, torch.Tensor):
                given[id(inner)] = value
            return inner

        def wrapped(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or to_host:
                return value
            return given[id(value)] if id(value) in given else CudaTensor(value)

        target = (kwargs or {}).get("device")
        to_host = target is not None and torch.device(target).type == "cpu"
        result = func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs or {}))
        return tree_map(wrapped, result)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, CudaTensor) else value


class _Storage:
    """What is asked of a storage: its size and where it lies."""

    def __init__(self, size: int, address: int) -> None:
        self._size, self._address = size, address

    def nbytes(self) -> int:
        return self._size

    def data_ptr(self) -> int:
        return self._address


def install(pool: Callable[[], Pool], index: Callable[[], int]) -> None:
    """Let torch allocate on CUDA: all other ways onto the device end in these two kernels."""
    CudaTensor.heap = Heap(pool, index)

    def empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> torch.Tensor:
        return placed(lambda: torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))

    def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> torch.Tensor:
        return placed(lambda: torch.empty_strided(size, stride, dtype=dtype))

    def placed(make: Callable[[], torch.Tensor]) -> torch.Tensor:
        with torch.device("meta"):
            CudaTensor.heap.refuse_if_too_large(make().untyped_storage().nbytes())
        return CudaTensor(make())

    _LIBRARY.impl("empty.memory_format", empty, "CUDA")
    _LIBRARY.impl("empty_strided", empty_strided, "CUDA")
    torch.Tensor.to = _with_index(torch.Tensor.to)  # type: ignore[method-assign]
    torch.tensor, torch.as_tensor = _by_the_host(torch.tensor), _by_the_host(torch.as_tensor)
    torch.Tensor.cuda = lambda self, *_, **__: self.to("cuda")  # type: ignore[method-assign]


def _by_the_host(function: Callable[..., Any]) -> Callable[..., Any]:
    """Values of Python become a CPU tensor first, which is then copied to the device."""

    @functools.wraps(function)
    def call(*args: Any, device: Any = None, **kwargs: Any) -> Any:
        if device is None or torch.device(device).type != "cuda":
            return function(*args, device=device, **kwargs)
        return function(*args, device=_CPU, **kwargs).to("cuda")

    return call


def _with_index(function: Callable[..., Any]) -> Callable[..., Any]:
    """`cuda` becomes `cuda:0` before torch asks CUDA's runtime, which is not there, for the current device."""

    def indexed(value: Any) -> Any:
        is_device = isinstance(value, torch.device) or (isinstance(value, str) and value == "cuda")
        return CudaTensor.heap.device if is_device and torch.device(value).type == "cuda" else value

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*map(indexed, args), **{name: indexed(value) for name, value in kwargs.items()})

    return call
