"""Very many made-up records, quickly: lines of a pool of distinct ones, each run with an identity of its own.

The pool's records are those of `scale.py`, whose times, peaks and energies vary.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import scale

from bench.record import Record, Run

_CASES = len(scale.CASES)
#: What stands in the pool's lines for the id of the run.
_RUN_ID = "run-of-the-pool"


def pool(devices: int, runs: int = 1) -> list[list[Record]]:
    """Records of each device: so many runs of the docs' sweep. Their run is named `simulated`."""
    moments = random.Random(0)  # noqa: S311 - figures, not secrets
    run = Run(
        id=_RUN_ID, config="simulated", plan="0123456789abcdef", cases=_CASES, started_at="2026-01-01T00:00:00.000000Z"
    )
    return [
        [scale.record(case, scale.device(number), run, moments) for _ in range(runs) for case in scale.CASES]
        for number in range(devices)
    ]


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a folder of runs, and what they hold."""

    records: int
    bytes: int
    files: int


def write_runs(folder: Path, records: int, devices: int, round_: int = 0) -> Written:
    """Write runs of 32 records into `folder`, one after another over all devices, until there are that many records."""
    lines = [[record.to_json() for record in of_device] for of_device in pool(devices)]
    total = files = 0
    for number, count in enumerate(_counts(records)):
        device = number % devices
        run_id = f"{round_}-{number:08}"
        text = "".join(f"{line}\n" for line in lines[device][:count]).replace(_RUN_ID, run_id)
        path = folder / scale.device(device).slug / f"{run_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        total += path.write_bytes(text.encode())
        files += 1
    return Written(records, total, files)


def _counts(records: int) -> Iterator[int]:
    """The number of records of each run."""
    for begin in range(0, records, _CASES):
        yield min(_CASES, records - begin)
