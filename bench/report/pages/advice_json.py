"""Advice as JSON, for programs. Times in seconds, memory in bytes; each figure with its `kind`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.analysis.advise.card import Place
from bench.analysis.advise.ranking import Advice, Local, Ranked
from bench.analysis.advise.times import Clock, Time
from bench.record import Case
from bench.vram.assumptions import ASSUMPTIONS
from bench.workloads import models


def render(advice: Sequence[Advice], clock: Clock | None) -> dict[str, Any]:
    """Every image with its ways in order; the first is the recommendation, unless `recommended` is false."""
    found = clock.errors if clock else None
    return {
        "assumptions": ASSUMPTIONS,
        "time_model": found
        and {"times": found.cells, "median_error": found.median, "worst_error": abs(found.worst.error)},
        "advice": [
            {
                "image": _image(one.image),
                "own_dtype": models.get(one.image.model).dtype,
                "card": _place(one.place),
                "recommended": one.best is not None,
                "reason": one.reason,
                "quicker": one.quicker,
                "ways": [_way(ranked) for ranked in one.ranked],
            }
            for one in advice
        ],
    }


def _image(image: Case) -> dict[str, Any]:
    return {"model": image.model, "operation": image.operation, **image.axes, "dtype": image.dtype}


def _place(place: Place) -> dict[str, Any]:
    return {
        "name": place.card,
        "total_bytes": place.total_bytes,
        "memory_assumed": place.is_memory_assumed,
        "vram_limit_bytes": place.limit_bytes,
        "free_bytes": place.free_bytes,
        "pool_bytes": {"low": place.capacities[0], "middle": place.capacities[1], "high": place.capacities[2]},
    }


def _way(ranked: Ranked) -> dict[str, Any]:
    found = ranked.way
    time = _time(found.time)
    if not isinstance(found, Local):
        return {
            "way": "remote",
            "network": found.network,
            "by": found.by or None,
            "verdict": "remote",
            "time": time,
            "reason": ranked.reason,
        }
    case, peak = found.option.case, found.peak
    return {
        "way": found.option.label,
        "case": case.id,
        "dtype": case.dtype,
        "risk": found.option.risk or None,
        "tiling": case.model_dump()["tiling"],
        "variant": case.variant,
        "verdict": peak.verdict,
        "confidence": peak.confidence,
        "peak": {"kind": peak.kind, "reserved_bytes": peak.reserved_bytes, "needed_bytes": peak.needed_bytes},
        "time": time,
        "reason": ranked.reason,
    }


def _time(time: Time | None) -> dict[str, Any] | None:
    """A time, or the range in which it is: `seconds` is null then, and `most_s` where nothing says."""
    if time is None:
        return None
    between = time.between and {"least_s": time.between.least_s, "most_s": time.between.most_s}
    return {"kind": time.kind, "seconds": time.seconds, "range": between, "beyond": list(time.beyond)}
