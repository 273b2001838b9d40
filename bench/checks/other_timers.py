"""Our median beside other ways to time the same calls, in one run: a plain loop, torch.utils.benchmark, do_bench.

    python -m bench.checks.other_timers [--device auto] [--rounds 4]

First our clock and the plain loop take turns, call by call (A-B-B-A), so that drift hits both alike: that ratio is
about the measuring alone. Then each round measures every way once, as it is used (ours: the whole session that the
worker runs), in the order A-B-C, then C-B-A; medians over the rounds, and their ratios to the plain loop's, carry what
the machine did meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import torch
from torch.utils.benchmark import Timer

from bench.device import choose
from bench.device.base import Window, windowed
from bench.device.cpu.processor import WallClock
from bench.device.cuda.gpu import CudaEventClock
from bench.record import Case, MeasureSettings, describe
from bench.record.record import whole_timing
from bench.run import stopping
from bench.run.worker.session import Session
from bench.workloads import models
from bench.workloads.labels import label_of
from bench.workloads.vae_classes.module import VaeOnDevice

CPU_CASES = (("tiny", 128), ("tiny", 256), ("sd-v1", 64))
CUDA_CASES = (("tiny", 256), ("sd-v1", 512), ("sdxl", 512), ("sd-v1", 1024))
SETTINGS = MeasureSettings(min_samples=10, min_time=1.0, max_time=5.0)
IN_TURNS = MeasureSettings(min_samples=30, min_time=3.0, max_time=30.0, max_noise=None)


def session(wanted: str) -> Callable[[Case], float]:
    """The program's own session, as the worker runs it."""
    holder = Session(wanted, None)

    def median(case: Case) -> float:
        done = holder.run(case, SETTINGS, lambda _: None)
        taken = whole_timing(done.stages)
        if taken is None:
            raise SystemExit(f"{label_of(case)}: {describe(done.outcome)}")
        return taken.median_s

    return median


def prepared(case: Case, device: torch.device) -> Callable[[], object]:
    """The same call, outside of the harness."""
    return VaeOnDevice(case, device).prepare(case).run


def plain_once(call: Callable[[], object], device: torch.device) -> float:
    """What anyone would write: synchronise, take the time, call, synchronise, take the time."""
    wait = torch.get_device_module(device).synchronize
    wait()
    begin = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - begin


def plain_loop(call: Callable[[], object], device: torch.device) -> float:
    """The median of as many calls as our rule asks for at the least."""
    call()
    samples: list[float] = []
    while len(samples) < SETTINGS.min_samples or sum(samples) < SETTINGS.min_time:
        samples.append(plain_once(call, device))
    return statistics.median(samples)


def in_turns(call: Callable[[], object], device: torch.device) -> float:
    """Our median over the plain loop's, their calls taking turns."""
    timer = CudaEventClock(device) if device.type == "cuda" else WallClock()
    windows: list[Window] = []
    ways = (windowed(lambda: timer.time(call), windows), lambda: plain_once(call, device))
    ours, plain = stopping.sample_interleaved(ways, IN_TURNS)
    return statistics.median(ours.seconds) / statistics.median(plain.seconds)


def torch_timer(call: Callable[[], object]) -> float:
    """torch.utils.benchmark, with our number of threads: its own default is one."""
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return float(timer.blocked_autorange(min_run_time=SETTINGS.min_time).median)


def do_bench(call: Callable[[], object]) -> float:
    """triton.testing.do_bench, which also empties the L2 cache before each call."""
    from triton.testing import do_bench as triton_do_bench  # type: ignore[import-not-found]  # noqa: PLC0415

    return float(triton_do_bench(call, warmup=100, rep=1000, return_mode="median")) / 1e3


def compare(case: Case, ours: Callable[[Case], float], device: torch.device, rounds: int) -> dict[str, float]:
    """Median seconds of each way over the rounds."""
    call = prepared(case, device)
    ways: dict[str, Callable[[], float]] = {
        "plain loop": lambda: plain_loop(call, device),
        "ours": lambda: ours(case),
        "torch Timer": lambda: torch_timer(call),
    }
    if device.type == "cuda" and find_spec("triton") is not None:  # builds for Windows come without
        ways["do_bench"] = lambda: do_bench(call)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    with torch.inference_mode():
        for _ in range(rounds):
            for name in names:
                seconds[name].append(ways[name]())
            names.reverse()
    return {name: statistics.median(values) for name, values in seconds.items()}


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(given: Sequence[str] | None = None) -> int:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args(given)
    device = choose.choose(arguments.device).device
    ours = session(arguments.device)
    tell(f"{choose.name(device)}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    tell("our clock over a plain loop, in turns; then seconds of each way on its own, and the ratio to the plain loop")
    for model, side in CUDA_CASES if device.type == "cuda" else CPU_CASES:
        for operation in ("encode", "decode"):
            dtype = "float16" if device.type == "cuda" else "float32"
            case = Case(model=model, operation=operation, axes=models.square(model, side), dtype=dtype)
            ours(case)
            with torch.inference_mode():
                turns = in_turns(prepared(case, device), device)
            medians = compare(case, ours, device, arguments.rounds)
            base = medians["plain loop"]
            told = "  ".join(f"{name} {value:.5f} ({value / base:.3f})" for name, value in medians.items())
            tell(f"{label_of(case):<38} {turns:.3f}; {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
