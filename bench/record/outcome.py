"""How a case ended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.core.units import format_bytes
from bench.record.stored import Frozen

Phase = Literal["load", "warm-up", "run", "clean-up"]


class Measured(Frozen):
    """The case ran and was measured (or, in a published row, a figure was printed)."""

    status: Literal["measured"] = "measured"


class OutOfMemory(Frozen):
    """The case asked for more memory than there was: a result, not an error."""

    status: Literal["out_of_memory"] = "out_of_memory"
    where: Literal["device", "host"]
    phase: Phase | None = None
    requested_bytes: int | None = Field(
        default=None, ge=0, description="what the failing allocation asked for, if it said"
    )
    free_bytes: int | None = Field(default=None, ge=0, description="what was free when it failed")
    message: str = ""
    stage: str | None = Field(default=None, description="in which of several stages")


class TimedOut(Frozen):
    """The case was stopped at its time-out."""

    status: Literal["timed_out"] = "timed_out"
    timeout_s: float = Field(ge=0)
    phase: Phase | None = None


class Crashed(Frozen):
    """The measuring process died."""

    status: Literal["crashed"] = "crashed"
    signal: str | None = Field(default=None, description="name of the signal that ended it")
    exit_code: int | None = None
    phase: Phase | None = None
    stderr_tail: str = ""


class Failed(Frozen):
    """The case raised an exception other than out-of-memory."""

    status: Literal["failed"] = "failed"
    exception: str
    message: str = ""
    phase: Phase | None = None
    traceback_tail: str = ""
    stage: str | None = Field(default=None, description="in which of several stages")


class Skipped(Frozen):
    """The case was not run, for a stated reason."""

    status: Literal["skipped"] = "skipped"
    reason: str


Outcome = Annotated[Measured | OutOfMemory | TimedOut | Crashed | Failed | Skipped, Field(discriminator="status")]


def describe(outcome: Outcome) -> str:
    """An outcome in a few words, for people: `timed out after 60 s (run)`."""
    match outcome:
        case OutOfMemory():
            asked = f"asked for {format_bytes(outcome.requested_bytes)}" if outcome.requested_bytes else None
            return f"out of memory{_within(outcome.where, outcome.phase, outcome.stage, asked)}"
        case TimedOut():
            return f"timed out after {outcome.timeout_s:g} s{_within(outcome.phase)}"
        case Crashed():
            return f"crashed{_within(outcome.signal or f'exit code {outcome.exit_code}', outcome.phase)}"
        case Failed():
            return f"failed{_within(outcome.phase, outcome.stage)}: {outcome.exception}: {outcome.message}"
        case Skipped():
            return f"skipped: {outcome.reason}"
    return "measured"


def _within(*parts: str | None) -> str:
    """` (device, run)`: the parts that are known."""
    known = ", ".join(part for part in parts if part)
    return f" ({known})" if known else ""
