"""The command line in a process of its own, and what it wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import store
from bench.record import Record

BENCH = (sys.executable, "-m", "bench")
#: A worker that measures nothing and loads no torch, and the same command over it.
STANDIN = (sys.executable, str(Path(__file__).with_name("standin_worker.py")))
STANDIN_BENCH = (sys.executable, str(Path(__file__).with_name("standin_bench.py")))


def bench(
    *arguments: str, env: dict[str, str] | None = None, command: Sequence[str] = BENCH, **kwargs: object
) -> subprocess.CompletedProcess[str]:
    """Run `python -m bench` with these arguments, and with these variables on top of the environment."""
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env={**os.environ, **(env or {})},
        **kwargs,  # type: ignore[call-overload]
    )


def records(results: Path) -> list[Record]:
    """The records of the one run in a results folder."""
    (file,) = results.rglob("*.jsonl")
    return list(store.read_file(file).records)
