"""Who else uses a GPU, as the worker sees it: before it has taken the GPU and afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from nvml_driver import UUID, FakeDriver

from bench.core.units import GIB
from bench.device.cuda.lookout import GpuLookout
from bench.device.cuda.nvml import Nvml

#: Process ids that no process of this machine has.
OTHER, HOST_ID = 2**22 + 1, 2**22 + 2


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A driver that lists no process yet."""
    made = FakeDriver()
    made.install(monkeypatch)
    return made


@pytest.fixture
def lookout(driver: FakeDriver) -> GpuLookout:
    return GpuLookout(Nvml(UUID), parent=os.getpid())


@pytest.fixture
def child() -> Iterator[int]:
    """The id of a process that this one has started, as the parent of workers starts them."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def test_another_process_is_counted_before_and_after_the_gpu_is_taken(driver: FakeDriver, lookout: GpuLookout) -> None:
    driver.processes = [(OTHER, GIB)]
    assert lookout.look(has_device=False).computing == 1
    driver.processes.append((os.getpid(), GIB))
    assert lookout.look(has_device=True).computing == 1


def test_this_process_and_its_siblings_are_not_counted(driver: FakeDriver, lookout: GpuLookout, child: int) -> None:
    driver.processes = [(child, GIB)]
    assert lookout.look(has_device=False).computing == 0
    driver.processes.append((os.getpid(), GIB))
    assert lookout.look(has_device=True).computing == 0


def test_its_own_memory_is_left_out_once_it_has_the_gpu(driver: FakeDriver, lookout: GpuLookout) -> None:
    driver.in_use, driver.processes = 3 * GIB, [(os.getpid(), 3 * GIB)]
    seen = lookout.look(has_device=True)
    assert (seen.bytes, seen.count) == (0, 0)


def test_memory_of_unknown_owners_is_not_judged_once_it_has_the_gpu(driver: FakeDriver, lookout: GpuLookout) -> None:
    driver.in_use = 3 * GIB
    assert lookout.look(has_device=False).bytes == 3 * GIB
    assert lookout.look(has_device=True).bytes is None


def test_the_one_id_that_is_new_since_it_took_the_gpu_is_its_own_in_a_container(
    driver: FakeDriver, lookout: GpuLookout
) -> None:
    assert lookout.look(has_device=False).computing == 0
    driver.processes = [(HOST_ID, GIB)]
    assert lookout.look(has_device=True).computing == 0
    driver.processes.append((OTHER, GIB))
    assert lookout.look(has_device=True).computing == 2


def test_without_a_driver_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from nvml_driver import NO_DRIVER

    FakeDriver(failures={"nvmlInit": NO_DRIVER}).install(monkeypatch)
    lookout = GpuLookout(Nvml(UUID))
    seen = lookout.look(has_device=False)
    assert (seen.computing, seen.bytes, seen.utilization) == (None, None, None)
    assert lookout.reason
