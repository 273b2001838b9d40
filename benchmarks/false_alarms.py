"""How often `bench compare` cries wolf, and how often it sees the wolf: on synthetic runs, through its own code.

    python benchmarks/false_alarms.py [--comparisons 1000]

40 cases, 20 samples a side, noise of 1%. A comparison is a false alarm if it shows anything in any case although
both sides are drawn from one distribution. Power is how often a shift of 4% in one case of the 40 is shown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.analysis.compare import Comparison, Request, compare
from bench.analysis.compare.sides import Side, SideName, side
from bench.record import Axes, Case, Device, Environment, Measured, Record, Run, Stage, Timing

CASES, SAMPLES, NOISE, SHIFT = 40, 20, 0.01, 0.04
NOON = "2026-01-01T12:00:00.000000Z"
Draw = Callable[[np.random.Generator], np.ndarray]


def gaussian(random: np.random.Generator) -> np.ndarray:
    """A case's samples as shares of its true time: normal, standard deviation 1%."""
    return 1 + NOISE * random.standard_normal(SAMPLES)


def skewed(random: np.random.Generator) -> np.ndarray:
    """As a busy machine's: lognormal noise of 1%, and one sample in twenty up to twice as long."""
    slow = 1 + (random.random(SAMPLES) < 0.05) * random.random(SAMPLES)
    return np.exp(NOISE * random.standard_normal(SAMPLES)) * slow


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the output. `offset`: standard deviation of a run's, or with `own_offsets` of each case's in it.

    `runs` are a side's; `head_runs` the head's where it has another number of them.
    """

    name: str
    draw: Draw = gaussian
    runs: int = 1
    offset: float = 0.0
    own_offsets: bool = False
    shift: float = 0.0
    factor: float | None = None
    head_runs: int | None = None

    def runs_of(self, name: SideName) -> int:
        """How many runs a side has."""
        return self.runs if name == "base" or self.head_runs is None else self.head_runs

    @property
    def request(self) -> Request:
        """The default one, but for the factor where the setting has its own."""
        return Request(factors={} if self.factor is None else {"time": self.factor})


#: Of 4 v 12 runs ranks can show one of 40 cases (p = 0.0011), of 4 v 10 only the t tests can.
UNEQUAL: Mapping[str, Any] = {"runs": 4, "offset": 0.005, "own_offsets": True, "factor": 0.0}

SETTINGS = (
    Setting("false alarms, 1 run a side"),
    Setting("found, 4% in one case, 1 run a side", shift=SHIFT),
    Setting("false alarms, 5 runs a side, offsets of 0.5%", runs=5, offset=0.005),
    Setting("found, 4% in one case, 5 runs a side, offsets", runs=5, offset=0.005, shift=SHIFT),
    Setting("false alarms, 1 run a side, skewed", draw=skewed),
    Setting("false alarms, 1 run a side, no practical factor", factor=0.0),
    Setting("false alarms, 5 runs, offsets, no practical factor", runs=5, offset=0.005, factor=0.0),
    Setting(
        "false alarms, 5 runs, own offsets, no practical factor", runs=5, offset=0.005, own_offsets=True, factor=0.0
    ),
    Setting("false alarms, 4 v 12 runs, offsets, no practical factor", runs=4, head_runs=12, offset=0.005, factor=0.0),
    Setting("false alarms, 4 v 12, own offsets, no practical factor", **UNEQUAL, head_runs=12),
    Setting("false alarms, 4 v 10, own offsets, no practical factor", **UNEQUAL, head_runs=10),
    Setting("false alarms, 1 run a side, offsets of 0.5%", offset=0.005),
    Setting("false alarms, 1 run, offsets, no practical factor", offset=0.005, factor=0.0),
)


def blank(number: int) -> Record:
    """A record without a time, to be copied: building one anew takes longer than comparing it."""
    return Record(
        kind="measured",
        case=Case(
            model="m", operation="encode", axes=Axes({"width": 64 * (number + 1), "height": 64}), dtype="float32"
        ),
        device=Device(kind="cpu", name="synthetic"),
        run=Run(id="", config="synthetic", plan="synthetic", cases=CASES, started_at=NOON),
        outcome=Measured(),
        environment=Environment(python="3", packages={}, os="", host_cpu="", host_cores=1, host_ram_bytes=1),
        recorded_at=NOON,
    )


BLANKS = tuple(blank(number) for number in range(CASES))


def draw_side(name: SideName, setting: Setting, random: np.random.Generator) -> Side:
    """One side's runs. A shift is the head's, in its first case."""
    files = []
    for number in range(setting.runs_of(name)):
        run = BLANKS[0].run.model_copy(update={"id": f"{name}-{number}"})
        offsets = 1 + setting.offset * random.standard_normal(CASES if setting.own_offsets else 1)
        records = []
        for place, record in enumerate(BLANKS):
            shift = setting.shift if name == "head" and place == 0 else 0.0
            samples = tuple((0.05 * offsets[place % len(offsets)] * (1 + shift) * setting.draw(random)).tolist())
            timing = Timing.model_construct(clock="perf_counter", median_s=samples[0], samples_s=samples)
            records.append(record.model_copy(update={"run": run, "stages": (Stage(name="encode", timing=timing),)}))
        files.append((f"{name}-{number}.jsonl", records))
    return side(name, files)


def one(setting: Setting, seed: int) -> Comparison:
    """One comparison of two drawn sides."""
    random = np.random.default_rng(seed)
    return compare(draw_side("base", setting, random), draw_side("head", setting, random), setting.request)


def hit(setting: Setting, seed: int) -> bool:
    """Whether the shifted case is shown worse, or, where none is shifted, anything at all is shown."""
    rows = one(setting, seed).machines[0].metrics[0].rows
    return rows[0].verdict == "worse" if setting.shift else any(row.verdict in {"better", "worse"} for row in rows)


def main() -> None:
    """Print a line a setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    count = arguments.comparisons
    print(f"{CASES} cases, {SAMPLES} samples a side, noise of {NOISE:.0%}; {count} comparisons a line, seeds 0 and up")
    with ProcessPoolExecutor(arguments.processes) as pool:
        for setting in SETTINGS:
            begun = time.monotonic()
            hits = sum(pool.map(partial(hit, setting), range(count), chunksize=max(1, count // 20)))
            print(f"{setting.name:<60} {hits / count:7.2%}  ({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
