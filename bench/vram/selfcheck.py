"""Checks a live trace against the module's own convolutions and operations.

A trace that differs is refused: torch runs the module in a way that the tracer does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.errors import TraceError
from bench.vram.events import Birth, Convolution, Death, Launch, Pass, Shape

#: Versions of torch with which the tracer's tests passed (`make compat`).
CHECKED_TORCH = ("2.6.0", "2.11.0", "2.13.0", "2.14.1")

#: A convolution: its module's path, and the shapes of input, output and filter.
ConvolutionCall = tuple[str, Shape, Shape, Shape]


def convolutions(events: Iterable[object]) -> list[ConvolutionCall]:
    """The convolutions of a trace that have an output, in order. A repeated pass counts once."""
    traced: list[ConvolutionCall] = []
    passes: set[int] = set()
    pending: Launch | None = None
    for event in _flat(events, passes):
        if isinstance(event, Launch):
            pending = event
        elif isinstance(event, Birth) and pending is not None:
            if isinstance(pending.kernel, Convolution):
                traced.append((pending.module, pending.kernel.input, pending.kernel.output, pending.kernel.filter))
            pending = None
    return traced


def check(label: str, torch_version: str, traced: Sequence[ConvolutionCall], called: Sequence[ConvolutionCall]) -> None:
    """Raise TraceError unless the trace has exactly the convolutions that the module called, in order."""
    if list(traced) == list(called):
        return
    if len(traced) != len(called):
        reason = f"the trace has {len(traced)} of the {len(called)} convolutions that the module called"
    else:
        pairs = zip(traced, called, strict=True)
        seen, expected = next(pair for pair in pairs if pair[0] != pair[1])
        reason = f"the trace has convolution {seen}, the module called {expected}"
    raise refused(label, torch_version, reason)


def check_flops(label: str, torch_version: str, traced: int, counted: int) -> None:
    """Raise TraceError unless the trace has as many floating-point operations as the workload counts."""
    if traced != counted:
        raise refused(
            label, torch_version, f"the trace has {traced:,} floating-point operations, the model has {counted:,}"
        )


def refused(label: str, torch_version: str, reason: str) -> TraceError:
    """The error for a trace that does not match the module: what differs, and what to do."""
    *earlier, last = CHECKED_TORCH
    return TraceError(
        f"{label}: the memory trace does not match what the model ran under torch {torch_version}: {reason}. "
        f"Predict with a version of torch that was tested: {', '.join(earlier)} or {last}."
    )


def _flat(events: Iterable[object], passes: set[int]) -> Iterable[Launch | Birth | Death]:
    for event in events:
        if not isinstance(event, Pass):
            assert isinstance(event, (Launch, Birth, Death))  # noqa: S101 - for the type checker
            yield event
        elif id(event.events) not in passes:
            passes.add(id(event.events))
            yield from event.events
