"""What a timeline shows: its peak and where that is, what is alive there, the stages of the call, and layers to draw.

Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from bench.record import Case
from bench.vram.timeline import Kind, Owner, Timeline

#: What is made outside of all parts of the model: tiles joined, a distribution's mode.
ITSELF = "(the model itself)"
WORKSPACES = "workspaces"
#: What kernels take besides tensors.
SCRATCH: tuple[Kind, ...] = ("workspace", "buffer", "library")
OTHER = "other"
#: A prediction and a measurement whose peaks are no further apart than this share are said to agree.
AGREES = 0.02
_LARGEST = 10
#: Layers of a plot besides weights, workspaces and the others'; columns of a plot.
_LAYERS, _COLUMNS = 6, 2000
#: How many runs one side may have that the other has not, before both are passed over.
_LOOKAHEAD = 8


@dataclass(frozen=True, slots=True)
class Held:
    """What is alive at the peak: one allocation, or all weights in one."""

    bytes: int
    owner: Owner
    count: int = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the model, and the most that is alive while it is at work."""

    name: str
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A timeline and what it shows.

    Attributes:
        timeline: all of it.
        peak_bytes: the most that is alive at once, weights and input included.
        peak_at: the change after which it is.
        at: whose that change is: who allocates when the peak is reached.
        kinds: bytes at the peak of each kind.
        largest: what is largest at the peak, at most ten; the weights are one.
        stages: in the order in which they begin.
    """

    timeline: Timeline
    peak_bytes: int
    peak_at: int
    at: Owner
    kinds: dict[Kind, int]
    largest: tuple[Held, ...]
    stages: tuple[Stage, ...]

    @property
    def before_bytes(self) -> int:
        """What is there before the call: weights and input."""
        return sum(self.timeline.sizes[place] for place in self.timeline.changes[: self.timeline.before])


@dataclass(frozen=True, slots=True)
class Profiled:
    """A case's profile as it is predicted, and where it was run as it was.

    Attributes:
        case: which.
        device: where it computes, or would.
        kernels: whose workspaces are predicted, in words.
        predicted, measured: the profiles.
        measured_on: the device's name.
        allocated_bytes: the measured peak by the allocator's own counter, where it has one.
        stand_in: what took the place of the device that was measured, in a test; None if that was real.
    """

    case: Case
    device: Literal["cpu", "cuda"]
    kernels: str
    predicted: Profile
    measured: Profile | None = None
    measured_on: str | None = None
    allocated_bytes: int | None = None
    stand_in: str | None = None

    @property
    def error(self) -> float | None:
        """How far the predicted peak is above the measured one, as a share of that; None where nothing was measured."""
        if self.measured is None:
            return None
        return (self.predicted.peak_bytes - self.measured.peak_bytes) / self.measured.peak_bytes

    @property
    def agree(self) -> bool | None:
        """Whether the two are within 2%; None where nothing was measured."""
        return None if self.error is None else abs(self.error) <= AGREES


@dataclass(frozen=True, slots=True)
class Layers:
    """Live bytes by group, the first at the bottom, at some changes of the call.

    Attributes:
        names: of the groups.
        at: counts of changes since the call began.
        live: of each group its bytes, at each of `at`.
    """

    names: tuple[str, ...]
    at: tuple[int, ...]
    live: tuple[tuple[int, ...], ...]


def profile(timeline: Timeline) -> Profile:
    """What the timeline shows."""
    peak_at = timeline.peak_at
    places = timeline.alive_at(peak_at)
    kinds: Counter[Kind] = Counter()
    for place in places:
        kinds[timeline.owners[place].kind] += timeline.sizes[place]
    return Profile(
        timeline, sum(kinds.values()), peak_at, at_work(timeline)[peak_at], dict(kinds), _held(timeline, places),
        _stages(timeline),
    )  # fmt: skip


def at_work(timeline: Timeline) -> list[Owner]:
    """Who is at work at each change: the owner of the latest allocation."""
    found: list[Owner] = []
    for place in timeline.changes:
        found.append(timeline.owners[place] if place >= 0 else found[-1])
    return found


def stage_of(module: str) -> str:
    """The part of the model that a module is in: `decoder.up_blocks.3`, `decoder.mid_block`, `post_quant_conv`."""
    parts = module.split(".")
    return ".".join(parts[: 3 if len(parts) > 2 and parts[2].isdigit() else 2]) or ITSELF


def group_of(owner: Owner) -> str:
    """The layer of a plot that an allocation is in."""
    if owner.kind in SCRATCH:
        return WORKSPACES
    return owner.kind if owner.kind != "activation" else stage_of(owner.module)


def layers(timeline: Timeline, columns: int = _COLUMNS) -> Layers:
    """Live bytes of weights, the groups that reach most, all others as one, and workspaces.

    Of more than so many changes each column shows that of its changes at which the most is alive.
    """
    names = _names(timeline)
    row = {name: number for number, name in enumerate(names)}
    rows = [row.get(group_of(owner), row.get(OTHER, 0)) for owner in timeline.owners]
    live = [0] * len(names)
    for place in timeline.changes[: timeline.before]:
        live[rows[place]] += timeline.sizes[place]
    at, found = [0], [tuple(live)]
    shown = set(_shown(timeline, columns))
    for number, place in enumerate(timeline.changes[timeline.before :], start=1):
        if place >= 0:
            live[rows[place]] += timeline.sizes[place]
        else:
            live[rows[~place]] -= timeline.sizes[~place]
        if number in shown:
            at.append(number)
            found.append(tuple(live))
    return Layers(names, tuple(at), tuple(zip(*found, strict=True)))


def call_live(timeline: Timeline) -> list[int]:
    """Bytes alive when the call begins and after each change of it."""
    before = timeline.before
    live = list(timeline.live())
    return [live[before - 1] if before else 0, *live[before:]]


def laid_over(timeline: Timeline, other: Timeline) -> list[float]:
    """Where in `other`'s call `timeline`'s is, for its beginning and each change: counts of the other's changes.

    Both are of the same case, so modules come in the same order, though one may see more allocations in a module than
    the other. Where both enter the same module is the same place; between such places it is as far along in both.
    """
    anchors = [(0, 0), *_anchors(_runs(timeline), _runs(other))]
    end = (len(timeline.changes) - timeline.before, len(other.changes) - other.before)
    found = [0.0]
    for (start, onto), (stop, until) in pairwise([*anchors, end]):
        found += [onto + (until - onto) * (n + 1) / (stop - start) for n in range(stop - start)]
    return found


def steps(timeline: Timeline, least_bytes: int) -> list[int]:
    """How many changes of at least so many bytes there were, when the call begins and after each of its changes."""
    sizes = (timeline.sizes[max(place, ~place)] for place in timeline.changes[timeline.before :])
    return list(accumulate((size >= least_bytes for size in sizes), initial=0))


def visits(timeline: Timeline) -> list[tuple[str, int]]:
    """The parts of the model in the order in which they work, each with the change of the call at which it begins."""
    return _runs(timeline, stage_of)


def _held(timeline: Timeline, places: Sequence[int]) -> tuple[Held, ...]:
    weights, held = [], []
    for place in places:
        owner, size = timeline.owners[place], timeline.sizes[place]
        if owner.kind == "weights":
            weights.append(size)
        else:
            held.append(Held(size, owner))
    if weights:
        held.append(Held(sum(weights), Owner("", "", "weights"), len(weights)))
    return tuple(sorted(held, key=lambda one: -one.bytes)[:_LARGEST])


def _stages(timeline: Timeline) -> tuple[Stage, ...]:
    peaks: dict[str, int] = {}
    live = list(timeline.live())
    for owner, alive in list(zip(at_work(timeline), live, strict=True))[timeline.before :]:
        name = stage_of(owner.module)
        peaks[name] = max(peaks.get(name, 0), alive)
    return tuple(Stage(name, peak) for name, peak in peaks.items())


def _names(timeline: Timeline) -> tuple[str, ...]:
    """The groups to draw, in the order in which they begin, and the fixed ones around them."""
    most: dict[str, int] = {}
    live: Counter[str] = Counter()
    for place in timeline.changes:
        if place >= 0:
            group = group_of(timeline.owners[place])
            live[group] += timeline.sizes[place]
            most[group] = max(most.get(group, 0), live[group])
        else:
            live[group_of(timeline.owners[~place])] -= timeline.sizes[~place]
    free = [name for name in most if name not in {"weights", WORKSPACES}]
    kept = set(sorted(free, key=lambda name: -most[name])[:_LAYERS])
    return (
        *(["weights"] if "weights" in most else []),
        *(name for name in free if name in kept),
        *([OTHER] if len(free) > len(kept) else []),
        *([WORKSPACES] if WORKSPACES in most else []),
    )


def _shown(timeline: Timeline, columns: int) -> Iterator[int]:
    """Which changes are shown: of each column that at which the most is alive, and the last of all."""
    live = call_live(timeline)[1:]
    width = max(1, -(-len(live) // columns))
    for start in range(0, len(live), width):
        yield 1 + max(range(start, min(start + width, len(live))), key=live.__getitem__)
    yield len(live)


def _runs(timeline: Timeline, name: Callable[[str], str] = str) -> list[tuple[str, int]]:
    """Modules in the order in which they allocate, each with the change of the call at which it begins to."""
    found: list[tuple[str, int]] = []
    for number, place in enumerate(timeline.changes[timeline.before :]):
        if place >= 0 and (not found or found[-1][0] != name(timeline.owners[place].module)):
            found.append((name(timeline.owners[place].module), number))
    return found


def _anchors(mine: Sequence[tuple[str, int]], other: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """The changes at which both enter the same module, in order."""
    m = n = 0
    while m < len(mine) and n < len(other):
        for skip in range(_LOOKAHEAD + 1):
            if m + skip < len(mine) and mine[m + skip][0] == other[n][0]:
                m += skip
                break
            if n + skip < len(other) and mine[m][0] == other[n + skip][0]:
                n += skip
                break
        else:
            m, n = m + 1, n + 1
            continue
        yield mine[m][1], other[n][1]
        m, n = m + 1, n + 1
