"""The protocol of `bench.run.worker` over a session that sleeps instead of computing: no torch, no device.

    SubprocessExecutor("cuda", command=(sys.executable, str(Path("tests/sleeping_worker.py"))))

What it pretends is in environment variables:

- SLEEPING_SECONDS: how long a case takes in all, 0.05 unless set.
- SLEEPING_DEVICE: the device's name; `Sleeping CPU`, or `Sleeping GPU` if it was started for cuda.
- SLEEPING_UUID: the UUID of a GPU, from which its identity is made; none unless set.
- SLEEPING_NO_CUDA: if set, there is no CUDA here: a start for cuda is refused.
- SLEEPING_GATE: a file without which no worker gets beyond its second case.
- SLEEPING_LOG: a file to which it appends the id of each case that begins.

Its figures follow from the case, so two runs of a case agree. Its records say that it stood in for a device, and
in which folder bench was (`os`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import standin_worker
from standin_worker import StandInDevice

import bench
from bench.core import identity
from bench.errors import DeviceError
from bench.record import Case, Device, Environment, Measured, MeasureSettings, Memory, Package, Phase, Stage, Timing
from bench.run import surroundings
from bench.run.messages import Done, Ready
from bench.workloads import models

_TOTAL_BYTES = 8 * 2**30
_SAMPLES = 5
#: How many cases a worker measures before it waits for the gate.
BEFORE_GATE = 2


class SleepingSession:
    """A session that takes no device and sleeps."""

    def __init__(self, device: str, vram_limit_bytes: int | None) -> None:
        is_gpu = device.startswith("cuda")
        if is_gpu and os.environ.get("SLEEPING_NO_CUDA"):
            raise DeviceError("there is no CUDA here, as the test asked")
        name = os.environ.get("SLEEPING_DEVICE") or ("Sleeping GPU" if is_gpu else "Sleeping CPU")
        uuid = os.environ.get("SLEEPING_UUID")
        self.held = StandInDevice()
        self._begun = 0
        self.ready = Ready(
            device=Device(
                kind="cuda" if is_gpu else "cpu",
                name=name,
                total_bytes=_TOTAL_BYTES,
                identity=identity.of(uuid) if uuid else None,
            ),
            environment=Environment(
                python="3",
                packages={"torch": Package(version="0")},
                os=f"with bench in {Path(bench.__file__).parents[1].name}",
                host_cpu="",
                host_cores=1,
                host_ram_bytes=1,
                variables=surroundings.variables(os.environ),
                stand_in="a worker that sleeps",
            ),
            reason="a worker that sleeps was asked for",
        )

    def run(self, case: Case, settings: MeasureSettings, begin: Callable[[Phase], None]) -> Done:
        """Sleep, half of the time while loading."""
        _log(case)
        seconds = float(os.environ.get("SLEEPING_SECONDS", "0.05"))
        self._begun += 1
        for phase in ("load", "run"):
            begin(phase)
            time.sleep(seconds / 2)
        if self._begun > BEFORE_GATE:
            _wait_for_gate()
        return _done(case)

    def run_interleaved(
        self, cases: Sequence[Case], settings: MeasureSettings, begin: Callable[[Phase], None]
    ) -> tuple[Done, ...]:
        """The same for each of the cases."""
        return tuple([self.run(case, settings, begin) for case in cases])


def _done(case: Case) -> Done:
    """A time of a nanosecond and a byte for each pixel, or what the case has instead of pixels."""
    size = case.axes.product()
    median_s = size * 1e-9
    samples = (median_s,) * _SAMPLES
    timing = Timing(clock="perf_counter", median_s=median_s, samples_s=samples, interval_s=None, noise=0.0)
    memory = Memory(percent=size / _TOTAL_BYTES * 100, peak_bytes=size)
    tiles = None if case.tiling == "off" else len(models.workload(case.model).passes(case))
    return Done(outcome=Measured(), stages=(Stage(name=case.operation, timing=timing, memory=memory, tiles=tiles),))


def _wait_for_gate() -> None:
    gate = os.environ.get("SLEEPING_GATE")
    while gate and not Path(gate).exists():
        time.sleep(0.02)


def _log(case: Case) -> None:
    if path := os.environ.get("SLEEPING_LOG"):
        with Path(path).open("a") as log:
            log.write(f"{case.id}\n")


if __name__ == "__main__":
    standin_worker.StandInSession = SleepingSession  # type: ignore[assignment,misc]
    standin_worker.main()
