"""The workspaces of all convolutions of one untiled call, for `bench calibrate`. Loads torch.

What torch found to fit it keeps for the life of the process (the plan cache of aten/src/ATen/native/cudnn/Conv_v8.cpp),
also once memory is free again: after a refused request the parent replaces this process.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import torch

from bench.core.units import format_count
from bench.device.base import Held
from bench.device.cuda.convolutions import Observed, recording
from bench.record import Case, ConvolutionWorkspace, OutOfMemory
from bench.run import outcome
from bench.run.messages import MeasureWorkspaces, WorkspacesMeasured
from bench.workloads import models


def measure(request: MeasureWorkspaces, held: Held) -> WorkspacesMeasured:
    """Run one call on the device that this process holds. Any failure is an answer with its reason."""
    if held.device.kind != "cuda":
        return WorkspacesMeasured(reason=f"{held.device.name} is no CUDA GPU, and has no cuDNN")
    before = held.state()
    try:
        return told(_observe(request, held), request.dtype)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        now = held.state()
        fate = outcome.of_exception(error, "run", replace(now, refusals=now.refusals - before.refusals))
        return WorkspacesMeasured(reason=outcome.brief(error), out_of_memory=isinstance(fate, OutOfMemory))
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
    parts = [part for part in loaded.module.modules() if isinstance(part, torch.nn.Conv2d)]
    with torch.inference_mode(), recording(parts, held.torch_device) as seen:
        call.run()
    held.wait()
    return seen


def told(seen: Sequence[Observed], dtype: str) -> WorkspacesMeasured:
    """Each convolution once, however often it ran: the most that it took.

    It is constrained if it was in any of its runs: later ones take the kernel that was found then, and meet no refusal.
    One whose history contradicts the counters is left out with a warning.
    """
    alike: dict[Hashable, list[Observed]] = {}
    for one in seen:
        alike.setdefault((one.input, one.output, one.filter, one.channels_last), []).append(one)
    entries: list[ConvolutionWorkspace] = []
    odd: list[Observed] = []
    for several in alike.values():
        found = [one.requests for one in several if one.requests and one.requests.peak_bytes == one.counted_peak_bytes]
        if len(found) < len(several):
            odd.append(several[0])
            continue
        entries.append(
            ConvolutionWorkspace.model_validate(
                {
                    "dtype": dtype,
                    "input": several[0].input,
                    "output": several[0].output,
                    "filter": several[0].filter,
                    "channels_last": several[0].channels_last,
                    "workspace_bytes": max(requests.workspace_bytes for requests in found),
                    "constrained": any(requests.refused for requests in found),
                }
            )
        )
    return WorkspacesMeasured(entries=tuple(entries), warnings=_contradicted(odd))


def _contradicted(odd: Sequence[Observed]) -> tuple[str, ...]:
    if not odd:
        return ()
    first = f"{odd[0].filter} on {odd[0].input}"
    return (
        f"{format_count(len(odd), 'convolution')} left out, the first being {first}: the allocator's recorded history "
        "and its counters differ",
    )
