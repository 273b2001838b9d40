"""Predicted records for tests: every byte of a prediction follows from what is reserved."""

from __future__ import annotations

from typing import Any

from factories import a_record, rewritten

from bench.core.units import MIB, memory_percent
from bench.core.work import Work
from bench.record import Measured, Memory, Outcome, OutOfMemory, Prediction, Record, Skipped

ENDED: dict[str, Outcome] = {"out_of_memory": OutOfMemory(where="device"), "unsupported": Skipped(reason="for a test")}


def a_predicted_record(
    reserved: int,
    *,
    verdict: str = "fits",
    confidence: str = "high",
    band: tuple[int, int] | None = None,
    architecture: str = "ada",
    **fields: Any,
) -> Record:
    """A prediction that reserves so many bytes, allocates 4/5 and needs 3/5 of them; the band is 10% to either side."""
    low, high = band or (reserved * 9 // 10, reserved * 11 // 10)
    fields.setdefault("device", {"kind": "cuda", "name": "NVIDIA Test", "total_bytes": 8192 * MIB})
    record = a_record(**fields)
    memory = Memory(
        percent=memory_percent(reserved, record.device.total_bytes or 8192 * MIB),
        peak_bytes=reserved,
        peak_allocated_bytes=reserved * 4 // 5,
        peak_reserved_bytes=reserved,
    )
    out = verdict in {"out_of_memory", "unsupported"}
    prediction = Prediction.model_validate(
        {
            "verdict": verdict,
            "confidence": confidence,
            "reason": "for a test",
            "workspaces": "published",
            "architecture": architecture,
            "needed_allocated_bytes": reserved * 3 // 5,
            "needed_reserved_bytes": reserved * 3 // 5,
            "taken_allocated_bytes": reserved * 4 // 5,
            "taken_reserved_bytes": reserved,
            "taken_low_bytes": low,
            "taken_high_bytes": high,
            "reserved_low_bytes": low,
            "reserved_high_bytes": high,
            "capacity_bytes": 8000 * MIB,
            "context_low_bytes": 256 * MIB,
            "context_high_bytes": 512 * MIB,
            "work": Work(),
        }
    )
    return rewritten(
        record,
        kind="predicted",
        outcome=ENDED.get(verdict, Measured()),
        memory=None if out else memory,
        timing=None,
        prediction=prediction,
    )
