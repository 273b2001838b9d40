"""The tour of `bench contribute`, and what a checkout can run besides, on a real GPU: the most valuable first.

    python benchmarks/gpu_tour.py [--minutes 15] [--out results] [--only STEP] [--list]

Each step is a process in a time box of its own (`bench/sharing/contribute/tour.py`). At the end, and after Ctrl-C, a
summary says which steps ran, failed or did not fit, with the seconds of each. It is also in OUT/gpu_tour/summary.json,
with each step's output beside it. Needs a CUDA GPU (exit code 2 if there is none), no network and no installed command.
Exit code 1 if a step failed.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout need not be installed

from bench.record import Device  # noqa: E402
from bench.sharing.contribute.tour import SUMMARY, Step, Tour, boxes  # noqa: E402
from bench.sharing.contribute.tour_steps import steps_for  # noqa: E402

#: Exit code 0 with a CUDA GPU, 3 with the tests' stand-in for one, 2 without any.
_LOOK = """import torch
usable = torch.cuda.is_available() and torch.version.hip is None
raise SystemExit(2 if not usable else 3 if getattr(torch.cuda, "stand_in", None) else 0)"""


def plan(out: Path, model: str, resolution: int) -> list[Step]:
    """The steps of `bench contribute` with those that need a checkout between them; 30 minutes at most."""
    logs = out / "gpu_tour"

    def script(name: str, *arguments: str) -> tuple[str, ...]:
        return (str(ROOT / "benchmarks" / name), *arguments)

    def decode(way: str) -> Step:
        arguments = ("--model", model, "--resolution", str(resolution), "--json", str(logs / f"decode-{way}.json"))
        return Step(f"decode-{way}", 45.0, script("decode_ways.py", way, *arguments))

    card = Device(kind="cuda", name="the card that is here")
    volunteers = steps_for(card, "cuda", out, logs)
    first = [step.name for step in volunteers].index("predicted-memory") + 1
    return [
        Step("gpu-tests", 180.0, ("-m", "pytest", "-m", "gpu", "-q", "-n", "0", str(ROOT / "tests" / "gpu"))),
        *volunteers[:first],
        *map(decode, ("kernels", "batches")),
        *volunteers[first:],
        Step("cuda-memory", 150.0, script("cuda_memory.py", "--out", str(out))),
        Step(
            "endpoint-share",
            90.0,
            script("endpoint_throughput.py", "--device", "cuda", "--json", str(logs / "endpoint_throughput.json")),
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, look for a GPU, go, and sum up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--out", type=Path, default=ROOT / "results", help="the results folder")
    parser.add_argument("--only", action="append", default=None, metavar="STEP", help="repeatable")
    parser.add_argument("--list", "--dry-run", action="store_true", dest="listed", help="print the plan, run nothing")
    parser.add_argument("--model", default="flux", help="of the steps that decode")
    parser.add_argument("--resolution", type=int, default=1024, help="of the steps that decode")
    options = parser.parse_args(arguments)
    out = options.out.resolve()
    steps = plan(out, options.model, options.resolution)
    unknown = sorted(set(options.only or ()) - {step.name for step in steps})
    if unknown:
        parser.error(f"--only {unknown[0]}: there is no such step. Valid: {', '.join(step.name for step in steps)}.")
    steps = [step for step in steps if not options.only or step.name in options.only]
    if options.listed:
        for step, most_s in zip(steps, boxes(steps, options.minutes * 60), strict=True):
            print(f"{step.name:<30} {most_s:4.0f} s  {' '.join(step.command)}")
        return 0
    looked = subprocess.run([sys.executable, "-c", _LOOK], check=False).returncode  # noqa: S603 - our own program
    if looked == 3 and "results" in out.parts:
        print("The device is a stand-in, and its figures must not lie among measured ones. Choose another --out.")
        return 2
    if looked not in {0, 3}:
        print("No CUDA GPU here. Run it on a machine with one, with a CUDA build of torch; see `bench doctor`.")
        return 2
    tour = Tour(out / "gpu_tour", options.minutes * 60, cwd=ROOT, tell=told)
    tour.go(steps)
    return summed_up(tour)


def told(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def summed_up(tour: Tour) -> int:
    """Print how many steps had each end. 130 after Ctrl-C, 1 if one failed or overran, else 0."""
    ends = [result.status for result in tour.results]
    print(f"Summary: {tour.summed_up()}. See {tour.folder / SUMMARY} and the logs beside it.")
    if "interrupted" in ends:
        return 128 + signal.SIGINT
    return int("failed" in ends or "overran" in ends)


if __name__ == "__main__":
    sys.exit(main())
