"""Measures the workspaces of all convolutions of one untiled call, for `bench calibrate`.

torch keeps the plan that it has found for a convolution for the life of the process (the plan cache of
aten/src/ATen/native/cudnn/Conv_v8.cpp), even once more memory is free. So the parent replaces this process after a
refused request.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import torch

from bench.core.units import format_count
from bench.device.base import Held
from bench.device.cuda.convolutions import AnyConvolution, Observed, recording
from bench.record import Case, ConvolutionWorkspace, OutOfMemory
from bench.run import outcome
from bench.run.messages import MeasureWorkspaces, WorkspacesMeasured
from bench.workloads import models


def measure(request: MeasureWorkspaces, held: Held) -> WorkspacesMeasured:
    """Run one call on this process's device. A failure becomes an answer with its reason."""
    if held.device.kind != "cuda":
        return WorkspacesMeasured(reason=f"{held.device.name} is not a CUDA GPU, so it has no cuDNN")
    before = held.state()
    try:
        return merged(_observe(request, held), request.dtype)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        now = held.state()
        failure = outcome.of_exception(error, "run", replace(now, refusals=now.refusals - before.refusals))
        return WorkspacesMeasured(reason=outcome.brief(error), out_of_memory=isinstance(failure, OutOfMemory))
    finally:
        held.meter.empty()


def _observe(request: MeasureWorkspaces, held: Held) -> Sequence[Observed]:
    workload = models.workload(request.model)
    case = Case(
        model=request.model,
        operation=request.operation,
        axes=models.square(request.model, request.edge),
        dtype=request.dtype,
    )
    loaded = workload.load(case, held.torch_device)
    call = loaded.prepare(case)
    held.meter.empty()
    parts = [part for part in loaded.module.modules() if isinstance(part, AnyConvolution)]
    with torch.inference_mode(), recording(parts, held.torch_device) as observed:
        call.run()
    held.wait()
    return observed


def merged(observed: Sequence[Observed], dtype: str) -> WorkspacesMeasured:
    """Return each convolution once, with the largest workspace of its runs.

    It is constrained if any of its runs was, because later runs use the kernel found then and meet no refusal. A
    convolution whose recorded history contradicts the allocator's counters is left out with a warning.
    """
    groups: dict[Hashable, list[Observed]] = {}
    for run in observed:
        groups.setdefault((run.input, run.output, run.filter, run.channels_last), []).append(run)
    entries: list[ConvolutionWorkspace] = []
    contradicted: list[Observed] = []
    for runs in groups.values():
        consistent = [
            run.requests for run in runs if run.requests and run.requests.peak_bytes == run.counted_peak_bytes
        ]
        if len(consistent) < len(runs):
            contradicted.append(runs[0])
            continue
        entries.append(
            ConvolutionWorkspace.model_validate(
                {
                    "dtype": dtype,
                    "input": runs[0].input,
                    "output": runs[0].output,
                    "filter": runs[0].filter,
                    "channels_last": runs[0].channels_last,
                    "workspace_bytes": max(requests.workspace_bytes for requests in consistent),
                    "constrained": any(requests.refused for requests in consistent),
                }
            )
        )
    return WorkspacesMeasured(entries=tuple(entries), warnings=_warnings(contradicted))


def _warnings(contradicted: Sequence[Observed]) -> tuple[str, ...]:
    if not contradicted:
        return ()
    first = f"{contradicted[0].filter} on {contradicted[0].input}"
    return (
        f"{format_count(len(contradicted), 'convolution')} left out (the first: {first}), because the allocator's "
        "recorded history and its counters differ",
    )
