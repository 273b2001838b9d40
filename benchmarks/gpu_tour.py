"""What to measure first on a real GPU: the most valuable first, each step in a time box of its own.

    python benchmarks/gpu_tour.py [--minutes 15] [--out results] [--only STEP] [--list]

The boxes share the minutes by what each step needs, and time that a step leaves goes to those after it. Each step is a
process that is ended when its box is over, so a step that hangs, fails or crashes costs no more than its own box; steps
write what they measure to the disk at once. At the end, and after Ctrl-C, a summary says which steps ran, failed or did
not fit, with the seconds of each. It is also in OUT/gpu_tour/summary.json, with each step's output beside it. Needs a
CUDA GPU (exit code 2 if there is none), no network and no installed command. Exit code 1 if a step failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
#: A step with less time than this can't load torch and measure anything.
LEAST_S = 20.0
#: Seconds that a step has to end after SIGINT, before it is killed.
_GRACE_S = 5.0
#: Exit code 0 with a CUDA GPU, 3 with the tests' stand-in for one, 2 without any.
_LOOK = """import torch
usable = torch.cuda.is_available() and torch.version.hip is None
raise SystemExit(2 if not usable else 3 if getattr(torch.cuda, "stand_in", None) else 0)"""

Status = Literal["ran", "failed", "overran", "did not fit", "interrupted", "not in the zoo"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to measure. `need_s` is what it needs at most; `command` follows the interpreter's name.

    A tour scales what its steps need to the time that it has.
    """

    name: str
    need_s: float
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a step. `note` is the last line that it printed, or why it did not run."""

    name: str
    status: Status
    seconds: float = 0.0
    exit_code: int | None = None
    note: str = ""


def plan(out: Path, model: str, resolution: int) -> list[Step]:
    """The steps, the most valuable first; together they need about 18 minutes."""
    logs = out / "gpu_tour"

    def bench(*arguments: str) -> tuple[str, ...]:
        return ("-m", "bench", *arguments)

    def script(name: str, *arguments: str) -> tuple[str, ...]:
        return (str(ROOT / "benchmarks" / name), *arguments)

    def decode(way: str) -> Step:
        arguments = ("--model", model, "--resolution", str(resolution), "--json", str(logs / f"decode-{way}.json"))
        return Step(f"decode-{way}", 90.0 if way == "compiled" else 45.0, script("decode_ways.py", way, *arguments))

    return [
        Step("gpu-tests", 180.0, ("-m", "pytest", "-m", "gpu", "-q", "-n", "0", str(ROOT / "tests" / "gpu"))),
        Step("docs", 180.0, bench("run", "docs", "--device", "cuda", "--out", str(out), "--quiet")),
        Step(
            "docs-8gib",
            120.0,
            bench("run", "docs", "--device", "cuda", "--out", str(out), "--quiet", "--vram-limit", "8GiB"),
        ),
        *map(decode, ("eager", "channels-last", "compiled", "kernels", "batches")),
        Step("cuda-memory", 150.0, script("cuda_memory.py", "--out", str(out))),
        Step("calibrate", 60.0, bench("calibrate", "--out", str(out))),
        Step("profile", 45.0, bench("profile", "--measured", "--device", "cuda", "--out", str(logs / "profiles"))),
        Step("agreement", 90.0, script("agreement.py", "--device", "cuda")),
        Step(
            "endpoint",
            90.0,
            script("endpoint_throughput.py", "--device", "cuda", "--json", str(logs / "endpoint_throughput.json")),
        ),
    ]


def beyond_images() -> list[Result]:
    """Video VAEs and text encoders: what the zoo does not hold can't be measured, and the summary says so."""
    sys.path.insert(0, str(ROOT))  # a checkout need not be installed
    from bench.workloads import models  # noqa: PLC0415 - the plan is printed without it

    kinds = {type(spec).__name__ for spec in models.zoo().values()}
    missing = sorted(kinds - {"VaeSpec"})
    note = f"the zoo also holds {', '.join(missing)}: add a step for them" if missing else "the zoo has image VAEs only"
    return [Result("video-vaes-and-text-encoders", "not in the zoo", note=note)]


