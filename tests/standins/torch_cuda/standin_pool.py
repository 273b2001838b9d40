"""The stand-in device's memory: bytes of CPU tensors counted by the model of torch's caching allocator. No torch."""

from __future__ import annotations

import threading
from typing import Any

from bench.core.units import GIB, format_bytes
from bench.vram.allocator import CachingAllocator, OutOfMemoryError
from bench.vram.blocks import Block

#: Beside the pool, as a CUDA context takes it.
CONTEXT_BYTES = GIB // 2
_BASE_ADDRESS = 0x7F0000000000


class Pool:
    """One device's memory. `refused` is the message of the last refusal, as torch words it."""

    def __init__(self, total_bytes: int, index: int = 0) -> None:
        self.total_bytes, self.index = total_bytes, index
        self._allowed_bytes = total_bytes
        self._lock = threading.RLock()  # a collection within it may free a block
        self._model = CachingAllocator(total_bytes - CONTEXT_BYTES)
        self._made = self._freed = 0
        self._entries: list[dict[str, Any]] | None = None

    def allocate(self, size: int) -> Block:
        """A block. Raises the model's OutOfMemoryError, whose `args[0]` is torch's message."""
        with self._lock:
            try:
                block = self._model.allocate(size)
            except OutOfMemoryError as error:
                self._note("oom", 0, size)
                error.args = (self._message(size),)
                raise
            self._made += 1
            self._note("alloc", self.address(block), size)
            return block

    def free(self, block: Block) -> None:
        with self._lock:
            size = block.requested
            self._freed += 1
            self._model.free(block)
            for action in ("free_requested", "free_completed"):
                self._note(action, self.address(block), size)

    @staticmethod
    def address(block: Block) -> int:
        return _BASE_ADDRESS + block.address

    def limit(self, fraction: float) -> None:
        """What `set_per_process_memory_fraction` does; the context is not under its cap, as with torch."""
        self._allowed_bytes = int(fraction * self.total_bytes)
        self._model._capacity = min(self._allowed_bytes, self.total_bytes - CONTEXT_BYTES)

    def empty_cache(self) -> None:
        with self._lock:
            self._model.empty_cache()

    def reset_peaks(self) -> None:
        with self._lock:
            self._model.reset_peaks()

    def free_bytes(self) -> int:
        """What `cudaMemGetInfo` calls free: it knows of no cap."""
        return self.total_bytes - CONTEXT_BYTES - self._model.reserved_bytes

    def stats(self) -> dict[str, Any]:
        """What `torch._C._cuda_memoryStats` answers, as far as the model knows it."""
        model = self._model

        def stat(current: int, peak: int) -> dict[str, Any]:
            return {"all": {"current": current, "peak": peak, "allocated": self._made, "freed": self._freed}}

        return {
            "allocation": stat(self._made - self._freed, self._made - self._freed),
            "allocated_bytes": stat(model.allocated_bytes, model.peak_allocated_bytes),
            "active_bytes": stat(model.allocated_bytes, model.peak_allocated_bytes),
            "requested_bytes": stat(model.requested_bytes, model.peak_requested_bytes),
            "reserved_bytes": stat(model.reserved_bytes, model.peak_reserved_bytes),
            "num_alloc_retries": model.retries,
            "num_ooms": model.ooms,
        }

    def record(self, enabled: str | None, *_arguments: object) -> None:
        """Begin a history, or end and forget it."""
        self._entries = None if enabled is None else []

    def snapshot(self, *_arguments: object) -> dict[str, Any]:
        """The history of actions; segments, stacks and times are not imitated."""
        return {"segments": [], "device_traces": [list(self._entries or ())], "allocator_settings": {}}

    def _note(self, action: str, address: int, size: int) -> None:
        if self._entries is not None:
            self._entries.append({"action": action, "addr": address, "size": size, "stream": 0, "frames": []})

    def _message(self, size: int) -> str:
        """As c10/cuda/CUDACachingAllocator.cpp puts it together."""
        model = self._model
        capped = self._allowed_bytes < self.total_bytes
        allowed = f"{format_bytes(self._allowed_bytes)} allowed; " if capped else ""
        return (
            f"CUDA out of memory. Tried to allocate {format_bytes(size)}. GPU {self.index} has a total capacity of "
            f"{format_bytes(self.total_bytes)} of which {format_bytes(self.free_bytes())} is free. {allowed}Of the "
            f"allocated memory {format_bytes(model.allocated_bytes)} is allocated by PyTorch, and "
            f"{format_bytes(model.reserved_bytes - model.allocated_bytes)} is reserved by PyTorch but unallocated."
        )
