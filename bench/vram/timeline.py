"""The timeline of a call: which weights, inputs, activations and workspaces are alive when, in bytes.

`build` makes a timeline from a trace and a backend; `recording` makes one from recorded events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import msgspec

from bench.traces.events import Birth, Death, Event, Launch, Pass, Trace
from bench.vram.workspace import NOTHING, Backend, Scratch

#: workspace: optional, a kernel that needs less can replace this one. buffer: required. library: never freed.
Kind = Literal["weights", "input", "activation", "workspace", "buffer", "library"]


class Owner(msgspec.Struct, frozen=True, gc=False):
    """The owner of an allocation: the module's path, the operator, and the purpose."""

    module: str
    operator: str
    kind: Kind


#: The changes from which on repeated passes are left out of a timeline. A native clip of Wan 2.1 in tiles has 308,000:
#: about a second to build, and as long for each replay.
MOST_CHANGES = 350_000
_WEIGHTS = Owner("", "", "weights")
_INPUT = Owner("", "", "input")


@dataclass(frozen=True, slots=True)
class Timeline:
    """Allocations, and the order in which they are made and freed.

    Attributes:
        sizes: bytes of each allocation.
        owners: owner of each allocation.
        changes: indices into `sizes`: n if allocation n is made, ~n (that is, -n - 1) if it is freed.
        before: number of changes before the call: weights and input.
        left_out_bytes: peak of passes that were left out (see `build`); 0 if there are none.
    """

    sizes: tuple[int, ...]
    owners: tuple[Owner, ...]
    changes: tuple[int, ...]
    before: int
    left_out_bytes: int = 0

    def deltas(self) -> Iterator[tuple[int, int]]:
        """For each change the index of its allocation, and the bytes that it adds: negative if it is freed."""
        return ((n, self.sizes[n]) if n >= 0 else (~n, -self.sizes[~n]) for n in self.changes)

    def live(self) -> Iterator[int]:
        """Bytes alive after each change."""
        return accumulate(delta for _, delta in self.deltas())

    @property
    def peak_bytes(self) -> int:
        return max(self.live(), default=0)

    @property
    def peak_at(self) -> int:
        """The index of the change that reaches the peak; the first of several."""
        live = list(self.live())
        return live.index(max(live))

    def alive_at(self, change: int) -> tuple[int, ...]:
        """Indices of the allocations that are alive after a change, the largest first."""
        alive: dict[int, None] = {}
        for index in self.changes[: change + 1]:
            if index >= 0:
                alive[index] = None
            else:
                del alive[~index]
        return tuple(sorted(alive, key=lambda index: -self.sizes[index]))


