"""Predicted against measured memory on the CUDA GPU that is here: the docs sweep, whole and under limits.

    python benchmarks/cuda_memory.py --out OUT [--repeats 3]

Calibrates, measures the docs sweep, and again under 8, 10, 16 and 24 GiB (those that the card has), all into OUT, and
predicts each with and without the calibration. Prints for each how many verdicts are right, how far peak allocated is
off, and how many peaks reserved are within their band. Exit code 1 where, calibrated, peak allocated is off by more
than 2%, fewer than 90% of the peaks reserved are within the band, or a verdict is wrong. What was measured stays in
OUT: the same command goes on where it was. Without a CUDA GPU there is nothing to do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from bench.checks.predicted_memory import Agreement, agreements
from bench.core.units import GIB

LIMITS_GIB = (None, 8, 10, 16, 24)
_MOST_OFF, _LEAST_WITHIN = 0.02, 0.9


def main() -> int:
    """Measure and predict, print a line for each limit and kind, and say with the exit code whether all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a results folder")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("No CUDA GPU here: nothing was measured.")
        return 0
    total = torch.cuda.get_device_properties(0).total_memory
    _bench("calibrate", "--out", str(options.out))
    for limit in [one for one in LIMITS_GIB if one is None or one * GIB <= total]:
        limited = [] if limit is None else ["--vram-limit", f"{limit}GiB"]
        few = [f"repeats={options.repeats}", "measure.min_time=0", "measure.max_time=3", "measure.max_noise=null"]
        sets = [text for one in few for text in ("--set", one)]
        _bench("run", "docs", "--out", str(options.out), *sets, *limited)
    judged = []
    for agreement in agreements(options.out):
        print(agreement, flush=True)
        judged += [is_good(agreement)] if agreement.calibrated else []
    return 0 if judged and all(judged) else 1


def is_good(agreement: Agreement) -> bool:
    """Whether predictions with calibrated workspaces are as good as they should be."""
    close = agreement.off <= _MOST_OFF and agreement.share_within >= _LEAST_WITHIN
    return bool(agreement.cases) and not agreement.wrong and close


def _bench(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "bench", *arguments], check=False)  # noqa: S603 - our own program
    if done.returncode > 1:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
