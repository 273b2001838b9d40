"""Cases, records and files to build tests from: sensible defaults, and any field by keyword; and `refusal`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bench import config
from bench.errors import BenchError
from bench.record import (
    Case,
    Device,
    Environment,
    Failed,
    Measured,
    Memory,
    OutOfMemory,
    Package,
    Record,
    Run,
    Timing,
)

GIB = 2**30
NOON = "2026-01-01T12:00:00.000000Z"


def a_case(**fields: Any) -> Case:
    """`tiny encode 64x64 float32 untiled`; `size` sets both sides."""
    size = fields.pop("size", 64)
    return Case(**{"model": "tiny", "operation": "encode", "width": size, "height": size, "dtype": "float32"} | fields)


def a_device(**fields: Any) -> Device:
    """A CUDA card of 24 GiB."""
    return Device(**{"kind": "cuda", "name": "NVIDIA Test", "total_bytes": 24 * GIB} | fields)


def a_run(**fields: Any) -> Run:
    """A run of one case, begun at noon."""
    return Run(**{"id": "run-1", "config": "test", "plan": "plan-1", "cases": 1, "started_at": NOON} | fields)


def an_environment(**fields: Any) -> Environment:
    """The software and the host around a measurement."""
    defaults = {
        "python": "3.11.7",
        "packages": {"torch": Package(version="2.13.0"), "diffusers": Package(version="0.40.0", commit="abc123")},
        "os": "Linux 6.1",
        "host_cpu": "Test CPU",
        "host_cores": 2,
        "host_ram_bytes": 8 * GIB,
    }
    return Environment(**defaults | fields)


def a_record(**fields: Any) -> Record:
    """One of kind `measured` whose outcome is as well; no figures unless given."""
    defaults = {
        "kind": "measured",
        "case": a_case(),
        "device": a_device(),
        "run": a_run(),
        "outcome": Measured(),
        "environment": an_environment(),
        "recorded_at": NOON,
    }
    return Record(**defaults | fields)


def measured(median_s: float = 0.05, percent: float = 8.4, **fields: Any) -> Record:
    """A case that was measured: three equal samples, and a peak of `percent` of the card."""
    timing = Timing(clock="cuda_event", median_s=median_s, samples_s=(median_s,) * 3, first_call_s=2 * median_s)
    return a_record(**{"timing": timing, "memory": Memory(percent=percent, peak_bytes=2 * GIB)} | fields)


def published(median_s: float = 0.05, percent: float = 8.4, **fields: Any) -> Record:
    """A row of the docs: a median and a percentage, nothing else."""
    defaults = {
        "kind": "published",
        "device": a_device(total_bytes=None),
        "run": a_run(id="published-page", plan="page"),
        "timing": Timing(clock="published", median_s=median_s),
        "memory": Memory(percent=percent),
        "environment": None,
        "assumed": ("dtype", "batch", "weights"),
        "source": "page.md:4",
    }
    return a_record(**defaults | fields)


def out_of_memory(**fields: Any) -> Record:
    """A case whose first call asked for 2 GiB and found 1."""
    outcome = OutOfMemory(where="device", phase="warm-up", requested_bytes=2 * GIB, free_bytes=GIB, message="no more")
    return a_record(**{"outcome": outcome} | fields)


def failed(**fields: Any) -> Record:
    """A case that raised."""
    return a_record(**{"outcome": Failed(exception="ValueError", message="no", phase="run")} | fields)


def write_lines(path: Path, records: Iterable[Record], tail: bytes = b"") -> Path:
    """A results file of these records, with `tail` after its last newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(record.to_json().encode() + b"\n" for record in records) + tail)
    return path


#: The shortest sweep.
MINIMAL = "models: tiny\nresolutions: 64\n"


def load_sweep(folder: Path, text: str, *overrides: str) -> config.Sweep:
    """Load a file `mine.yaml` of that text; of MINIMAL and that text, if it says no models."""
    path = folder / "mine.yaml"
    path.write_text(text if "models:" in text else MINIMAL + text, encoding="utf-8")
    return config.load(path, overrides)


def refusal(kind: type[BenchError], call: Callable[..., Any], *arguments: Any) -> str:
    """The words of the error of that kind in which a call ends."""
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)
