"""A device's workspaces as `bench calibrate` would leave them, of the tiny model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factories import NOON, a_case, a_device, an_environment
from machines import gpu_settings

from bench import store
from bench.record import Workspaces
from bench.traces import trace
from bench.traces.events import Convolution


def calibrate(
    results: Path,
    *,
    sizes: Sequence[int] = (64,),
    operations: Sequence[str] = ("encode", "decode"),
    workspace_bytes: int = 3 * 2**20,
    **environment: Any,
) -> Workspaces:
    """Write into `results` that each convolution took so much, on an Ada card unless `environment` says else."""
    kernels = {
        kernel
        for size in sizes
        for operation in operations
        for kernel in trace.capture(a_case(model="tiny", operation=operation, size=size)).kernels
        if isinstance(kernel, Convolution)
    }
    entries = [
        {"dtype": "float32", "input": one.input, "output": one.output, "filter": one.filter}
        | {"workspace_bytes": workspace_bytes}
        for one in kernels
    ]
    known = {"cudnn": "92000", "gpu": gpu_settings(compute_capability="8.9")}
    found = Workspaces.model_validate(
        {
            "device": a_device(),
            "entries": entries,
            "environment": an_environment(**known | environment),
            "recorded_at": NOON,
        }
    )
    store.write_workspaces(results / "nvidia-test", found)
    return found
