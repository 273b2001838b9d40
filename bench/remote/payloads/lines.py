"""What the checking process and its parent say to each other: one JSON line a message. Free of torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.doctor import PayloadCount, PayloadKind
from bench.record import Frozen


class Ask(Frozen):
    """Send so many payloads of each kind, layout by layout: to these URLs, or to an echo of the process's own."""

    layouts: tuple[str, ...]
    tries: int = Field(gt=0)
    side: int = Field(default=128, ge=16, multiple_of=2, description="of the images, in pixels; latents are half of it")
    decode_url: str | None = None
    encode_url: str | None = None


class Client(Frozen):
    """The installed client is there, in these versions; or it can't be tried, and why."""

    type: Literal["client"] = "client"
    packages: dict[str, str]
    refused: str | None = None


class Begun(Frozen):
    """Payloads of this kind are being sent."""

    type: Literal["begun"] = "begun"
    kind: PayloadKind


class Counted(Frozen):
    """Those of this kind have been sent."""

    type: Literal["counted"] = "counted"
    count: PayloadCount


class NotChecked(Frozen):
    """A layout that this machine can't have, and why."""

    type: Literal["not_checked"] = "not_checked"
    layout: str
    reason: str


class Finished(Frozen):
    """All has been sent."""

    type: Literal["finished"] = "finished"


Line = Annotated[Client | Begun | Counted | NotChecked | Finished, Field(discriminator="type")]
lines: TypeAdapter[Line] = TypeAdapter(Line)
