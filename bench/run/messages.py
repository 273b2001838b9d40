"""What parent and worker say to each other: one JSON line a message. Free of torch.

The parent writes a `Start`, then one `RunCase` or `TakeTurns` at a time; it ends the worker by closing the pipe. The
worker answers `Ready` or `Refused` to the first, and to each of the others any number of `PhaseBegun` and one `Done` a
case, or one `Broken`. `bench doctor` asks with `Examine` and `MeasureCeiling` instead of cases, `bench calibrate` with
`MeasureWorkspaces`; each has one answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.doctor import DeviceFacts
from bench.record import (
    Case,
    Ceiling,
    ConvolutionWorkspace,
    Device,
    EndpointFacts,
    Environment,
    Frozen,
    Measured,
    MeasureSettings,
    Outcome,
    Phase,
    Remote,
    Stage,
    Telemetry,
)


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


class TakeTurns(Frozen):
    """Measure these cases, their timed calls taking turns."""

    type: Literal["take_turns"] = "take_turns"
    cases: tuple[Case, ...] = Field(min_length=2)
    measure: MeasureSettings


class Ready(Frozen):
    """The device is held. `note` says what a user should know of the choice, `reason` why it is no GPU.

    `endpoint` is what is known of an endpoint that tells of itself; `addresses` is where those are that do not, by
    `sd-v1/encode`. `client` is whose requests a case's own figure is of.
    """

    type: Literal["ready"] = "ready"
    device: Device
    environment: Environment
    note: str | None = None
    reason: str | None = None
    endpoint: EndpointFacts | None = None
    addresses: dict[str, str] = Field(default={})
    client: Literal["diffusers", "bench"] | None = None


class Refused(Frozen):
    """The device can't be used, and why."""

    type: Literal["refused"] = "refused"
    reason: str


class PhaseBegun(Frozen):
    """The case in hand has reached this phase."""

    type: Literal["phase"] = "phase"
    phase: Phase


class Done(Frozen):
    """The case in hand has ended. `leaked_bytes` is memory that did not return, above what is tolerated.

    `assumed` are the fields of the case that the endpoint does not tell.
    """

    type: Literal["done"] = "done"
    outcome: Outcome = Measured()
    stages: tuple[Stage, ...] = ()
    telemetry: Telemetry | None = None
    remote: Remote | None = None
    assumed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    leaked_bytes: int = 0


class Broken(Frozen):
    """The cases could not be measured together, and why: nothing is known of any of them."""

    type: Literal["broken"] = "broken"
    reason: str


class Examine(Frozen):
    """Tell what `bench doctor` asks of the device that is held."""

    type: Literal["examine"] = "examine"


class Examined(Frozen):
    """What the worker knows of the device besides `Ready`."""

    type: Literal["examined"] = "examined"
    facts: DeviceFacts


class MeasureCeiling(Frozen):
    """Measure the most that the device does of one thing."""

    type: Literal["measure_ceiling"] = "measure_ceiling"
    what: Literal["matmul", "copy"]
    dtype: str = Field(description="matmul: float16, bfloat16, float32 or tf32 (float32 inputs); copy: float32")


class CeilingMeasured(Frozen):
    """One ceiling, or the reason why there is none. `note` says what setting of torch is part of it."""

    type: Literal["ceiling_measured"] = "ceiling_measured"
    ceiling: Ceiling | None = None
    reason: str | None = None
    note: str | None = None


class MeasureWorkspaces(Frozen):
    """Run one untiled call of a model of random weights, and note the workspace of each of its convolutions."""

    type: Literal["measure_workspaces"] = "measure_workspaces"
    model: str
    operation: str
    dtype: str
    edge: int = Field(gt=0, description="of the square image in pixels")


class WorkspacesMeasured(Frozen):
    """The workspaces of one call, each convolution once, or the reason why there are none."""

    type: Literal["workspaces_measured"] = "workspaces_measured"
    entries: tuple[ConvolutionWorkspace, ...] = ()
    reason: str | None = None
    out_of_memory: bool = False
    warnings: tuple[str, ...] = ()


#: What is asked of the device apart from cases, and what is answered to it.
Question = Examine | MeasureCeiling | MeasureWorkspaces
Told = Examined | CeilingMeasured | WorkspacesMeasured

Request = Annotated[Start | RunCase | TakeTurns | Question, Field(discriminator="type")]
Answer = Annotated[Ready | Refused | PhaseBegun | Done | Broken | Told, Field(discriminator="type")]
requests: TypeAdapter[Request] = TypeAdapter(Request)
answers: TypeAdapter[Answer] = TypeAdapter(Answer)
