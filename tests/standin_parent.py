"""A parent as `bench run` is one, over the stand-in worker: `standin_parent.py RESULTS CASES`."""

from __future__ import annotations

import sys
from pathlib import Path

from processes import STANDIN
from rich.console import Console

from bench.plan import Plan
from bench.record import Axes, Case, MeasureSettings
from bench.run.executor import SubprocessExecutor
from bench.run.progress import Reporter
from bench.run.scheduler import RunOptions, run


def plan(cases: int) -> Plan:
    """A plan of that many cases."""
    made = tuple(
        Case(
            model="tiny",
            operation="encode",
            axes=Axes({"width": 8 * n, "height": 8, "frames": 1, "batch": 1}),
            dtype="float32",
        )
        for n in range(1, cases + 1)
    )
    return Plan(config="standin", cases=made, measure=MeasureSettings(), timeout_s=30)


def main() -> int:
    """Run the plan and return the exit code."""
    made = plan(int(sys.argv[2]))
    executor = SubprocessExecutor(command=STANDIN)
    try:
        with Reporter(made, Console(stderr=True), quiet=True) as reporter:
            return run(made, executor, RunOptions(results=Path(sys.argv[1])), reporter).exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        executor.close()


if __name__ == "__main__":
    sys.exit(main())
