"""Whose records are laid over the verdicts: every card's of gpus.yaml, and of other devices those that ran last."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.verdicts.questions import MOST_DEVICES
from bench.config import load_gpus
from bench.record import Record


def of_newest(records: Sequence[Record], most: int = MOST_DEVICES) -> tuple[Sequence[Record], int]:
    """The records without those of devices beyond the `most` measured ones, and how many devices that leaves out."""
    last: dict[tuple[str, int | None], str] = {}
    for record in records:
        if record.kind == "measured" and record.device.kind != "endpoint":
            key = record.device.name, record.device.total_bytes
            last[key] = max(record.run.started_at, last.get(key, ""))
    if len(last) <= most:
        return records, 0
    gpus = load_gpus()
    others = [key for key in last if gpus.of_device(*key) is None]
    room = max(0, most - (len(last) - len(others)))
    left_out = set(sorted(others, key=last.__getitem__, reverse=True)[room:])
    kept = [record for record in records if (record.device.name, record.device.total_bytes) not in left_out]
    return kept, len(left_out)
