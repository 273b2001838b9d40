"""What the harness costs: its time beyond the calls, and a sweep's wall time beside one process per case.

    python benchmarks/overhead.py [--sweep smoke] [--device auto]

Both runs are of the same cases under the same stopping rule, through the program's own scheduler and worker; the second
ends the worker after each case, as harnesses do that start a process per case.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import config, plan
from bench.plan import Plan
from bench.record import Case, Device, MeasureSettings, Phase, Record, Run
from bench.run import scheduler
from bench.run.executor import SubprocessExecutor
from bench.run.messages import Done, Ready
from bench.run.outcome import OnPhase


class ProcessPerCase(SubprocessExecutor):
    """The same executor, but no worker sees a second case."""

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        done = super().run(case, measure, timeout_s, on_phase)
        self.close()
        return done


class Silent:
    """An observer that says nothing."""

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None: ...

    def case_begun(self, number: int, case: Case) -> None: ...

    def phase_begun(self, phase: Phase) -> None: ...

    def case_done(self, number: int, record: Record) -> None: ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep's wall time from nothing, the part of it until the first worker was ready, and its records."""

    wall_s: float
    start_s: float
    records: tuple[Record, ...]
    device: Device

    @property
    def calls_s(self) -> float:
        """Seconds of the calls themselves, first and timed ones."""
        return sum(calls_s(record) for record in self.records)


def calls_s(record: Record) -> float:
    """Seconds of a case's calls: the warm-up call and the timed ones."""
    timing = record.timing
    return 0.0 if timing is None else sum(timing.samples_s) + (timing.first_call_s or 0.0)


def measure(made: Plan, executor: SubprocessExecutor) -> Sweep:
    """Run the plan in a folder of its own."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            ready = executor.start()
            start_s = time.perf_counter() - begin
            summary = scheduler.run(made, executor, scheduler.RunOptions(results=Path(folder)), Silent())
        finally:
            executor.close()
    return Sweep(time.perf_counter() - begin, start_s, summary.records, ready.device)


def main() -> None:
    """Print both sweeps and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", default="smoke", help="a shipped sweep's name or a YAML file")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    made = plan.make(config.load(config.find(arguments.sweep), ()))

    reused = measure(made, SubprocessExecutor(arguments.device))
    apart = measure(made, ProcessPerCase(arguments.device))

    beyond = [(record.wall_s or 0.0) - calls_s(record) for record in reused.records]
    cases = len(made.cases)
    harness_s = (reused.wall_s - reused.start_s - reused.calls_s) / cases
    print(f"{arguments.sweep}: {cases} cases on {reused.device.name}")
    print(f"worker ready after                   {reused.start_s:8.2f} s")
    print(f"calls, first and timed               {reused.calls_s:8.2f} s")
    print(f"harness beyond the calls, a case     {harness_s * 1e3:8.1f} ms  (the sweep's wall time without the start)")
    middle, most = statistics.median(beyond), max(beyond)
    print(f"  of which in the case, median       {middle * 1e3:8.1f} ms  (most {most * 1e3:.1f})")
    print(f"sweep, one worker                    {reused.wall_s:8.2f} s")
    print(f"sweep, one process a case            {apart.wall_s:8.2f} s")
    print(f"ratio                                {apart.wall_s / reused.wall_s:8.1f}")


if __name__ == "__main__":
    main()
