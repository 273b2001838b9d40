"""The fields of a call's profile for programs: what it shows (`bench profile --json`), and its whole trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec.structs import asdict
from pydantic import PlainSerializer

from bench.record import Case
from bench.report.pages.figures import Figures
from bench.vram.call_profile import Profile, Profiled, at_work
from bench.vram.timeline import Timeline


class ProfileFigures(Figures):
    """A prediction and a measurement, in bytes; `files` are those that were written."""

    optional: ClassVar[tuple[str, ...]] = ("stand_in", "files")

    case: Annotated[Case, PlainSerializer(lambda case: {**case.flat(), "id": case.id})]
    device: str
    workspaces_of: str
    predicted: dict[str, Any]
    measured: dict[str, Any] | None
    measured_on: str | None
    stand_in: str | None
    measured_allocated_bytes: int | None
    error: float | None
    agree: bool | None
    files: tuple[str, ...] | None


def figures(profiled: Profiled, files: Sequence[Path] | None = None, *, has_trace: bool = False) -> ProfileFigures:
    """The fields of a profile; with `has_trace` also its whole trace."""
    return ProfileFigures(
        case=profiled.case,
        device=profiled.device,
        workspaces_of=profiled.kernels,
        predicted=_profile(profiled.predicted, has_trace=has_trace),
        measured=_profile(profiled.measured, has_trace=has_trace) if profiled.measured else None,
        measured_on=profiled.measured_on,
        stand_in=profiled.stand_in,
        measured_allocated_bytes=profiled.allocated_bytes,
        error=profiled.error,
        agree=profiled.agree,
        files=None if files is None else tuple(map(str, files)),
    )


def _profile(profile: Profile, *, has_trace: bool) -> dict[str, Any]:
    largest = [
        {"bytes": held.bytes, "share": held.bytes / profile.peak_bytes, "tensors": held.count, **asdict(held.owner)}
        for held in profile.largest
    ]
    return {
        "peak_bytes": profile.peak_bytes,
        "peak_at": {"change": profile.peak_at, **asdict(profile.at)},
        "before_the_call_bytes": profile.before_bytes,
        "kinds_bytes": profile.kinds,
        "largest": largest,
        "parts": [{"part": stage.name, "peak_bytes": stage.peak_bytes} for stage in profile.stages],
        **({"trace": _trace(profile.timeline)} if has_trace else {}),
    }


def _trace(timeline: Timeline) -> dict[str, Any]:
    """Allocations as columns, and changes as columns.

    `owner` is a place in `owners`. `born` and `died` are places in `change`; `died` is null if it is alive at the end.
    A change is the number of the allocation that begins, or -number - 1 for the one that ends. The first
    `before_the_call` changes are of weights and input. `at_work` is the owner of the latest allocation: the module
    at work.
    """
    owners = {owner: number for number, owner in enumerate(dict.fromkeys(timeline.owners))}
    born: list[int] = [0] * len(timeline.sizes)
    died: list[int | None] = [None] * len(timeline.sizes)
    for number, place in enumerate(timeline.changes):
        if place >= 0:
            born[place] = number
        else:
            died[~place] = number
    return {
        "owners": [asdict(owner) for owner in owners],
        "allocations": {
            "bytes": timeline.sizes,
            "owner": [owners[owner] for owner in timeline.owners],
            "born": born,
            "died": died,
        },
        "timeline": {
            "before_the_call": timeline.before,
            "change": timeline.changes,
            "live_bytes": list(timeline.live()),
            "at_work": [owners[owner] for owner in at_work(timeline)],
        },
    }
