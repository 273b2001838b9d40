"""Whether a live trace saw what the module did: its convolutions, counted by the module, and its operations.

Pure. A trace that disagrees is refused: torch runs the module in a way that the trace does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.errors import TraceError
from bench.vram.events import Birth, Convolution, Death, Launch, Pass, Shape

#: Versions of torch that the trace's tests passed with (`make compat`).
CHECKED_TORCH = ("2.6.0", "2.11.0", "2.13.0", "2.14.1")

#: A convolution: path of its module, and shapes of input, output and filter.
ConvolutionCall = tuple[str, Shape, Shape, Shape]


def convolutions(events: Iterable[object]) -> list[ConvolutionCall]:
    """The convolutions of a trace that have an output, in order; a pass that is repeated counts once."""
    seen: list[ConvolutionCall] = []
    passes: set[int] = set()
    pending: Launch | None = None
    for event in _flat(events, passes):
        if isinstance(event, Launch):
            pending = event
        elif isinstance(event, Birth) and pending is not None:
            if isinstance(pending.kernel, Convolution):
                seen.append((pending.module, pending.kernel.input, pending.kernel.output, pending.kernel.filter))
            pending = None
    return seen


def check(what: str, torch_version: str, seen: Sequence[ConvolutionCall], called: Sequence[ConvolutionCall]) -> None:
    """Raise TraceError unless the trace has exactly the convolutions that the module called, in their order."""
    if list(seen) == list(called):
        return
    if len(seen) != len(called):
        raise refused(
            what,
            torch_version,
            f"{len(seen)} of the {len(called)} convolutions that the module called are in the trace",
        )
    place = next(n for n, pair in enumerate(zip(seen, called, strict=True)) if pair[0] != pair[1])
    raise refused(what, torch_version, f"the trace has convolution {seen[place]}, the module called {called[place]}")


def check_flops(what: str, torch_version: str, traced: int, counted: int) -> None:
    """Raise TraceError unless the trace has as many floating-point operations as the workload counts."""
    if traced != counted:
        raise refused(what, torch_version, f"the trace has {traced:,} floating-point operations, the model {counted:,}")


def refused(what: str, torch_version: str, reason: str) -> TraceError:
    """The error of a trace that can't be trusted: what differs, and what to do."""
    *others, last = CHECKED_TORCH
    return TraceError(
        f"{what}: the memory trace does not match what the model ran under torch {torch_version}: {reason}. "
        f"Predict with a torch that it was tested with: {', '.join(others)} or {last}."
    )


def _flat(events: Iterable[object], passes: set[int]) -> Iterable[Launch | Birth | Death]:
    for event in events:
        if not isinstance(event, Pass):
            assert isinstance(event, (Launch, Birth, Death))  # noqa: S101 - for the type checker
            yield event
        elif id(event.events) not in passes:
            passes.add(id(event.events))
            yield from event.events