def box_s(steps: Sequence[Step], left_s: float) -> float:
    """How long the first of these steps may take, if all of them are to share the time that is left, in seconds.

    At least what loading torch takes, since a shorter box would be wasted: the last steps pay for it.
    """
    share_s = left_s * steps[0].need_s / sum(step.need_s for step in steps)
    return min(left_s, max(share_s, _least_s(steps[0])))


def _least_s(step: Step) -> float:
    return min(LEAST_S, step.need_s)


class Tour:
    """Runs steps within `seconds`, and writes the summary to the disk after each."""

    def __init__(self, folder: Path, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.results: list[Result] = []
        self._seconds, self._now, self._begin = seconds, now, now()
        folder.mkdir(parents=True, exist_ok=True)

    def go(self, steps: Sequence[Step]) -> None:
        """Run each step that still fits; the time that one leaves is shared by those after it.

        On KeyboardInterrupt the rest are listed as not run.
        """
        for place, step in enumerate(steps):
            left_s = self._seconds - (self._now() - self._begin)
            if left_s < _least_s(step):
                self.add(Result(step.name, "did not fit"))
                continue
            try:
                self.add(self._run(step, box_s(steps[place:], left_s)))
            except KeyboardInterrupt:
                self.add(Result(step.name, "interrupted"))
                for later in steps[place + 1 :]:
                    self.add(Result(later.name, "did not fit", note="the tour was interrupted before it"))
                return

    def add(self, result: Result) -> None:
        """Add a result to the summary, and write it."""
        self.results.append(result)
        path = self.folder / "summary.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps([asdict(one) for one in self.results], indent=2) + "\n")
        fresh.replace(path)
        print(f"{result.status:<14} {result.name:<30} {result.seconds:6.1f} s  {result.note[:100]}", flush=True)

    def _run(self, step: Step, most_s: float) -> Result:
        print(f"begins         {step.name:<30} {most_s:6.1f} s at most", flush=True)
        log = self.folder / f"{step.name}.log"
        begin = self._now()
        with log.open("w") as output, _started(step.command, output) as process:
            try:
                code: int | None = process.wait(most_s)
            except subprocess.TimeoutExpired:
                code = None
        status: Status = "overran" if code is None else "failed" if code else "ran"
        return Result(step.name, status, round(self._now() - begin, 1), code, _last_line(log))


@contextlib.contextmanager
def _started(command: Sequence[str], output: object) -> Iterator[subprocess.Popen[bytes]]:
    """A step's process in a group of its own, which is ended with all that it started: politely, then at once."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *command],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,  # type: ignore[arg-type]
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGINT)
            process.wait(_GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


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
        left_s = options.minutes * 60
        for place, step in enumerate(steps):
            most_s = box_s(steps[place:], left_s) if left_s >= _least_s(step) else 0.0
            left_s -= most_s
            print(f"{step.name:<30} {most_s:4.0f} s  {' '.join(step.command)}")
        return 0
    looked = subprocess.run([sys.executable, "-c", _LOOK], check=False).returncode  # noqa: S603 - our own program
    if looked == 3 and "results" in out.parts:
        print("The device is a stand-in, and its figures must not lie among measured ones. Choose another --out.")
        return 2
    if looked not in {0, 3}:
        print("No CUDA GPU here. Run it on a machine with one, with a CUDA build of torch; see `bench doctor`.")
        return 2
    tour = Tour(out / "gpu_tour", options.minutes * 60)
    if not options.only:
        for result in beyond_images():
            tour.add(result)
    tour.go(steps)
    return summed_up(tour)


def summed_up(tour: Tour) -> int:
    """Print how many steps had each end. 130 after Ctrl-C, 1 if one failed or overran, else 0."""
    ends = [result.status for result in tour.results]
    counts = ", ".join(f"{ends.count(status)} {status}" for status in dict.fromkeys(ends))
    print(f"Summary: {counts}. See {tour.folder / 'summary.json'} and the logs beside it.")
    if "interrupted" in ends:
        return 128 + signal.SIGINT
    return int("failed" in ends or "overran" in ends)


if __name__ == "__main__":
    sys.exit(main())
