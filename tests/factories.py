"""Cases, records and files to build tests from: sensible defaults, and any field by keyword; and `refusal`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bench import config
from bench.errors import BenchError
from bench.record import (
    Axes,
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
    Stage,
    Timing,
)
from bench.run.messages import Done

GIB = 2**30
NOON = "2026-01-01T12:00:00.000000Z"


#: The axes of an image VAE's cases, in their order.
AXES = ("width", "height", "frames", "batch")
#: What belongs to a stage of a record, of which an image VAE's has one.
OF_A_STAGE = ("timing", "memory", "tiles", "flops")


def a_case(**fields: Any) -> Case:
    """`tiny encode 64x64 float32 untiled`; `size` sets both sides, and the axes can be given as fields."""
    size = fields.pop("size", 64)
    given = {"width": size, "height": size, "frames": 1, "batch": 1} | fields.pop("axes", {})
    axes = {name: fields.pop(name, given[name]) for name in AXES}
    return Case(**{"model": "tiny", "operation": "encode", "axes": axes, "dtype": "float32"} | fields)


def changed(case: Case, **fields: Any) -> Case:
    """The case with other fields or axes."""
    axes = dict(case.axes) | {name: fields.pop(name) for name in AXES if name in fields}
    return case.model_copy(update={"axes": Axes(axes), **fields})


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
    return Record(**defaults | staged(fields, fields.get("case", defaults["case"]).operation))


def staged(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The fields of a record, those that belong to a stage put into one."""
    stage = {field: value for field, value in fields.items() if field in OF_A_STAGE and value is not None}
    others = {field: value for field, value in fields.items() if field not in OF_A_STAGE}
    return others | ({"stages": (Stage(name=name, **stage),)} if stage else {})


def only_stage(done: Done) -> Stage:
    """What a case that ended has of its one stage."""
    (stage,) = done.stages
    return stage


def rewritten(record: Record, **fields: Any) -> Record:
    """The record with other fields, those of its only stage among them."""
    stage = record.stages[0] if record.stages else Stage(name=record.case.operation)
    of_stage = {field: fields.pop(field) for field in OF_A_STAGE if field in fields}
    if of_stage:
        fields["stages"] = (stage.model_copy(update=of_stage),)
    return Record.model_construct(**{**dict(record), **fields})


def measured(median_s: float = 0.05, percent: float = 8.4, **fields: Any) -> Record:
    """A case that was measured: three equal samples, and a peak of `percent` of the card."""
    timing = Timing(clock="cuda_event", median_s=median_s, samples_s=(median_s,) * 3, first_call_s=2 * median_s)
    return a_record(**{"timing": timing, "memory": Memory(percent=percent, peak_bytes=2 * GIB)} | fields)


def of_version_5(record: Record) -> dict[str, Any]:
    """A record as version 5 of the schema had it: docs/schema-5-to-6.json, backwards."""
    line: dict[str, Any] = json.loads(record.to_json())
    axes, stages = line["case"].pop("axes"), line.pop("stages")
    line["case"] |= axes
    line |= {name: stages[0][name] if stages else None for name in OF_A_STAGE}
    del line["device"]["identity"]
    line["outcome"].pop("stage", None)
    return line | {"schema_version": 5}


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
