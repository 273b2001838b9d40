"""The real worker's main loop over a session that measures nothing: for killing it often and quickly.

BENCH_STANDIN_SECONDS is how long a case pretends to take.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType

from bench.record import Case, Device, Environment, Measured, MeasureSettings, Package, Phase, Timing
from bench.run.protocol import Done, Ready

SECONDS = float(os.environ.get("BENCH_STANDIN_SECONDS", "0.01"))


class StandInSession:
    """Takes no device and returns a made-up figure: its records are for counting lines, never for reading."""

    def __init__(self, device: str, vram_limit_bytes: int | None) -> None:
        self.ready = Ready(
            device=Device(kind="cpu", name="stand-in", total_bytes=2**30),
            environment=Environment(
                python="3", packages={"torch": Package(version="0")}, os="", host_cpu="", host_cores=1, host_ram_bytes=1
            ),
        )

    def run(self, case: Case, settings: MeasureSettings, begin: Callable[[Phase], None]) -> Done:
        begin("run")
        time.sleep(SECONDS)
        return Done(outcome=Measured(), timing=Timing(clock="perf_counter", median_s=SECONDS, samples_s=(SECONDS,)))

    def take_turns(
        self, cases: Sequence[Case], settings: MeasureSettings, begin: Callable[[Phase], None]
    ) -> tuple[Done, ...]:
        return tuple([self.run(case, settings, begin) for case in cases])


class UnusableError(Exception):
    """What the real device module raises."""


def main() -> None:
    """Put the stand-ins where the worker looks for the modules that load torch, and serve."""
    for name, member in (("session", {"Session": StandInSession}), ("device", {"UnusableError": UnusableError})):
        module = ModuleType(f"bench.run.{name}")
        vars(module).update(member)
        sys.modules[module.__name__] = module
    from bench.run import worker

    worker.main()


if __name__ == "__main__":
    main()
