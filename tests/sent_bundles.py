"""Bundles as volunteers would send them: of made-up records of a card, and of runs that were measured on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import volunteer_records

from bench.record import Record, grouped
from bench.sharing.bundles import bundle
from bench.sharing.bundles.bundle import Bundle
from bench.sharing.bundles.manifest import About
from bench.store import read_file

ROOT = Path(__file__).parents[1]
RTX_3090 = "NVIDIA GeForce RTX 3090"
#: Runs of a CPU that were measured, the oldest first.
MEASURED = sorted((ROOT / "results").glob("cpu-*/*.jsonl"))


@cache
def records_of(card: str = RTX_3090, operation: str = "encode") -> tuple[Record, ...]:
    """A run of a card, made up around the docs' figures."""
    return tuple(volunteer_records.records_of(card, operation))


@cache
def on_cpu(place: int = -1) -> tuple[Record, ...]:
    """A run that was measured on a CPU."""
    return read_file(MEASURED[place]).records


def about(records: Sequence[Record], **fields: Any) -> About:
    """What the manifest of a bundle of these records says."""
    environment = records[0].environment
    packages = environment.packages if environment else {}
    defaults: dict[str, Any] = {
        "device": records[0].device,
        "versions": {name: package.version for name, package in packages.items()},
        "ended_at": records[-1].recorded_at,
        "seconds": 60.0,
    }
    return About(**defaults | fields)


def bundled(folder: Path, records: Sequence[Record], more: dict[str, bytes] | None = None, **fields: Any) -> Bundle:
    """A bundle of these records, each run in its file; `more` are other files, `fields` those of the manifest."""
    files = {
        f"results/{run[0].device.slug}/{run[0].run.id}.jsonl": lines(run)
        for run in grouped(records, lambda record: record.run.id)
    }
    return bundle.write({**files, **(more or {})}, folder, about(records, **fields))


def stood_in(records: Sequence[Record]) -> list[Record]:
    """The records as a stand-in would have made them."""
    return [
        record.model_copy(
            update={"environment": record.environment and record.environment.model_copy(update={"stand_in": "a test"})}
        )
        for record in records
    ]


def lines(records: Sequence[Record]) -> bytes:
    """The content of a results file."""
    return b"".join(record.to_json().encode() + b"\n" for record in records)
