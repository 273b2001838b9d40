"""What was measured of a setting, and whether two settings clearly differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.core import significance, stats
from bench.record import Case, Measured, OutOfMemory, Record, Skipped, describe

#: skipped: it can't be run here, such as a variant whose kernels can't be compiled.
Status = Literal["fits", "out_of_memory", "skipped", "failed"]
#: Settings whose medians differ by no more than this count as equally fast. Two processes that measure the same differ
#: by about as much (assumed).
EQUAL = 0.03


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting that was tried.

    Attributes:
        case: the setting.
        status: how it ended.
        samples_s: seconds of each call, if it fits.
        peak_bytes: of the call; None if it is not known.
        reason: why it does not fit, was skipped or failed.
        compile_s: seconds that torch.compile took; None if nothing was compiled.
    """

    case: Case
    status: Status
    samples_s: tuple[float, ...] = ()
    peak_bytes: int | None = None
    reason: str = ""
    compile_s: float | None = None

    @property
    def median_s(self) -> float:
        """The median of its samples, of which there must be some."""
        return stats.median(self.samples_s)


def of(record: Record, most_bytes: int | None) -> Trial:
    """A record as a trial. It does not fit if its peak is above `most_bytes`, even if nobody enforced that."""
    outcome, memory, timing = record.outcome, record.memory, record.timing
    peak_bytes = None if memory is None else memory.peak_bytes
    compiled = next((stage.compile_s for stage in record.stages if stage.compile_s is not None), None)
    if isinstance(outcome, Measured) and timing is not None and timing.samples_s:
        if most_bytes is not None and peak_bytes is not None and peak_bytes > most_bytes:
            return Trial(record.case, "out_of_memory", (), peak_bytes, "its peak is above the limit", compiled)
        return Trial(record.case, "fits", timing.samples_s, peak_bytes, "", compiled)
    if isinstance(outcome, Skipped):
        return Trial(record.case, "skipped", reason=outcome.reason)
    status: Status = "out_of_memory" if isinstance(outcome, OutOfMemory) else "failed"
    return Trial(record.case, status, peak_bytes=peak_bytes, reason=describe(outcome))


def is_clearly_faster(trial: Trial, other: Trial) -> bool:
    """Whether a trial's calls are faster by more than chance and by more than what counts as equal."""
    if other.median_s <= trial.median_s * (1 + EQUAL):
        return False
    (p,) = significance.mann_whitney_each([(trial.samples_s, other.samples_s)])
    return p < significance.ALPHA
