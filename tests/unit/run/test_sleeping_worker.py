"""The worker that sleeps, over its real protocol: tests of clusters and of many cards rest on it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from factories import a_case

from bench.core import identity
from bench.errors import DeviceError
from bench.record import Measured, MeasureSettings, Tile
from bench.run.executor import SubprocessExecutor

SLEEPING = (sys.executable, str(Path(__file__).parents[2] / "sleeping_worker.py"))
UUID = "11111111-2222-3333-4444-555555555555"


def test_it_is_the_device_it_is_told_to_be_and_says_that_it_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPING_SECONDS", "0")
    monkeypatch.setenv("SLEEPING_DEVICE", "NVIDIA Asleep")
    monkeypatch.setenv("SLEEPING_UUID", UUID)
    executor = SubprocessExecutor("cuda", command=SLEEPING)
    phases: list[str] = []
    try:
        ready = executor.start()
        done = executor.run(a_case(tiling=Tile.of(32)), MeasureSettings(), 20, phases.append)
    finally:
        executor.close()
    assert (ready.device.kind, ready.device.name) == ("cuda", "NVIDIA Asleep")
    assert ready.device.identity == identity.of(UUID)
    assert ready.environment.stand_in
    assert phases == ["load", "run"]
    assert isinstance(done.outcome, Measured)
    (stage,) = done.stages
    assert stage.tiles
    assert stage.timing
    assert stage.memory


def test_without_cuda_it_refuses_to_be_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPING_NO_CUDA", "1")
    executor = SubprocessExecutor("cuda", command=SLEEPING)
    with pytest.raises(DeviceError):
        executor.start()
    executor.close()
