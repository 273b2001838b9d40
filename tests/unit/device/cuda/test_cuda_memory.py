"""Peaks of a case on CUDA: of a call of one part as torch keeps them, of several stages each its own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.core.units import MIB
from bench.device.base import Capacity, Context

torch = pytest.importorskip("torch")
cuda_memory = pytest.importorskip("bench.device.cuda.cuda_memory")
GPU = torch.device("cuda", 0)


class Pool:
    """Torch's allocator: what is allocated now, and the most since the last reset; reserved is twice that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = 0
        for name, answer in {
            "synchronize": lambda *_: None,
            "empty_cache": lambda: None,
            "reset_peak_memory_stats": lambda _: self._reset(),
            "memory_allocated": lambda _: self.now,
            "max_memory_allocated": lambda _: self.most,
            "max_memory_reserved": lambda _: 2 * self.most,
        }.items():
            monkeypatch.setattr(torch.cuda, name, answer)

    def _reset(self) -> None:
        self.most = self.now

    def take(self, count: int) -> None:
        """So many bytes are allocated, and freed again."""
        self.most = max(self.most, self.now + count)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    return Pool(monkeypatch)


@pytest.fixture
def meter() -> object:
    nothing = SimpleNamespace(bytes=None, reason="no driver")
    nvml = SimpleNamespace(used=lambda: nothing, process=lambda: nothing)
    return cuda_memory.CudaMemory(GPU, nvml, Capacity(2**34), Context(None, reason="no driver"))


def test_a_call_of_one_part_has_torch_s_own_peaks(pool: Pool, meter: object) -> None:
    meter.begin()
    pool.take(100)
    meter.first_call_done()
    pool.take(150)
    (memory,) = meter.calls_done(weights_bytes=7)

    assert (memory.peak_allocated_bytes, memory.peak_reserved_bytes) == (150, 300)
    assert (memory.first_call_peak_allocated_bytes, memory.weights_bytes) == (100, 7)


def test_each_of_several_stages_has_the_most_of_all_its_calls(pool: Pool, meter: object) -> None:
    # given calls of two stages, of which now one and now the other takes more
    meter.begin()
    for takes in ((100, 30), (80, 50), (90, 40)):
        for stage, count in enumerate(takes):
            meter.enter(stage)
            pool.take(count)
            meter.leave(stage)
        if takes == (100, 30):
            meter.first_call_done()

    # then each has its own peak, and that of its first call
    memories = meter.calls_done(weights_bytes=7)
    assert [memory.peak_allocated_bytes for memory in memories] == [100, 50]
    assert [memory.first_call_peak_allocated_bytes for memory in memories] == [100, 30]


def test_the_next_case_begins_without_the_stages_of_the_last(pool: Pool, meter: object) -> None:
    meter.begin()
    meter.enter(0)
    meter.leave(0)
    meter.first_call_done()
    meter.begin()
    pool.take(10)
    meter.first_call_done()

    assert [memory.peak_allocated_bytes for memory in meter.calls_done(weights_bytes=0)] == [10]


def test_the_peak_while_a_model_is_loaded_is_apart_from_that_of_its_calls(pool: Pool, meter: object) -> None:
    pool.take(5 * MIB)  # an earlier case
    meter.begin_load()
    pool.take(3 * MIB)
    loading = meter.load_done()
    assert (loading.peak_allocated_bytes, loading.peak_reserved_bytes) == (3 * MIB, 6 * MIB)
    assert loading.peak_bytes == loading.peak_reserved_bytes
    meter.begin()
    pool.take(MIB)
    meter.first_call_done()
    (memory,) = meter.calls_done(0)
    assert memory.peak_allocated_bytes == MIB
