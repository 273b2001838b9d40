"""What is alive at each moment of a call, in bytes: weights, input, activations and workspaces, each with who made it.

Pure. A timeline is made of a trace and a backend here, or of recorded events by `recording`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

from bench.vram.events import Birth, Death, Event, Launch, Pass, Shape, Trace
from bench.vram.workspace import NOTHING, Backend, Scratch

#: workspace: a kernel that takes less could be had instead. buffer: none could. library: kept for good.
Kind = Literal["weights", "input", "activation", "workspace", "buffer", "library"]


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
        left_out_bytes: the most that was alive at once in passes that were left out (`build`'s `repeats`); 0: none was.
    """

    sizes: tuple[int, ...]
    owners: tuple[Owner, ...]
    changes: tuple[int, ...]
    before: int
    left_out_bytes: int = 0

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
        #: Alive now and at the most since last set, but for what libraries keep, and that.
        self.passing = self.highest = self.kept = 0
        self.left_out = 0

    def allocate(self, size: int, owner: Owner) -> int:
        """A new allocation; its place. Sizes are rounded up, if at all."""
        place, rounded = len(self._sizes), -(-size // self._round_to) * self._round_to
        self._sizes.append(rounded)
        self._owners.append(owner)
        self._changes.append(place)
        if owner.kind == "library":
            self.kept += rounded
        else:
            self.passing += rounded
            self.highest = max(self.highest, self.passing)
        return place

    def free(self, place: int) -> None:
        """The end of an allocation."""
        self._changes.append(~place)
        self.passing -= self._sizes[place]

    def call_begins(self) -> None:
        """What was allocated so far was there before the call."""
        self._before = len(self._changes)

    def done(self) -> Timeline:
        """The timeline."""
        return Timeline(tuple(self._sizes), tuple(self._owners), tuple(self._changes), self._before, self.left_out)


def build(trace: Trace, backend: Backend, item_bytes: int, round_to: int = 1, repeats: int | None = None) -> Timeline:
    """The timeline of a traced call, its values of so many bytes, with the workspaces of a backend.

    `round_to` is the granularity of the allocator: 512 bytes for CUDA's, 1 for none. `repeats`: passes of one shape
    come in full so often, and later ones leave behind what they return and no more; None: all in full.
    """
    builder = Builder(round_to)
    for elements in trace.weights:
        builder.allocate(elements * item_bytes, _WEIGHTS)
    builder.allocate(trace.input_elements * item_bytes, _INPUT)
    builder.call_begins()
    _Call(builder, backend, item_bytes, repeats).replay(trace.events)
    return builder.done()


_WEIGHTS = Owner("", "", "weights")
_INPUT = Owner("", "", "input")


class _Call:
    """The events of one call, joined by what the backend's kernels take."""

    def __init__(self, builder: Builder, backend: Backend, item_bytes: int, repeats: int | None) -> None:
        self._builder, self._backend, self._item_bytes, self._repeats = builder, backend, item_bytes, repeats
        self._places: dict[int, int] = {}
        self._passes: dict[Shape, tuple[int, int]] = {}  # how many there were, and by how much one rises
        self._results: dict[Shape, tuple[int, Owner]] = {}
        self._launches: dict[int, tuple[Scratch, Owner, Owner]] = {}
        self._kept = False

    def replay(self, events: Iterable[Event], shift: int = 0) -> None:
        """Add these events, `shift` being added to their keys."""
        allocate, free, places, item = self._builder.allocate, self._builder.free, self._places, self._item_bytes
        scratch, pending = NOTHING, False
        activation = workspace = _INPUT
        for event in events:
            if isinstance(event, Birth):
                across = self._before(scratch, workspace) if pending else ()
                places[event.key + shift] = allocate(event.elements * item, activation)
                if pending:
                    self._after(scratch, across, workspace)
                    pending = False
            elif isinstance(event, Death):
                free(places.pop(event.key + shift))
            elif isinstance(event, Launch):
                scratch, activation, workspace = self._of(event)
                pending = scratch is not NOTHING
            else:
                self._pass(event)

    def _pass(self, event: Pass) -> None:
        """A pass in full, or where there were enough of its shape what it leaves behind."""
        builder, (done, rise) = self._builder, self._passes.get(event.shape, (0, 0))
        if self._repeats is None or done < self._repeats:
            begun, highest = builder.passing, builder.highest
            builder.highest = begun
            self.replay(event.events, event.shift)
            self._passes[event.shape] = (done + 1, builder.highest - begun)
            builder.highest = max(builder.highest, highest)
            return
        builder.left_out = max(builder.left_out, builder.passing + builder.kept + rise)
        size, owner = self._returned(event)
        self._places[event.output + event.shift] = builder.allocate(size, owner)

    def _returned(self, event: Pass) -> tuple[int, Owner]:
        """Bytes of what a pass of this shape returns, and whose it is."""
        known = self._results.get(event.shape)
        if known is None:
            births = self._births(event.events)
            known = self._results[event.shape] = next(told for key, told in births if key == event.output)
        return known

    def _births(self, events: Iterable[Launch | Birth | Death]) -> Iterator[tuple[int, tuple[int, Owner]]]:
        owner = _INPUT
        for event in events:
            if isinstance(event, Launch):
                owner = self._of(event)[1]
            elif isinstance(event, Birth):
                yield event.key, (event.elements * self._item_bytes, owner)

    def _before(self, scratch: Scratch, owner: Owner) -> Sequence[int]:
        """What comes before the output; what of it is still to be freed."""
        passing = [self._builder.allocate(size, owner) for size in scratch.before]
        across = [self._builder.allocate(size, owner) for size in scratch.across]
        self._free_all(reversed(passing))
        return across

    def _after(self, scratch: Scratch, across: Sequence[int], owner: Owner) -> None:
        if scratch.kept and not self._kept:
            self._kept = True
            for size in scratch.kept:
                self._builder.allocate(size, replace(owner, kind="library"))
        later = [self._builder.allocate(size, owner) for size in scratch.after]
        later += [self._builder.allocate(size, replace(owner, kind="buffer")) for size in scratch.buffers]
        self._free_all((*reversed(later), *across))

    def _free_all(self, places: Iterator[int] | Sequence[int]) -> None:
        for place in places:
            self._builder.free(place)

    def _of(self, launch: Launch) -> tuple[Scratch, Owner, Owner]:
        known = self._launches.get(id(launch))  # the trace holds it, and its hash takes longer than all else here
        if known is None:
            kernel = launch.kernel
            known = self._launches[id(launch)] = (
                NOTHING if kernel is None else self._backend.scratch(kernel, self._item_bytes),
                Owner(launch.module, launch.operator, "activation"),
                Owner(launch.module, launch.operator, "workspace"),
            )
        return known
