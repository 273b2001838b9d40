"""A call's profile as JSON, for programs: what it shows, and the whole trace. Memory in bytes."""

from __future__ import annotations

from typing import Any

from bench.vram.call_profile import Profile, Profiled, at_work
from bench.vram.timeline import Owner, Timeline


def render(profiled: Profiled) -> dict[str, Any]:
    """What the profile shows, without the trace."""
    return {
        "case": {**profiled.case.flat(), "id": profiled.case.id},
        "device": profiled.device,
        "workspaces_of": profiled.kernels,
        "predicted": _profile(profiled.predicted),
        "measured": profiled.measured and _profile(profiled.measured),
        "measured_on": profiled.measured_on,
        **({"stand_in": profiled.stand_in} if profiled.stand_in else {}),
        "measured_allocated_bytes": profiled.allocated_bytes,
        "error": profiled.error,
        "agree": profiled.agree,
    }


def render_trace(profiled: Profiled) -> dict[str, Any]:
    """What the profile shows, and each allocation and change of its timelines."""
    shown = render(profiled)
    shown["predicted"]["trace"] = _trace(profiled.predicted.timeline)
    if profiled.measured:
        shown["measured"]["trace"] = _trace(profiled.measured.timeline)
    return shown


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "peak_bytes": profile.peak_bytes,
        "peak_at": {"change": profile.peak_at, **_owner(profile.at)},
        "before_the_call_bytes": profile.before_bytes,
        "kinds_bytes": dict(profile.kinds),
        "largest": [
            {
                "bytes": held.bytes,
                "share": held.bytes / profile.peak_bytes,
                "tensors": held.count,
                **_owner(held.owner),
            }
            for held in profile.largest
        ],
        "parts": [{"part": stage.name, "peak_bytes": stage.peak_bytes} for stage in profile.stages],
    }


def _trace(timeline: Timeline) -> dict[str, Any]:
    """Allocations as columns, and changes as columns.

    `owner` counts in `owners`; `born` and `died` count changes, from 0, and what is alive at the end died at null. A
    change is the number of the allocation that begins, or -number - 1 for the one that ends; the first
    `before_the_call` are of weights and input; `at_work` is the owner of the latest allocation: the module at work.
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
        "owners": [_owner(owner) for owner in owners],
        "allocations": {
            "bytes": list(timeline.sizes),
            "owner": [owners[owner] for owner in timeline.owners],
            "born": born,
            "died": died,
        },
        "timeline": {
            "before_the_call": timeline.before,
            "change": list(timeline.changes),
            "live_bytes": list(timeline.live()),
            "at_work": [owners[owner] for owner in at_work(timeline)],
        },
    }


def _owner(owner: Owner) -> dict[str, Any]:
    return {"module": owner.module, "operator": owner.operator, "kind": owner.kind}
