"""Predicted beside measured memory of the docs sweep: how many verdicts are right, and how far peaks are off.

    python -m bench.checks.predicted_memory RESULTS

Reads what `bench run docs` measured on a CUDA GPU, also under limits, and predicts each case with the workspaces that
`bench calibrate` wrote there, and without. Needs no GPU. Exit code 1 if there is nothing to compare.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import config, plan, store
from bench.core.units import format_exact
from bench.predictions.predicted_records import records_of
from bench.predictions.target_cards import choose_cards
from bench.record import Record, grouped
from bench.report.pages.known_peaks import KnownPeak, known_peaks
from bench.workloads.labels import label_of


@dataclass(frozen=True, slots=True)
class Agreement:
    """How measured peaks agree with predicted ones.

    Attributes:
        title: the limit, and whether calibrated workspaces were used.
        off: the largest error of peak allocated, as a share; 0 if none was measured.
        within: of each peak reserved, whether it is in the predicted band.
        wrong: the labels of the cases whose verdict is wrong.
    """

    title: str
    calibrated: bool
    cases: int
    off: float
    within: tuple[bool, ...]
    wrong: tuple[str, ...]

    @property
    def share_within(self) -> float:
        """The share of the peaks reserved that are in their band; 0 if there are none."""
        return sum(self.within) / max(1, len(self.within))

    def __str__(self) -> str:
        right = self.cases - len(self.wrong)
        return (
            f"{self.title}: {right} of {self.cases} verdicts right; peak allocated off by {self.off:.1%} at most; "
            f"{sum(self.within)} of {len(self.within)} peaks reserved within the band"
            + "".join(f"; wrong: {label}" for label in self.wrong)
        )


def agreements(results: Path) -> Iterator[Agreement]:
    """The agreement of each card and limit in a results folder, with calibration and without.

    Raises ResultsError if the folder can't be read.
    """
    sweep = plan.make(config.load(config.find("docs")))
    cases = {case.id for case in sweep.cases}
    files, _ = store.read([results])
    measured = [
        record
        for record in store.latest(files)[0]
        if record.kind == "measured" and record.device.kind == "cuda" and record.case.id in cases
    ]
    for group in grouped(measured, lambda record: (record.device.name, record.vram_limit_bytes)):
        for calibrated in (True, False):
            yield agreement(_predicted(group, results, sweep, calibrated=calibrated), group, calibrated=calibrated)


def agreement(predicted: Iterable[Record], known: Sequence[Record], *, calibrated: bool) -> Agreement:
    """The agreement of measured records of one card and limit with predictions."""
    limit = known[0].vram_limit_bytes
    peaks: list[KnownPeak] = known_peaks(predicted, known)
    ratios = [abs(peak.allocated_ratio - 1) for peak in peaks if peak.allocated_ratio is not None]
    return Agreement(
        title=f"{'no limit' if limit is None else format_exact(limit)}, {'calibrated' if calibrated else 'as shipped'}",
        calibrated=calibrated,
        cases=len(peaks),
        off=max(ratios, default=0.0),
        within=tuple(peak.within for peak in peaks if peak.within is not None),
        wrong=tuple(label_of(peak.known.case) for peak in peaks if not peak.right),
    )


def _predicted(known: Sequence[Record], results: Path, sweep: plan.Plan, *, calibrated: bool) -> list[Record]:
    limit = known[0].vram_limit_bytes
    cards, _ = choose_cards([known[0].device.name], None if limit is None else format_exact(limit), results, known)
    if not calibrated:
        cards = tuple(replace(card, calibrated={}) for card in cards)
    return [predicted for record in known for predicted in records_of(record.case, cards, sweep)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each limit, with calibration and without."""
    parser = argparse.ArgumentParser(prog="bench.checks.predicted_memory", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path)
    options = parser.parse_args(arguments)
    is_empty = True
    for compared in agreements(options.results):
        is_empty = False
        sys.stdout.write(f"{compared}\n")
        sys.stdout.flush()
    if is_empty:
        sys.stdout.write(f"{options.results}: no case of the docs sweep was measured on a CUDA GPU there.\n")
    return int(is_empty)


if __name__ == "__main__":
    sys.exit(main())
