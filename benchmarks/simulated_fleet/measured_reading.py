"""What it takes to read, merge and report results, and how that grows with the number of records."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import cli

from . import made_runs
from .child import ChildCost, in_child

#: Commands by what they do; `{results}` and `{out}` stand for folders. The first is the only one that is cheap enough
#: for the largest number of records.
COMMANDS = {
    "bench docs render: read all, show the latest": ("docs", "render", "{results}", "--operation", "decode"),
    "bench report": ("report", "{results}", "--out", "{out}/reports", "--quiet"),
    "bench merge, of two copies": ("merge", "{results}", "{results}", "-o", "{out}/merged"),
    "bench export --parquet, all runs": (
        *("export", "{results}", "--parquet", "--all-runs", "--quiet", "--out"),
        "{out}/dataset/",
    ),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a command took on so many records."""

    what: str
    written: made_runs.Written
    cost: ChildCost


def measure(folder: Path, sizes: Sequence[int], largest: int, devices: int) -> Iterator[Reading]:
    """Run every command on so many records in files of 32, and the first one on the largest number."""
    for size in (*sizes, largest):
        results = folder / f"records-{size}"
        written = in_child(made_runs.write_runs, results, size, min(devices, max(1, size // 32))).result
        for what, command in COMMANDS.items():
            if size in sizes or what == next(iter(COMMANDS)):
                out = folder / f"out-{size}"
                words = [word.format(results=results, out=out) for word in command]
                yield Reading(what, written, in_child(_bench, words))


def _bench(arguments: list[str]) -> None:
    """Run `bench` in this process. Raises RuntimeError unless it succeeds."""
    sys.argv = ["bench", *arguments]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        code = cli.main()
    if code:
        raise RuntimeError(f"bench {' '.join(arguments)} ended with exit code {code}")
