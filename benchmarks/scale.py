"""What `bench report`, `bench compare` and `bench docs render` take on very many records.

    python benchmarks/scale.py [--records 100000] [--devices 300] [--folder FOLDER]

Writes that many made-up records, of about 3.3 kB each, into a temporary folder: the docs' sweep on `--devices` devices,
run again and again, half of the runs being the base and half the head of the comparison. The devices have the names of
cards in gpus.yaml, so that times are fitted, costs found and answers changed by them. Then runs each command as a
process of its own, and prints its time, its CPU time and its greatest resident memory beside the goal. On a machine
that computes other things too, its CPU time is nearer to what it takes on a quiet one than its time. How quickly the
page answers is told by `benchmarks/page_in_browser.py FOLDER/reports/index.html`.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import config, plan, store
from bench.core import stats
from bench.record import (
    Case,
    Device,
    Environment,
    GpuSettings,
    Measured,
    MeasureSettings,
    Memory,
    Package,
    Record,
    Run,
    Spread,
    Stage,
    Telemetry,
    Timing,
)

GIB = 2**30
#: What the project asks of each command on 100,000 records, on a quiet machine.
GOALS_S = {"report": 15.0, "compare": 10.0, "docs render": 10.0}
GOAL_MIB = 1024
CARDS = tuple(config.load_gpus().cards.items())
CASES = plan.make(config.load(config.find("docs"))).cases
SAMPLES = 24
#: Seconds of the smallest case's call on the quickest device.
LEAST_S = 0.02
VERSIONS = {
    "hybrid-bench": "0.1.0",
    "torch": "2.13.0",
    "diffusers": "0.42.1",
    "accelerate": "1.15.0",
    "safetensors": "0.8.0",
    "numpy": "2.4.6",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    exit_code: int


def device(number: int) -> Device:
    """The n-th device: a card of gpus.yaml, and beyond those one that is not there, of its memory."""
    name, card = CARDS[number % len(CARDS)]
    namesake = number // len(CARDS)
    digest = f"sha256:{number:012x}"
    name = f"{name} No. {namesake}" if namesake else name
    return Device(kind="cuda", name=name, total_bytes=card.memory_bytes, identity=digest)


def environment() -> Environment:
    """The software and the host of every record."""
    return Environment(
        python="3.11.7",
        packages={name: Package(version=version) for name, version in VERSIONS.items()},
        project_commit="795ca75f3be3",
        os="Linux 6.8.0-45-generic",
        host_cpu="AMD EPYC 9354 32-Core Processor",
        host_cores=64,
        host_ram_bytes=256 * GIB,
        threads=32,
        driver="580.65.06",
        cuda="13.0",
        cudnn="91002",
        gpu=GpuSettings(
            compute_capability="9.0",
            multiprocessors=132,
            power_limit_w=700.0,
            power_default_w=700.0,
            power_range_w=(200.0, 700.0),
            sm_clock_default_hz=1.98e9,
            sm_clock_default_source="rated boost",
            sm_clock_max_hz=1.98e9,
            memory_clock_max_hz=2.619e9,
        ),
    )


def record(case: Case, card: Device, run: Run, moments: random.Random) -> Record:
    """A measured record whose times and peaks grow with the image; large images do not fit small cards."""
    size = case.axes.product("width", "height") / 512**2
    total = card.total_bytes or GIB
    peak = int(GIB * (1 + 4 * size / (1 if case.tile is None else 4)))
    common = {"kind": "measured", "case": case, "device": card, "run": run, "environment": environment()}
    common |= {"measure": MeasureSettings(), "wall_s": 3.2, "recorded_at": run.started_at}
    if peak > total:
        outcome = {"status": "out_of_memory", "where": "device", "phase": "warm-up", "requested_bytes": peak}
        return Record.model_validate(common | {"outcome": outcome})
    number = int((card.identity or "0").removeprefix("sha256:"), 16)
    typical = LEAST_S * size * (1 + number / 100)
    samples = tuple(typical * moments.lognormvariate(0, 0.004) for _ in range(SAMPLES))
    timing = Timing(
        clock="cuda_event",
        median_s=stats.median(samples),
        samples_s=samples,
        interval_s=stats.interval(samples),
        noise=stats.noise(samples),
        outliers=stats.outliers(samples),
        first_call_s=3 * typical,
        stopped_by="noise_target",
    )
    memory = Memory(
        percent=100 * peak / total,
        peak_bytes=peak,
        weights_bytes=167_335_342,
        peak_allocated_bytes=int(peak * 0.93),
        peak_reserved_bytes=peak,
        first_call_peak_allocated_bytes=int(peak * 0.93),
        first_call_peak_reserved_bytes=peak,
        context_bytes=519_045_120,
        context_found_by="NVML process",
        nvml_process_bytes=peak + 519_045_120,
        nvml_device_growth_bytes=peak,
        measured_during="all calls",
    )
    watts = moments.uniform(300, 650)
    telemetry = Telemetry(
        readings=61,
        sm_clock_hz=Spread(low=1.83e9, median=1.98e9, high=1.98e9),
        memory_clock_hz=Spread(low=2.619e9, median=2.619e9, high=2.619e9),
        temperature_c=Spread(low=41, median=46, high=52),
        power_w=Spread(low=watts * 0.7, median=watts, high=watts * 1.1),
        energy_per_call_j=watts * typical,
        energy_source="total energy counter",
        energy_window_s=1.7,
    )
    flops = int(5e11 * size)
    stages = (Stage(name=case.operation, timing=timing, memory=memory, flops=flops),)
    return Record.model_validate(common | {"outcome": Measured(), "stages": stages, "telemetry": telemetry})


def runs(devices: int, records: int) -> Iterator[tuple[str, list[str]]]:
    """Each run's name and lines, round after round over all devices, until there are that many records."""
    moments, written, number = random.Random(0), 0, 0  # noqa: S311 - figures, not secrets
    while written < records:
        card = device(number % devices)
        name = f"{number:06}-{card.slug}"
        moment = f"2026-{1 + number // 28 // 24 % 12:02}-{1 + number // 24 % 28:02}T{number % 24:02}:00:00.{number:06}Z"
        cases = CASES[: records - written]
        run = Run(id=name, config="docs", plan="0123456789abcdef", cases=len(cases), started_at=moment)
        yield name, [record(case, card, run, moments).to_json() for case in cases]
        written, number = written + len(cases), number + 1


