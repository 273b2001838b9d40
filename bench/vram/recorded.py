"""Records torch's allocations during a case's real call: with the profiler on the CPU, the memory history on CUDA.

Hooks tell which module is running. The operator comes from the profiler's tree on the CPU and from a dispatch mode on
CUDA. On CUDA the allocator's counters at each of these moments assign the entries of the history to them, so that
neither clocks nor stacks are needed.
"""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.core.units import ITEM_BYTES
from bench.errors import BenchError
from bench.record import Case
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.recording import Change, Mark, Span, changes_of, timeline_of
from bench.vram.timeline import Timeline
from bench.workloads import models
from bench.workloads.base import Call

#: Name prefix of this module's spans in the profiler's tree.
_PREFIX = "bench module "
_OPERATORS = "aten::"
#: The log level that silences Kineto's messages about every start and stop on standard error.
_KINETO_SILENT = "6"
#: Limit on the events of one call: each takes kilobytes because of its stack.
_MOST_EVENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Recording:
    """The recording of one call.

    Attributes:
        timeline: its allocations, including weights and input.
        allocated_bytes: peak by the allocator's own counter; None on the CPU.
        snapshot: the history in the format of PyTorch's memory viewer (pytorch.org/memory_viz); None on the CPU.
    """

    timeline: Timeline
    allocated_bytes: int | None = None
    snapshot: bytes | None = None


def record(case: Case, device: torch.device, input_elements: int) -> Recording:
    """Run the case once on the device and record every allocation.

    Raises:
        BenchError: there are more events than torch keeps.
        torch.OutOfMemoryError: the device refused.
    """
    loaded = models.workload(case.model).load(case, device)
    call, module = loaded.prepare(case), loaded.module
    weights = [tensor.nbytes for tensor in (*module.parameters(), *module.buffers())]
    input_bytes = input_elements * ITEM_BYTES[case.dtype]
    if device.type == "cpu":
        return Recording(timeline_of(_on_cpu(module, call), weights, input_bytes))
    changes, allocated, snapshot = _on_cuda(module, call, device)
    return Recording(timeline_of(changes, weights, input_bytes, MIN_BLOCK_BYTES), allocated, snapshot)


def _on_cpu(module: torch.nn.Module, call: Call) -> list[Change]:
    os.environ.setdefault("KINETO_LOG_LEVEL", _KINETO_SILENT)
    spans: list[Any] = []

    def enter(path: str) -> None:
        spans.append(torch.profiler.record_function(f"{_PREFIX}{path}"))
        spans[-1].__enter__()

    def leave() -> None:
        spans.pop().__exit__(None, None, None)

    activities = [torch.profiler.ProfilerActivity.CPU]
    gc.collect()
    with (
        torch.inference_mode(),
        _watching(module, enter, leave),
        torch.profiler.profile(activities=activities, profile_memory=True) as profiler,
    ):
        result = call.run()
    del result
    tree = profiler.profiler.kineto_results.experimental_event_tree()
    return [change for _, change in sorted(_profiled(tree), key=lambda timed: timed[0])]


def _profiled(roots: list[Any]) -> Iterator[tuple[int, Change]]:
    """The allocations on the CPU in a profiler's tree, each with its time in ns."""
    allocation = torch._C._profiler._EventType.Allocation
    pending = [(node, Span()) for node in roots]
    while pending:
        node, span = pending.pop()
        if node.tag == allocation:
            fields = node.extra_fields
            if fields.alloc_size and fields.device.type == "cpu":
                yield node.start_time_ns, Change(fields.ptr, fields.alloc_size, span)
            continue
        name = node.name
        if name.startswith(_PREFIX):
            span = Span(name.removeprefix(_PREFIX))
        elif name.startswith(_OPERATORS) and span.launch is None:
            span = Span(span.module, name.removeprefix(_OPERATORS), node.id)
        pending += [(child, span) for child in node.children]


def _on_cuda(module: torch.nn.Module, call: Call, device: torch.device) -> tuple[list[Change], int, bytes]:
    _empty_pool(device)

    def changes_so_far() -> int:
        counts = torch.cuda.memory_stats_as_nested_dict(device)["allocation"]["all"]
        return int(counts["allocated"] + counts["freed"])

    initial = changes_so_far()
    watch = Watch(lambda: changes_so_far() - initial)
    torch.cuda.memory._record_memory_history(max_entries=_MOST_EVENTS, stacks="python")
    try:
        with torch.inference_mode(), _watching(module, watch.enter, watch.leave), watch:
            result = call.run()
        torch.cuda.synchronize(device)
        allocated = torch.cuda.max_memory_allocated(device)
        snapshot = torch.cuda.memory._snapshot()
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)
    del result
    entries = snapshot["device_traces"][device.index or 0]
    if len(entries) >= _MOST_EVENTS:
        raise BenchError(
            f"The call makes more than {_MOST_EVENTS:,} allocations and frees, which is too many to record. Use larger "
            "tiles or a smaller --resolution."
        )
    # the format of torch.cuda.memory._dump_snapshot
    return list(changes_of(entries, watch.marks)), allocated, pickle.dumps(snapshot)


def _empty_pool(device: torch.device) -> None:
    gc.collect()
    torch.cuda.synchronize(device)
    if clear_workspaces := getattr(torch._C, "_cuda_clearCublasWorkspaces", None):
        clear_workspaces()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records which module and operator is running from which change of the allocator on.

    `counted` returns the number of changes so far. Operators are those that the module calls, including their parts.
    """

    def __init__(self, counted: Callable[[], int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.marks: list[Mark] = []
        self._counted = counted
        self._path = [""]
        self._launches = 0

    def enter(self, path: str) -> None:
        """Enter a module."""
        self._path.append(path)
        self._mark(Span(path))

    def leave(self) -> None:
        """Leave the module that was entered last."""
        self._path.pop()
        self._mark(Span(self._path[-1]))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._launches += 1
        self._mark(Span(self._path[-1], func._schema.name.removeprefix(_OPERATORS), self._launches))
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self._mark(Span(self._path[-1]))

    def _mark(self, span: Span) -> None:
        self.marks.append(Mark(self._counted(), span))


@contextmanager
def _watching(module: torch.nn.Module, enter: Callable[[str], None], leave: Callable[[], None]) -> Iterator[None]:
    """Call `enter` with its path whenever a part of the module begins, and `leave` when it ends."""
    handles = []
    for path, part in module.named_modules():
        if path:
            handles.append(part.register_forward_pre_hook(lambda _part, _inputs, path=path: enter(path)))
            handles.append(part.register_forward_hook(lambda _part, _inputs, _output: leave(), always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
