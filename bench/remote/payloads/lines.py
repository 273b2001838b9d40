"""The messages between the checking process and its parent: one JSON line each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.doctor import PayloadCount, PayloadKind
from bench.record import Frozen


class Ask(Frozen):
    """Send `tries` payloads of each kind, layout by layout, to these URLs or to the process's own echo."""

    layouts: tuple[str, ...]
    tries: int = Field(gt=0)
    side: int = Field(default=128, ge=16, multiple_of=2, description="of the images, in pixels; latents are half of it")
    decode_url: str | None = None
    encode_url: str | None = None


class InstalledClient(Frozen):
    """The versions of the installed client, and if it can't be tried, why."""

    type: Literal["client"] = "client"
    packages: dict[str, str]
    refused: str | None = None


class Begun(Frozen):
    """The process now sends payloads of this kind."""

    type: Literal["begun"] = "begun"
    kind: PayloadKind


class Counted(Frozen):
    """The process has sent all payloads of this kind."""

    type: Literal["counted"] = "counted"
    count: PayloadCount


class NotChecked(Frozen):
    """A layout that is impossible on this machine, and why."""

    type: Literal["not_checked"] = "not_checked"
    layout: str
    reason: str


class Finished(Frozen):
    """The process has sent everything."""

    type: Literal["finished"] = "finished"


Line = Annotated[InstalledClient | Begun | Counted | NotChecked | Finished, Field(discriminator="type")]
lines: TypeAdapter[Line] = TypeAdapter(Line)
