"""How much of a card's memory an option takes, and whether it fits: measured if known, else published or predicted.

On Windows and WSL, NVIDIA's driver (since 536.40) gives system memory when the card's is used up: "CUDA - Sysmem
Fallback Policy" (nvidia.custhelp.com, answer 5490; for WSL, microsoft/WSL issue 11050), up to half of it (Microsoft,
"Calculating Graphics Memory"). torch is then not refused any memory, so it neither empties its cache nor takes
low-workspace kernels: what is tight or out of memory on Linux takes its preferred kernels, spills, and runs at the pace
of PCIe. Users call an SDXL decode that spills "super slow" (AUTOMATIC1111/stable-diffusion-webui issue 13341); the only
figure found is of a language model, about a tenth of its speed (AtomicBot-ai/atomic-llama-cpp-turboquant issue 77).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import call_of
from bench.core.units import format_bytes, memory_bytes
from bench.record import Case, Confidence, Kind, Measured, OutOfMemory, Prediction, Record, Verdict

#: spills: it runs, but part of it is in system memory.
Fate = Verdict | Literal["spills"]
#: How the time of a call that spills goes beyond what was fitted.
SPILLED = "a call that spills"


@dataclass(frozen=True, slots=True)
class PredictedPeak:
    """The predicted memory of a case in a place.

    Attributes:
        prediction: None if not even the weights fit.
        reserved_bytes: the peak of torch's pool there; None if out of memory.
        weights_bytes: of the model, if they do not fit.
        taken_bytes: the peak of torch's pool with memory to spare; None if it is not known.
    """

    prediction: Prediction | None
    reserved_bytes: int | None = None
    weights_bytes: int | None = None
    taken_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The peak of torch's pool.

    Attributes:
        kind: measured, published or predicted.
        reserved_bytes: None if it does not run.
        needed_bytes: the least that it needs, if it is out of memory and that is known.
        reason: what the verdict rests on.
        has_room: whether at least the weights fit.
        band: the least and the most that `reserved_bytes` may be, if it is predicted and runs; else None.
        taken_bytes: what it would reserve with memory to spare, as predicted; None if that is not known.
        spilled_bytes: the most that lies in system memory if it spills, by the middle of what the card has; None if
            that is not known. If system memory runs out as well, torch takes low-workspace kernels, or fails.
    """

    kind: Kind
    verdict: Fate
    confidence: Confidence
    reserved_bytes: int | None
    needed_bytes: int | None
    reason: str
    has_room: bool = True
    band: tuple[int, int] | None = None
    taken_bytes: int | None = None
    spilled_bytes: int | None = None

    @property
    def is_comfortable(self) -> bool:
        """Whether it fits with more than low confidence."""
        return self.verdict == "fits" and self.confidence != "low"

    @property
    def runs(self) -> bool:
        """Whether the call ends, however slowly."""
        return self.verdict in {"fits", "tight", "spills"}


def of(case: Case, place: Place, records: Sequence[Record], predicted: PredictedPeak) -> Peak:
    """The peak of a case in a place; `records` may be of any card: made on Linux, with the native allocator."""
    peak = observed(case, place, records) or _predicted(predicted, place)
    peak = replace(peak, taken_bytes=predicted.taken_bytes)
    if place.os == "windows" and peak.verdict in {"tight", "out_of_memory"}:
        return _spilled(peak, place, predicted.weights_bytes)
    return peak


def observed(case: Case, place: Place, records: Sequence[Record]) -> Peak | None:
    """The measured or published peak of a case in a place; None if no record tells it."""
    same_call = alike(case, place, records) if place.allocator == "native" else []
    return next((peak for record in same_call if (peak := _observed(record, place)) is not None), None)


def _spilled(peak: Peak, place: Place, weights_bytes: int | None) -> Peak:
    """The peak of a case on Windows that is tight or out of memory on Linux."""
    taken_bytes = peak.taken_bytes or weights_bytes or 0
    spilled_bytes = max(0, taken_bytes - place.capacities[1]) or None
    if spilled_bytes is None:
        reason = f"{peak.reason} on Linux, so part of it may spill into system memory: runs, but far slower"
    else:
        amount, taken = format_bytes(spilled_bytes), format_bytes(taken_bytes)
        reason = f"up to {amount} of {taken} spill into system memory: runs, but far slower"
    return Peak(
        "predicted",
        "spills",
        peak.confidence,
        taken_bytes or None,
        None,
        reason,
        taken_bytes=peak.taken_bytes,
        spilled_bytes=spilled_bytes,
    )


def alike(case: Case, place: Place, records: Sequence[Record]) -> list[Record]:
    """The records of such a card and call: measured ones first, then those under the same limit."""
    call = call_of(case)
    same_call = [
        record
        for record in records
        if record.kind in {"measured", "published"} and place.is_of(record) and call_of(record.case) == call
    ]
    return sorted(same_call, key=lambda r: (r.kind != "measured", r.vram_limit_bytes != place.limit_bytes))


def _observed(record: Record, place: Place) -> Peak | None:
    """The peak of a place by a record; None if it had other memory, which leaves it uncertain."""
    had = place.total_bytes if record.vram_limit_bytes is None else record.vram_limit_bytes
    is_out = isinstance(record.outcome, OutOfMemory) and (
        record.outcome.where == "device" or record.device.kind == "cpu"  # whose memory is the host's
    )
    if is_out and had >= place.available_bytes:
        return Peak(record.kind, "out_of_memory", "high", None, None, f"out of memory ({record.kind})")
    peak = _peak_bytes(record, had)
    if not isinstance(record.outcome, Measured) or peak is None:
        return None
    if peak <= place.capacities[0]:
        return Peak(record.kind, "fits", "high", peak, None, f"ran on this card ({record.kind})")
    if had == place.available_bytes:
        reason = f"ran on this card with almost no memory left ({record.kind})"
        return Peak(record.kind, "tight", "medium", peak, None, reason)
    return None


def _peak_bytes(record: Record, had: int) -> int | None:
    """The peak of a record; of a published one by the docs' arithmetic."""
    memory = record.memory
    if memory is None or memory.peak_bytes is not None:
        return memory.peak_bytes if memory else None
    return None if memory.percent is None else memory_bytes(memory.percent, had)


def _predicted(predicted: PredictedPeak, place: Place) -> Peak:
    prediction = predicted.prediction
    if prediction is None:
        weights, available = format_bytes(predicted.weights_bytes), format_bytes(place.available_bytes)
        reason = f"the weights alone are {weights}, more than {available} minus the CUDA context"
        return Peak("predicted", "out_of_memory", "high", None, predicted.weights_bytes, reason, has_room=False)
    reserved_bytes, needed_bytes, reason = predicted.reserved_bytes, None, prediction.reason
    if prediction.verdict == "out_of_memory":
        needed_bytes = prediction.needed_allocated_bytes
        room, needed = format_bytes(place.capacities[1]), format_bytes(needed_bytes)
        if needed_bytes > place.capacities[1]:
            reason = f"needs at least {needed}, but only {room} is available"
        else:
            reason = f"needs {needed} of {room}, but the allocator can't place it"
    band = None if reserved_bytes is None else (prediction.reserved_low_bytes, prediction.reserved_high_bytes)
    return Peak("predicted", prediction.verdict, prediction.confidence, reserved_bytes, needed_bytes, reason, band=band)
