"""The model of torch's caching allocator against the allocator itself, byte for byte after every request and free.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason. They take up to 4 GiB of the device.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from bench.core.units import GIB, MIB
from bench.vram.allocator import CachingAllocator, OutOfMemoryError, SegmentShape
from bench.vram.blocks import Block

torch = pytest.importorskip("torch")
from pool import empty_pool, require_empty_pool  # noqa: E402 - loads torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
#: What changes torch's allocator from the defaults that are modelled.
SETTINGS = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING")
#: Traces, and requests and frees of each: 60 blocks of 64 MiB are less than 4 GiB.
TRACES, EVENTS = 1000, 60


@pytest.fixture(autouse=True)
def fresh_pool() -> Iterator[None]:
    """An empty pool with torch's default settings, and the device left without a limit."""
    if setting := next((name for name in SETTINGS if os.environ.get(name)), None):
        pytest.skip(f"{setting} is set, and the model is of the defaults")
    if torch.cuda.memory.get_allocator_backend() != "native":
        pytest.skip("not torch's native allocator")
    torch.cuda.init()
    require_empty_pool()
    if torch.cuda.mem_get_info()[0] < 4.5 * GIB:
        pytest.skip("less than 4.5 GiB of the device are free")
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    empty_pool()


def a_segment() -> torch.Tensor:
    """12 MiB, which have a segment of their own in an empty pool."""
    return torch.empty(12 * MIB, dtype=torch.uint8, device="cuda")


def ties_go_by_address() -> bool:
    """Whether torch takes the lowest of two free blocks of one size, or that of the older segment (pytorch #183591).

    To tell, it needs an older segment above a newer one. The driver mostly gives a place anew that was given back.
    """
    held = [a_segment() for _ in range(4)]
    del held[0]
    torch.cuda.empty_cache()
    held.append(a_segment())
    places = [one.data_ptr() for one in held]
    pairs = ((old, new) for new in range(len(held)) for old in range(new) if places[new] < places[old])
    old, new = next(pairs, (0, 0))
    if old == new:
        return True  # each lies above all before it: both rules say the same
    del held[new], held[old]
    return a_segment().data_ptr() == places[new]


class Twins:
    """One trace through torch's allocator and through the model, compared after every event.

    Where torch breaks ties by address, the model is told where torch's new segments lie, each of which begins with the
    block that it was made for. Otherwise the model puts them in order, `APART` from one another.
    """

    APART = 1 << 40

    def __init__(self, by_address: bool, capacity: int | None = None) -> None:
        torch.cuda.reset_peak_memory_stats()
        self._retries, self._ooms = self._refusals()
        self._by_address, self._pointer = by_address, 0
        self._segments: list[int] = []
        self._live: list[tuple[object, Block]] = []
        self.model = CachingAllocator(capacity, addresses=self._place)

    def _place(self, size: int) -> int:
        self._segments.append(self._pointer)
        return self._pointer if self._by_address else (len(self._segments) - 1) * self.APART

    def _real_address(self, block: Block) -> int:
        if self._by_address or not block.size:
            return block.address
        segment, offset = divmod(block.address, self.APART)
        return self._segments[segment] + offset

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
        assert self._real_address(block) == self._pointer

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

    def layouts(self) -> tuple[list[SegmentShape], list[SegmentShape]]:
        """Torch's segments with their blocks, and the model's, both sorted by what they hold."""
        here = [one for one in torch.cuda.memory_snapshot() if one["device"] == torch.cuda.current_device()]
        real = [
            (one["total_size"], tuple((part["size"], part["state"] == "active_allocated") for part in one["blocks"]))
            for one in here
        ]
        return sorted(real), sorted(self.model.snapshot())

    @staticmethod
    def _refusals() -> tuple[int, int]:
        stats = torch.cuda.memory_stats_as_nested_dict()
        return stats["num_alloc_retries"], stats["num_ooms"]


def replay(seed: int, twins: Twins) -> None:
    """One random trace: sizes from 1 byte to 64 MiB, evenly on a logarithmic scale, now and then one of a boundary."""
    chance = random.Random(seed)
    for event in range(EVENTS):
        if chance.random() < 0.6:
            size = int(2 ** chance.uniform(0, 26))
            if chance.random() < 0.1:
                size = chance.choice([0, MIB, MIB + 1, 9 * MIB, 10 * MIB, 10 * MIB + 512, 11 * MIB, 12 * MIB])
            twins.allocate(size)
        else:
            twins.free(chance.random())
        assert twins.real() == twins.modelled(), f"seed {seed}, event {event}"
    real, modelled = twins.layouts()
    assert real == modelled, f"seed {seed}"


def test_the_model_agrees_with_torch_after_each_of_many_random_requests_and_frees() -> None:
    by_address = ties_go_by_address()
    empty_pool()
    for seed in range(TRACES):
        twins = Twins(by_address)
        replay(seed, twins)
        twins.end()
        assert (torch.cuda.memory_reserved(), twins.model.reserved_bytes) == (0, 0)


def test_the_model_agrees_with_torch_where_requests_are_refused() -> None:
    # given: a limit of 129 MiB. Segments are multiples of 2 MiB, so that what a fraction loses in rounding is no matter
    by_address = ties_go_by_address()
    empty_pool()
    capacity = 129 * MIB
    torch.cuda.set_per_process_memory_fraction(capacity / torch.cuda.mem_get_info()[1])
    retries = ooms = 0
    # when
    for seed in range(TRACES):
        twins = Twins(by_address, capacity)
        replay(seed, twins)
        retries, ooms = retries + twins.model.retries, ooms + twins.model.ooms
        twins.end()
    # then: both ways out of a refusal were taken, or nothing was shown
    assert retries > ooms > 0
