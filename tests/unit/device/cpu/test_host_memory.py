"""The CPU's memory meter against allocations of known size (Linux)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.core.units import GIB, MIB, memory_percent
from bench.device.base import Capacity
from bench.device.cpu import host_memory
from bench.device.cpu.host_memory import HostMemory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
WEIGHTS = 10 * MIB


def _touched(size: int) -> bytearray:
    return bytearray(b"\1") * size


def test_the_peak_is_weights_and_what_the_first_call_held_at_its_highest() -> None:
    # Given a first call that holds 96 MiB for a moment and 32 at its end
    meter = HostMemory(Capacity(GIB))
    meter.begin()
    kept, scratch = _touched(32 * MIB), _touched(64 * MIB)
    del scratch
    meter.first_call_done()
    # When the timed calls hold more
    later = _touched(256 * MIB)
    del later
    (memory,) = meter.calls_done(WEIGHTS)
    # Then the peak is the first call's, and the other is told beside it
    assert memory.peak_bytes == pytest.approx(WEIGHTS + 96 * MIB, abs=6 * MIB)
    assert memory.percent == memory_percent(memory.peak_bytes or 0, GIB)
    assert memory.timing_peak_rss_bytes is not None
    assert memory.peak_rss_bytes is not None
    assert memory.timing_peak_rss_bytes > memory.peak_rss_bytes + 100 * MIB
    assert memory.measured_during == "first call"
    del kept


def test_a_limit_stands_in_for_the_total() -> None:
    meter = HostMemory(Capacity(GIB, limit_bytes=100 * MIB))
    meter.begin()
    meter.first_call_done()
    (memory,) = meter.calls_done(50 * MIB)
    assert memory.percent == memory_percent(memory.peak_bytes or 0, 100 * MIB)
    assert memory.percent >= 50


def test_what_is_kept_after_the_case_is_left_behind() -> None:
    meter = HostMemory(Capacity(GIB))
    meter.begin()
    kept = _touched(128 * MIB)
    assert meter.left_behind() > 120 * MIB > meter.leak_tolerance_bytes
    del kept
    assert meter.left_behind() < meter.leak_tolerance_bytes


def test_where_the_peak_can_t_be_reset_there_is_a_reason_and_no_figure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host_memory, "_CLEAR_REFS", tmp_path / "missing" / "clear_refs")
    meter = HostMemory(Capacity(GIB))
    meter.begin()
    meter.first_call_done()
    (memory,) = meter.calls_done(WEIGHTS)
    assert memory.peak_bytes is None
    assert memory.percent is None
    assert memory.peak_reason
    assert memory.weights_bytes == WEIGHTS


def test_the_peak_while_a_model_is_loaded_is_what_the_resident_set_grew_by() -> None:
    meter = HostMemory(Capacity(GIB))
    meter.begin_load()
    kept, scratch = _touched(48 * MIB), _touched(48 * MIB)
    del scratch
    loading = meter.load_done()
    assert loading.peak_bytes == pytest.approx(96 * MIB, abs=6 * MIB)
    assert loading.percent == memory_percent(loading.peak_bytes or 0, GIB)
    del kept
