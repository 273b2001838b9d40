"""The model of torch's caching allocator against the allocator itself, byte for byte after every request and free.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason. They take up to 4 GiB of the device.
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Iterator

import pytest

from bench.memory.allocator import CachingAllocator, OutOfMemoryError
from bench.memory.blocks import Block
from bench.units import GIB, MIB

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
#: What changes torch's allocator from the defaults that are modelled.
SETTINGS = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING")
#: Traces, and requests and frees of each: 60 blocks of 64 MiB are less than 4 GiB.
TRACES, EVENTS = 1000, 60


def empty_pool() -> None:
    """Give back all that is cached, cuBLAS's workspaces included."""
    gc.collect()
    torch.cuda.synchronize()
    if clear_workspaces := getattr(torch._C, "_cuda_clearCublasWorkspaces", None):
        clear_workspaces()
    torch.cuda.empty_cache()


@pytest.fixture(autouse=True)
def fresh_pool() -> Iterator[None]:
    """An empty pool with torch's default settings, and the device left without a limit."""
    if setting := next((name for name in SETTINGS if os.environ.get(name)), None):
        pytest.skip(f"{setting} is set, and the model is of the defaults")
    if torch.cuda.memory.get_allocator_backend() != "native":
        pytest.skip("not torch's native allocator")
    torch.cuda.init()
    empty_pool()
    if held := torch.cuda.memory_reserved():
        pytest.skip(f"{held} bytes of the pool are held by something else in this process")
    if torch.cuda.mem_get_info()[0] < 4.5 * GIB:
        pytest.skip("less than 4.5 GiB of the device are free")
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    empty_pool()


class Twins:
    """One trace through torch's allocator and through the model, compared after every event.

    The model takes the address of each new segment from torch, whose first block begins with it: so both break ties
    between free blocks of one size alike.
    """

    def __init__(self, capacity: int | None = None) -> None:
        torch.cuda.reset_peak_memory_stats()
        self._retries, self._ooms = self._refusals()
        self._pointer = 0
        self._live: list[tuple[object, Block]] = []
        self.model = CachingAllocator(capacity, addresses=lambda size: self._pointer)

    def allocate(self, size: int) -> None:
        """The same request to both: both give a block at one address, or both refuse."""
        try:
            tensor = torch.empty(size, dtype=torch.uint8, device="cuda")
        except torch.OutOfMemoryError:
            with pytest.raises(OutOfMemoryError):
                self.model.allocate(size)
            return
        self._pointer = tensor.data_ptr()
        block = self.model.allocate(size)
        self._live.append((tensor, block))
        assert block.address == self._pointer

    def free(self, choice: float) -> None:
        """Free one of the live blocks in both."""
        if self._live:
            tensor, block = self._live.pop(int(choice * len(self._live)))
            del tensor
            self.model.free(block)

    def end(self) -> None:
        """Free everything in both, and give it back."""
        while self._live:
            self.free(0.0)
        torch.cuda.empty_cache()
        self.model.empty_cache()

    def real(self) -> dict[str, int]:
        """What torch says of itself."""
        stats = torch.cuda.memory_stats_as_nested_dict()
        retries, ooms = self._refusals()
        return {
            "allocated": stats["allocated_bytes"]["all"]["current"],
            "active": stats["active_bytes"]["all"]["current"],
            "requested": stats["requested_bytes"]["all"]["current"],
            "reserved": stats["reserved_bytes"]["all"]["current"],
            "inactive split": stats["inactive_split_bytes"]["all"]["current"],
            "peak allocated": stats["allocated_bytes"]["all"]["peak"],
            "peak requested": stats["requested_bytes"]["all"]["peak"],
            "peak reserved": stats["reserved_bytes"]["all"]["peak"],
            "segments": stats["segment"]["all"]["current"],
            "retries": retries - self._retries,
            "ooms": ooms - self._ooms,
        }

    def modelled(self) -> dict[str, int]:
        """What the model says of the same."""
        model = self.model
        return {
            "allocated": model.allocated_bytes,
            "active": model.allocated_bytes,
            "requested": model.requested_bytes,
            "reserved": model.reserved_bytes,
            "inactive split": model.inactive_split_bytes,
            "peak allocated": model.peak_allocated_bytes,
            "peak requested": model.peak_requested_bytes,
            "peak reserved": model.peak_reserved_bytes,
            "segments": model.segments,
            "retries": model.retries,
            "ooms": model.ooms,
        }

    def layout(self) -> tuple[tuple[int, tuple[tuple[int, bool], ...]], ...]:
        """Torch's segments in order of address, as `CachingAllocator.snapshot` tells the model's."""
        here = [one for one in torch.cuda.memory_snapshot() if one["device"] == torch.cuda.current_device()]
        segments = sorted(here, key=lambda one: one["address"])
        return tuple(
            (one["total_size"], tuple((part["size"], part["state"] == "active_allocated") for part in one["blocks"]))
            for one in segments
        )

    @staticmethod
    def _refusals() -> tuple[int, int]:
        stats = torch.cuda.memory_stats_as_nested_dict()
        return stats["num_alloc_retries"], stats["num_ooms"]


def replay(seed: int, capacity: int | None = None) -> Twins:
    """One random trace: sizes from 1 byte to 64 MiB, evenly on a logarithmic scale, now and then one of a boundary."""
    chance, twins = random.Random(seed), Twins(capacity)
    for event in range(EVENTS):
        if chance.random() < 0.6:
            size = int(2 ** chance.uniform(0, 26))
            if chance.random() < 0.1:
                size = chance.choice([0, MIB, MIB + 1, 9 * MIB, 10 * MIB, 10 * MIB + 512, 11 * MIB, 12 * MIB])
            twins.allocate(size)
        else:
            twins.free(chance.random())
        assert twins.real() == twins.modelled(), f"seed {seed}, event {event}"
    return twins


def test_the_model_agrees_with_torch_after_each_of_many_random_requests_and_frees() -> None:
    for seed in range(TRACES):
        twins = replay(seed)
        assert twins.layout() == twins.model.snapshot(), f"seed {seed}"
        twins.end()
        assert (torch.cuda.memory_reserved(), twins.model.reserved_bytes) == (0, 0)


def test_the_model_agrees_with_torch_where_requests_are_refused() -> None:
    # given: a limit of 129 MiB. Segments are multiples of 2 MiB, so that what a fraction loses in rounding is no matter
    capacity = 129 * MIB
    torch.cuda.set_per_process_memory_fraction(capacity / torch.cuda.mem_get_info()[1])
    retries = ooms = 0
    # when
    for seed in range(TRACES):
        twins = replay(seed, capacity)
        assert twins.layout() == twins.model.snapshot(), f"seed {seed}"
        retries, ooms = retries + twins.model.retries, ooms + twins.model.ooms
        twins.end()
    # then: both ways out of a refusal were taken, or nothing was shown
    assert retries > ooms > 0
