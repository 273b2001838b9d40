"""What parent and worker say to each other: one JSON line a message. Free of torch.

The parent writes a `Start`, then one `RunCase` at a time; it ends the worker by closing the pipe. The worker answers
`Ready` or `Refused` to the first, and to each case any number of `PhaseBegun` and one `Done`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.record import Case, Device, Environment, Frozen, Measured, MeasureSettings, Memory, Outcome, Phase, Timing


class Start(Frozen):
    """Take hold of a device: `auto`, `cpu`, `cuda` or `cuda:N`."""

    type: Literal["start"] = "start"
    device: str
    vram_limit_bytes: int | None = None


class RunCase(Frozen):
    """Measure one case."""

    type: Literal["run_case"] = "run_case"
    case: Case
    measure: MeasureSettings


class Ready(Frozen):
    """The device is held. `note` says what a user should know of the choice, `reason` why it is no GPU."""

    type: Literal["ready"] = "ready"
    device: Device
    environment: Environment
    note: str | None = None
    reason: str | None = None


class Refused(Frozen):
    """The device can't be used, and why."""

    type: Literal["refused"] = "refused"
    reason: str


class PhaseBegun(Frozen):
    """The case in hand has reached this phase."""

    type: Literal["phase"] = "phase"
    phase: Phase


class Done(Frozen):
    """The case in hand has ended. `leaked_bytes` is memory that did not return, above what is tolerated."""

    type: Literal["done"] = "done"
    outcome: Outcome = Measured()
    timing: Timing | None = None
    memory: Memory | None = None
    tiles: int | None = None
    warnings: tuple[str, ...] = ()
    leaked_bytes: int = 0


Request = Annotated[Start | RunCase, Field(discriminator="type")]
Answer = Annotated[Ready | Refused | PhaseBegun | Done, Field(discriminator="type")]
requests: TypeAdapter[Request] = TypeAdapter(Request)
answers: TypeAdapter[Answer] = TypeAdapter(Answer)