def write(folder: Path, devices: int, records: int) -> int:
    """Write the runs into folders `base` and `head`, one of each device to each in turn; returns their bytes."""
    total = 0
    for number, (name, lines) in enumerate(runs(devices, records)):
        side = folder / ("base", "head")[number // devices % 2]
        side.mkdir(parents=True, exist_ok=True)
        total += (side / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return total


def cost(command: Sequence[str], folder: Path, cwd: Path | None = None) -> Cost:
    """Run `bench` with these arguments in `cwd` (default: `folder`), its output going to files in `folder`."""
    with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-m", "bench", *command], cwd=cwd or folder, stdout=output, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, _peak_bytes(usage), process.returncode)


def _peak_bytes(usage: Any) -> int:
    return int(usage.ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def _published() -> list[str]:
    """The folder of published records, which a report shows too."""
    folder = store.published()
    return [] if folder is None else [str(folder)]


def main() -> int:
    """Write the records, run the commands, print what each took; exit code 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000, help="how many records (default: 100000)")
    parser.add_argument("--devices", type=int, default=300, help="on how many devices (default: 300)")
    parser.add_argument("--folder", type=Path, help="keep the records here, and use those that are here already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as temporary:
        folder = arguments.folder or Path(temporary)
        results = folder / "records"
        if not results.exists():
            write(results, arguments.devices, arguments.records)
        size = sum(path.stat().st_size for path in results.rglob("*.jsonl"))
        print(f"{arguments.records} records of {arguments.devices} devices, {size / 1e6:.0f} MB")
        print(f"{'command':<14} {'wall s':>8} {'CPU s':>8} {'goal s':>8} {'peak MiB':>9}   goal {GOAL_MIB}")
        failed = False
        for name, command in {
            "report": ["report", str(results), *_published(), "--out", str(folder / "reports"), "--quiet"],
            "compare": ["compare", str(results / "base"), str(results / "head")],
            "docs render": ["docs", "render", str(results), "--operation", "decode"],
        }.items():
            taken = cost(command, folder)
            failed |= taken.exit_code != 0
            ending = "" if taken.exit_code == 0 else f"   exit code {taken.exit_code}: see {folder / 'errors'}"
            times = f"{taken.wall_s:8.1f} {taken.cpu_s:8.1f} {GOALS_S[name]:8g}"
            print(f"{name:<14} {times} {taken.peak_bytes / 2**20:9.0f}{ending}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
