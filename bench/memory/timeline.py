"""What is alive at each moment of a call, in bytes: weights, input, activations and workspaces, each with who made it.

Pure. A timeline is made of a trace and a backend here, or of recorded events by `recorded`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from bench.memory.events import Birth, Death, Launch, Trace
from bench.memory.workspace import NOTHING, Backend, Scratch

Kind = Literal["weights", "input", "activation", "workspace"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who an allocation is of: the module's path, the operator, and what it is for."""

    module: str
    operator: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Timeline:
    """Allocations, and the order in which they come and go.

    Attributes:
        sizes: bytes of each allocation.
        owners: whose each is.
        changes: places in `sizes`: n for its allocation, ~n (that is, -n - 1) for its end.
        before: how many of the first changes come before the call: weights and input.
    """

    sizes: tuple[int, ...]
    owners: tuple[Owner, ...]
    changes: tuple[int, ...]
    before: int

    def live(self) -> Iterator[int]:
        """Bytes alive after each change."""
        return accumulate(self.sizes[place] if place >= 0 else -self.sizes[~place] for place in self.changes)

    @property
    def peak_bytes(self) -> int:
        """The most that is alive at once."""
        return max(self.live(), default=0)

    @property
    def peak_at(self) -> int:
        """The change after which the most is alive; the first of several."""
        live = list(self.live())
        return live.index(max(live))

    def alive_at(self, change: int) -> tuple[int, ...]:
        """Places of the allocations that are alive after that change, the largest first."""
        alive: dict[int, None] = {}
        for place in self.changes[: change + 1]:
            if place >= 0:
                alive[place] = None
            else:
                del alive[~place]
        return tuple(sorted(alive, key=lambda place: -self.sizes[place]))


class Builder:
    """Puts a timeline together, one change after another."""

    def __init__(self, round_to: int = 1) -> None:
        self._round_to = round_to
        self._sizes: list[int] = []
        self._owners: list[Owner] = []
        self._changes: list[int] = []
        self._before = 0

    def allocate(self, size: int, owner: Owner) -> int:
        """A new allocation; its place. Sizes are rounded up, if at all."""
        place = len(self._sizes)
        self._sizes.append(-(-size // self._round_to) * self._round_to)
        self._owners.append(owner)
        self._changes.append(place)
        return place

    def free(self, place: int) -> None:
        """The end of an allocation."""
        self._changes.append(~place)

    def call_begins(self) -> None:
        """What was allocated so far was there before the call."""
        self._before = len(self._changes)

    def done(self) -> Timeline:
        """The timeline."""
        return Timeline(tuple(self._sizes), tuple(self._owners), tuple(self._changes), self._before)


def build(trace: Trace, backend: Backend, item_bytes: int, round_to: int = 1) -> Timeline:
    """The timeline of a traced call, its values of so many bytes, with the workspaces of a backend.

    `round_to` is the granularity of the allocator: 512 bytes for CUDA's, 1 for none.
    """
    builder = Builder(round_to)
    for elements in trace.weights:
        builder.allocate(elements * item_bytes, _WEIGHTS)
    builder.allocate(trace.input_elements * item_bytes, _INPUT)
    builder.call_begins()
    _Call(builder, backend, item_bytes).replay(trace)
    return builder.done()


_WEIGHTS = Owner("", "", "weights")
_INPUT = Owner("", "", "input")


class _Call:
    """The events of one call, joined by what the backend's kernels take."""

    def __init__(self, builder: Builder, backend: Backend, item_bytes: int) -> None:
        self._builder, self._backend, self._item_bytes = builder, backend, item_bytes
        self._scratches: dict[Launch, Scratch] = {}
        self._owners: dict[Launch, tuple[Owner, Owner]] = {}
        self._kept = False

    def replay(self, trace: Trace) -> None:
        allocate, free, item = self._builder.allocate, self._builder.free, self._item_bytes
        places: dict[int, int] = {}
        launch = Launch("", "")
        scratch, pending = NOTHING, False
        across: list[int] = []
        activation = workspace = _INPUT
        for event in trace.events:
            if isinstance(event, Birth):
                if pending:
                    across = self._before(scratch, workspace)
                places[event.key] = allocate(event.elements * item, activation)
                if pending:
                    self._after(scratch, across, workspace)
                    pending = False
            elif isinstance(event, Death):
                free(places.pop(event.key))
            else:
                launch = event
                scratch, activation, workspace = self._of(launch)
                pending = scratch is not NOTHING

    def _before(self, scratch: Scratch, owner: Owner) -> list[int]:
        """What comes before the output; what of it is still to be freed."""
        passing = [self._builder.allocate(size, owner) for size in scratch.before]
        across = [self._builder.allocate(size, owner) for size in scratch.across]
        self._free_all(reversed(passing))
        return across

    def _after(self, scratch: Scratch, across: Sequence[int], owner: Owner) -> None:
        if scratch.kept and not self._kept:
            self._kept = True
            for size in scratch.kept:
                self._builder.allocate(size, owner)
        later = [self._builder.allocate(size, owner) for size in scratch.after]
        self._free_all((*reversed(later), *across))

    def _free_all(self, places: Iterator[int] | Sequence[int]) -> None:
        for place in places:
            self._builder.free(place)

    def _of(self, launch: Launch) -> tuple[Scratch, Owner, Owner]:
        scratch = self._scratches.get(launch)
        if scratch is None:
            kernel = launch.kernel
            scratch = NOTHING if kernel is None else self._backend.scratch(kernel, self._item_bytes)
            self._scratches[launch] = scratch
            self._owners[launch] = (
                Owner(launch.module, launch.operator, "activation"),
                Owner(launch.module, launch.operator, "workspace"),
            )
        return (scratch, *self._owners[launch])
