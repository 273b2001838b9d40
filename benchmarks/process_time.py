"""What the quick commands take as whole processes, from start to exit: wall time, CPU time and peak memory.

    python benchmarks/process_time.py [--rounds 7]

Each round runs every command once, in a process of its own, in this checkout with its results. A first round, which is
not counted, compiles the program and fills the disk's cache. Exit code 1 if a command fails, or if even its quickest
run takes longer, or more memory, than its goal. The goals are for two cores that have nothing else to do; CPU time
depends less on what else runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from scale import Cost, cost

from bench.device.cpu import host

ROOT = Path(__file__).parents[1]
#: Those of `make predictions`.
CARDS = (
    *("4090", "4080 SUPER", "3090", "RTX 3080", "3070", "T4", "L4", "A10G", "L40S"),
    *("A100-SXM4-80GB", "H100", "H200"),
)
_MOST_BYTES = 200 * 2**20


@dataclass(frozen=True, slots=True)
class Command:
    """A command and its goal, the seconds of the whole process; None if it has none."""

    name: str
    arguments: Sequence[str]
    goal_s: float | None = None


def commands(folder: Path) -> list[Command]:
    """The commands; what they write goes to the folder."""
    cards = [word for card in CARDS for word in ("--gpu", card)]
    sdxl = ("--model", "sdxl", "--resolution", "1024")
    return [
        Command("predict, one card", ("predict", "--gpu", "3070"), 0.6),
        Command("advise", ("advise", "--gpu", "3070", *sdxl, "--operation", "decode"), 0.6),
        Command("predict, 12 cards", ("predict", "--quiet", "--out", str(folder / "docs.jsonl"), *cards), 3.0),
        Command("hybrid", ("hybrid", "--gpu", "4090", *sdxl)),
        Command("cost", ("cost", *sdxl)),
        Command("models", ("models",)),
        Command("--version", ("--version",)),
    ]


def main() -> int:
    """Run all commands in turns, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="how often each command is run (default: 7)")
    rounds = parser.parse_args().rounds
    machine = f"{host.cpu_name()}, {psutil.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the start"
    print(f"{machine}; Python {platform.python_version()}")
    if sys.flags.dont_write_bytecode:
        print("PYTHONDONTWRITEBYTECODE is set: unless the program is compiled already, each process compiles it.")
    with tempfile.TemporaryDirectory(prefix="bench-process-") as temporary:
        folder = Path(temporary)
        measured = commands(folder)
        costs: dict[str, list[Cost]] = {command.name: [] for command in measured}
        for number in range(rounds + 1):
            for command in measured:
                taken = cost(command.arguments, folder, ROOT)
                if taken.exit_code:
                    print(f"{command.name}: exit code {taken.exit_code}: {(folder / 'errors').read_text()}")
                    return 1
                costs[command.name] += [taken] if number else []
    print(f"{'command':<18} {'wall s, median (least)':>23} {'CPU s, median (least)':>22} {'peak MiB':>9}   goal")
    kept = [_print(command, costs[command.name]) for command in measured]
    return 0 if all(kept) else 1


def _print(command: Command, costs: Sequence[Cost]) -> bool:
    """Print what a command took; whether it kept its goal at least once."""
    wall, processor = [taken.wall_s for taken in costs], [taken.cpu_s for taken in costs]
    peak_bytes = max(taken.peak_bytes for taken in costs)
    times = "".join(f"{f'{statistics.median(each):.2f} ({min(each):.2f})':>23}" for each in (wall, processor))
    goal = "" if command.goal_s is None else f"{command.goal_s:g} s, {_MOST_BYTES / 2**20:.0f} MiB"
    kept = command.goal_s is None or (min(wall) <= command.goal_s and peak_bytes <= _MOST_BYTES)
    print(f"{command.name:<18} {times} {peak_bytes / 2**20:9.0f}   {goal}{'' if kept else ': NOT KEPT'}")
    return kept


if __name__ == "__main__":
    sys.exit(main())