class Builder:
    """Builds a timeline, one change after another."""

    def __init__(self, round_to: int = 1) -> None:
        self._round_to = round_to
        self._sizes: list[int] = []
        self._owners: list[Owner] = []
        self._changes: list[int] = []
        self._before = 0
        #: Live bytes now and at most (without what libraries keep), and what libraries keep.
        self.live_bytes = self.highest_bytes = self.kept_bytes = 0
        self.left_out_bytes = 0

    def allocate(self, size: int, owner: Owner) -> int:
        """Add an allocation, rounded up to `round_to`, and return its index."""
        index, rounded = len(self._sizes), -(-size // self._round_to) * self._round_to
        self._sizes.append(rounded)
        self._owners.append(owner)
        self._changes.append(index)
        if owner.kind == "library":
            self.kept_bytes += rounded
        else:
            self.live_bytes += rounded
            if self.live_bytes > self.highest_bytes:  # noqa: PLR1730 - `max` takes a third of the time of all this
                self.highest_bytes = self.live_bytes
        return index

    def allocate_all(self, sizes: Iterable[int], owner: Owner) -> None:
        """Add allocations of one owner that no library keeps."""
        step = self._round_to
        rounded = [-(-size // step) * step for size in sizes]
        self._changes += range(len(self._sizes), len(self._sizes) + len(rounded))
        self._owners += [owner] * len(rounded)
        self._sizes += rounded
        self.live_bytes += sum(rounded)
        self.highest_bytes = max(self.highest_bytes, self.live_bytes)

    def allocate_like(self, index: int) -> int:
        """Add an allocation of the same size and owner as an earlier one, and return its index."""
        return self.allocate(self._sizes[index], self._owners[index])

    def free(self, index: int) -> None:
        """Add the end of an allocation."""
        self._changes.append(~index)
        self.live_bytes -= self._sizes[index]

    @property
    def changes(self) -> int:
        """The number of changes so far."""
        return len(self._changes)

    def call_begins(self) -> None:
        """Mark the start of the call: all allocations so far precede it."""
        self._before = len(self._changes)

    def done(self) -> Timeline:
        return Timeline(
            tuple(self._sizes), tuple(self._owners), tuple(self._changes), self._before, self.left_out_bytes
        )


def build(
    trace: Trace,
    backend: Backend,
    item_bytes: int,
    round_to: int = 1,
    *,
    each_shape_once: bool = False,
    resident: Iterable[int] | None = None,
    held_bytes: int = 0,
) -> Timeline:
    """The timeline of a traced call with values of `item_bytes` and the workspaces of a backend.

    `round_to` is the allocator's granularity: 512 bytes for CUDA's, 1 for none. If `each_shape_once`, only the first
    of equal passes is included in full, and later ones only add what outlives them. That changes what is reserved if
    passes hand on caches, which come to lie elsewhere in each, so those are included in full up to `MOST_CHANGES`. In
    longer calls the later ones are left out too, and what is reserved may come out lower than it is: in videos by up
    to a sixth if nearly all are (Wan 2.1 and 2.2).

    `resident` are the bytes of each weight on the device if those are not just the traced model's, and `held_bytes` are
    those of other tensors that live through the call.
    """
    builder = Builder(round_to)
    own = (elements * item_bytes for elements in trace.weights)
    builder.allocate_all(own if resident is None else resident, _WEIGHTS)
    builder.allocate(trace.input_elements * item_bytes + held_bytes, _INPUT)
    builder.call_begins()
    _Call(builder, backend, item_bytes, each_shape_once=each_shape_once).replay(trace.events)
    return builder.done()


class _Call:
    """Replays the events of one call together with the backend's extra allocations."""

    def __init__(self, builder: Builder, backend: Backend, item_bytes: int, *, each_shape_once: bool) -> None:
        self._builder, self._backend, self._item_bytes = builder, backend, item_bytes
        self._each_shape_once = each_shape_once
        #: What a pass leaves, as indices by keys, and its height in bytes; by the identity of its events.
        self._passes: dict[int, tuple[dict[int, int], int]] = {}
        self._launches: dict[int, tuple[Scratch, Owner, Owner]] = {}
        self._kept = False

    def replay(self, events: Iterable[Event]) -> None:
        """Add the events of the call."""
        self._replay(events, {})

    def _replay(self, events: Iterable[Event], indices: dict[int, int]) -> None:
        """Add events. `indices` are those of the allocations that are alive, by their keys."""
        allocate, free, item = self._builder.allocate, self._builder.free, self._item_bytes
        scratch, pending = NOTHING, False
        activation = workspace = _INPUT
        for event in events:
            if isinstance(event, Birth):
                across = self._allocate_before(scratch, workspace) if pending else ()
                indices[event.key] = allocate(event.elements * item, activation)
                if pending:
                    self._allocate_after(scratch, across, workspace)
                    pending = False
            elif isinstance(event, Death):
                free(indices.pop(event.key))
            elif isinstance(event, Launch):
                scratch, activation, workspace = self._prepared(event)
                pending = scratch is not NOTHING
            else:
                left = self._pass(event, [indices.pop(key) for key in event.inherited])
                indices.update((key + event.shift, index) for key, index in left.items())

    def _pass(self, event: Pass, inherited: Sequence[int]) -> dict[int, int]:
        """Add a pass in full, or only what outlives it if it need not be repeated; return that, by its keys."""
        builder, known = self._builder, self._passes.get(id(event.events))
        if known is not None and self._is_left_out(event, known[0]):
            before, height = known
            builder.left_out_bytes = max(builder.left_out_bytes, builder.live_bytes + builder.kept_bytes + height)
            self._free_all(inherited)
            return {key: builder.allocate_like(index) for key, index in before.items()}
        initial_bytes, highest_bytes = builder.live_bytes, builder.highest_bytes
        builder.highest_bytes = initial_bytes
        left = {-number: index for number, index in enumerate(inherited, start=1)}
        self._replay(event.events, left)
        self._passes[id(event.events)] = left, builder.highest_bytes - initial_bytes
        builder.highest_bytes = max(builder.highest_bytes, highest_bytes)
        return left

    def _is_left_out(self, event: Pass, left: Mapping[int, int]) -> bool:
        """Whether a pass need not be repeated. `left` is what an equal one left."""
        hands_on = bool(event.inherited) or len(left) > 1
        return self._each_shape_once and not (hands_on and self._builder.changes < MOST_CHANGES)

    def _allocate_before(self, scratch: Scratch, owner: Owner) -> Sequence[int]:
        """Add the scratch before the output, and return the part that outlives the output's allocation."""
        temporary = [self._builder.allocate(size, owner) for size in scratch.before]
        across = [self._builder.allocate(size, owner) for size in scratch.across]
        self._free_all(reversed(temporary))
        return across

    def _allocate_after(self, scratch: Scratch, across: Sequence[int], owner: Owner) -> None:
        if scratch.kept and not self._kept:
            self._kept = True
            library = Owner(owner.module, owner.operator, "library")
            for size in scratch.kept:
                self._builder.allocate(size, library)
        later = [self._builder.allocate(size, owner) for size in scratch.after]
        later += [
            self._builder.allocate(size, msgspec.structs.replace(owner, kind="buffer")) for size in scratch.buffers
        ]
        self._free_all((*reversed(later), *across))

    def _free_all(self, indices: Iterator[int] | Sequence[int]) -> None:
        for index in indices:
            self._builder.free(index)

    def _prepared(self, launch: Launch) -> tuple[Scratch, Owner, Owner]:
        """A launch's scratch, and the owners of its output and of its workspace."""
        known = self._launches.get(id(launch))  # by id, because hashing a launch is slow and the trace keeps it alive
        if known is None:
            kernel = launch.kernel
            known = self._launches[id(launch)] = (
                NOTHING if kernel is None else self._backend.scratch(kernel, self._item_bytes),
                Owner(launch.module, launch.operator, "activation"),
                Owner(launch.module, launch.operator, "workspace"),
            )
        return known
