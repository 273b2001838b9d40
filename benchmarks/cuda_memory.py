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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bench import config, plan, store
from bench.core.units import GIB
from bench.predictions.predicted_records import records_of
from bench.predictions.target_cards import choose_cards
from bench.record import Record
from bench.report.pages.known_peaks import KnownPeak, known_peaks
from bench.workloads.labels import label_of

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
    name, total = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
    _bench("calibrate", "--out", str(options.out))
    good = True
    for limit in [one for one in LIMITS_GIB if one is None or one * GIB <= total]:
        limited = [] if limit is None else ["--vram-limit", f"{limit}GiB"]
        few = [f"repeats={options.repeats}", "measure.min_time=0", "measure.max_time=3", "measure.max_noise=null"]
        sets = [text for one in few for text in ("--set", one)]
        _bench("run", "docs", "--out", str(options.out), *sets, *limited)
        known = _known(options.out, None if limit is None else limit * GIB)
        for calibrated in (True, False):
            found = known_peaks(_predicted(name, limited[1:], options.out, calibrated=calibrated), known)
            good &= _tell(
                f"{limit or 'no'} GiB limit, {'calibrated' if calibrated else 'as shipped'}", found, calibrated
            )
    return 0 if good else 1


def _bench(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "bench", *arguments], check=False)  # noqa: S603 - our own program
    if done.returncode > 1:
        raise SystemExit(done.returncode)


def _known(out: Path, limit_bytes: int | None) -> list[Record]:
    files, _ = store.read([out])
    return [record for record in store.latest(files)[0] if record.vram_limit_bytes == limit_bytes]


def _predicted(name: str, limited: Sequence[str], results: Path, *, calibrated: bool) -> list[Record]:
    planned = plan.make(config.load(config.find("docs")))
    cards, _ = choose_cards([name], limited[0] if limited else None, results)
    if not calibrated:
        cards = tuple(replace(card, calibrated={}) for card in cards)
    return [record for case in planned.cases for record in records_of(case, cards, planned)]


def _tell(title: str, found: Sequence[KnownPeak], judged: bool) -> bool:
    allocated = [abs(cell.allocated_ratio - 1) for cell in found if cell.allocated_ratio is not None]
    within = [cell.within for cell in found if cell.within is not None]
    wrong = [label_of(cell.known.case) for cell in found if not cell.right]
    off, share = max(allocated, default=0.0), sum(within) / max(1, len(within))
    print(
        f"{title}: {len(found) - len(wrong)} of {len(found)} verdicts right; peak allocated off by {off:.1%} at most; "
        f"{sum(within)} of {len(within)} peaks reserved within the band{''.join(f'; wrong: {one}' for one in wrong)}",
        flush=True,
    )
    return not judged or (bool(found) and not wrong and off <= _MOST_OFF and share >= _LEAST_WITHIN)


if __name__ == "__main__":
    sys.exit(main())
