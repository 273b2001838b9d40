"""Checks a live trace against the module's own convolutions and operations.

A trace that differs is refused: torch runs the module in a way that the tracer does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.errors import TraceError
from bench.traces.events import Birth, Convolution, Event, Launch, Shape, distinct

#: Versions of torch with which the tracer's tests passed (`make compat`).
CHECKED_TORCH = ("2.6.0", "2.11.0", "2.13.0", "2.14.1")

#: A convolution: its module's path, and the shapes of input, output and filter.
ConvolutionCall = tuple[str, Shape, Shape, Shape]


def convolutions(events: Iterable[Event]) -> list[ConvolutionCall]:
    """The convolutions of a trace that have an output, in order. A repeated pass counts once."""
    traced: list[ConvolutionCall] = []
    pending: Launch | None = None
    for event in distinct(events):
        if isinstance(event, Launch):
            pending = event
        elif isinstance(event, Birth) and pending is not None:
            if isinstance(pending.kernel, Convolution):
                traced.append((pending.module, pending.kernel.input, pending.kernel.output, pending.kernel.filter))
            pending = None
    return traced


def check_convolutions(traced: Sequence[ConvolutionCall], called: Sequence[ConvolutionCall]) -> None:
    """Raise TraceError unless the trace has exactly the convolutions that the module called, in order."""
    if len(traced) != len(called):
        raise TraceError(f"the trace has {len(traced)} of the {len(called)} convolutions that the module called")
    for seen, expected in zip(traced, called, strict=True):
        if seen != expected:
            raise TraceError(f"the trace has convolution {seen}, the module called {expected}")


def check_flops(traced: int, counted: int) -> None:
    """Raise TraceError unless the trace has as many floating-point operations as the workload counts."""
    if traced != counted:
        raise TraceError(f"the trace has {traced:,} floating-point operations, the model has {counted:,}")


def refused(label: str, torch_version: str, reason: TraceError) -> TraceError:
    """The error for a trace that does not match the module: what differs, and what to do."""
    *earlier, last = CHECKED_TORCH
    return TraceError(
        f"{label}: the memory trace does not match what the model ran under torch {torch_version}: {reason}. "
        f"Predict with a version of torch that was tested: {', '.join(earlier)} or {last}."
    )
