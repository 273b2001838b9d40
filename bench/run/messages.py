"""The messages between parent and worker, each one JSON line.

The parent writes a `Start`, then one `RunCase` or `RunInterleaved` at a time, and ends the worker by closing the pipe.
The worker answers `Start` with `Ready` or `Refused`, and each other request with any number of `PhaseBegun` and one
`Done` per case, or with one `Broken`. `bench doctor` sends `Examine` and `MeasureCeiling`, `bench calibrate` sends
`MeasureWorkspaces`, `bench quality` sends `ComparePictures`; each has one answer. `ListCards` and `LookAround` may come
before `Start`, and take no device.
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
    Memory,
    Neighbours,
    Outcome,
    Phase,
    PictureComparison,
    Remote,
    Stage,
    Telemetry,
    Transport,
)


class Start(Frozen):
    """Take a device: `auto`, `cpu`, `cuda` or `cuda:N`."""

    type: Literal["start"] = "start"
    device: str
    vram_limit_bytes: int | None = None


class ListCards(Frozen):
    """Report the CUDA devices of this machine."""

    type: Literal["list_cards"] = "list_cards"


class CardsListed(Frozen):
    """The CUDA devices that torch sees, in its order; `reason` says why there are none.

    An identity is that of `Device`: null if the card has no UUID.
    """

    type: Literal["cards_listed"] = "cards_listed"
    names: tuple[str, ...] = ()
    identities: tuple[str | None, ...] = ()
    reason: str | None = None


class LookAround(Frozen):
    """Report who else uses this device, which the worker may have taken or not."""

    type: Literal["look_around"] = "look_around"
    device: str


class Survey(Frozen):
    """The other users of a device; this worker, and others of its parent, are not counted.

    `reason` says why the driver can't be asked.
    """

    type: Literal["survey"] = "survey"
    neighbours: Neighbours = Neighbours()
    total_bytes: int | None = None
    reason: str | None = None


class RunCase(Frozen):
    """Measure one case."""

    type: Literal["run_case"] = "run_case"
    case: Case
    measure: MeasureSettings


class RunInterleaved(Frozen):
    """Measure these cases, alternating their timed calls."""

    type: Literal["run_interleaved"] = "run_interleaved"
    cases: tuple[Case, ...] = Field(min_length=2)
    measure: MeasureSettings


class Ready(Frozen):
    """The worker has the device. `note` is a remark about the choice of device; `reason`: why it is not a GPU.

    `endpoint` has the facts of an endpoint of `bench serve`; `addresses` has those of others, by `sd-v1/encode`.
    `client` is the client whose requests give a case's own time.
    """

    type: Literal["ready"] = "ready"
    device: Device
    environment: Environment
    note: str | None = None
    reason: str | None = None
    endpoint: EndpointFacts | None = None
    addresses: dict[str, str] = Field(default={})
    client: Literal["diffusers", "bench"] | None = None

    def client_of(self, transport: Transport | None) -> str | None:
        """The client whose requests give the time of a case over this transport: diffusers has only one for texts."""
        return {"tensor": "bench", "predict": "diffusers"}.get(transport or "", self.client)


class Refused(Frozen):
    """The device can't be used; `reason` says why. `lacks_package`: because torch or diffusers is missing or broken."""

    type: Literal["refused"] = "refused"
    reason: str
    lacks_package: bool = False


class PhaseBegun(Frozen):
    """The current case has reached this phase."""

    type: Literal["phase"] = "phase"
    phase: Phase


class Done(Frozen):
    """The current case has ended. `leaked_bytes` is memory that was not freed, if it exceeds the tolerance.

    `assumed` are the fields of the case that the endpoint does not report.
    """

    type: Literal["done"] = "done"
    outcome: Outcome = Measured()
    stages: tuple[Stage, ...] = ()
    loading: Memory | None = None
    telemetry: Telemetry | None = None
    remote: Remote | None = None
    assumed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    leaked_bytes: int = 0


class Broken(Frozen):
    """The cases could not be measured together, for `reason`. None of them has a result."""

    type: Literal["broken"] = "broken"
    reason: str


class Examine(Frozen):
    """Report the facts of the device for `bench doctor`."""

    type: Literal["examine"] = "examine"


class Examined(Frozen):
    """Facts of the device that are not in `Ready`."""

    type: Literal["examined"] = "examined"
    facts: DeviceFacts


class MeasureCeiling(Frozen):
    """Measure one ceiling: the highest rate of one kind of work."""

    type: Literal["measure_ceiling"] = "measure_ceiling"
    what: Literal["matmul", "copy"]
    dtype: str = Field(description="matmul: float16, bfloat16, float32 or tf32 (float32 inputs); copy: float32")


class CeilingMeasured(Frozen):
    """One ceiling, or the reason why there is none. `note` names a setting of torch that affects it."""

    type: Literal["ceiling_measured"] = "ceiling_measured"
    ceiling: Ceiling | None = None
    reason: str | None = None
    note: str | None = None


class MeasureWorkspaces(Frozen):
    """Run one untiled call of a model with random weights, and record the workspace of each convolution."""

    type: Literal["measure_workspaces"] = "measure_workspaces"
    model: str
    operation: str
    dtype: str
    edge: int = Field(gt=0, description="of the square image in pixels")


class WorkspacesMeasured(Frozen):
    """The workspaces of one call, with each convolution once, or the reason why there are none."""

    type: Literal["workspaces_measured"] = "workspaces_measured"
    entries: tuple[ConvolutionWorkspace, ...] = ()
    reason: str | None = None
    out_of_memory: bool = False
    warnings: tuple[str, ...] = ()


class ComparePictures(Frozen):
    """Compute a picture in two ways, and fill in the figures of their comparison.

    `image` is the file to begin with; null: a picture made here. A picture of the differences goes to `folder`.
    """

    type: Literal["compare_pictures"] = "compare_pictures"
    comparison: PictureComparison
    image: str | None = None
    folder: str


class PicturesCompared(Frozen):
    """The comparison, with its outcome."""

    type: Literal["pictures_compared"] = "pictures_compared"
    comparison: PictureComparison


#: Requests besides cases, and their answers.
DeviceQuestion = Examine | MeasureCeiling | MeasureWorkspaces | ComparePictures
DeviceAnswer = Examined | CeilingMeasured | WorkspacesMeasured | PicturesCompared

#: Requests that a worker answers whether it has taken the device or not, and their answers.
EarlyQuestion = ListCards | LookAround
EarlyAnswer = CardsListed | Survey

Request = Annotated[Start | RunCase | RunInterleaved | DeviceQuestion | EarlyQuestion, Field(discriminator="type")]
Answer = Annotated[
    Ready | Refused | PhaseBegun | Done | Broken | DeviceAnswer | EarlyAnswer, Field(discriminator="type")
]
requests: TypeAdapter[Request] = TypeAdapter(Request)
answers: TypeAdapter[Answer] = TypeAdapter(Answer)
