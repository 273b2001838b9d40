"""Analyses a timeline: its peak, what is alive there, the stages of the call, and the layers of a plot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import Literal

from bench.record import Case
from bench.vram.timeline import Kind, Owner, Timeline

#: The stage of work outside all submodules: joining tiles, a distribution's mode.
ITSELF = "(the model itself)"
WORKSPACES = "workspaces"
#: Extra memory of kernels besides their tensors.
SCRATCH: tuple[Kind, ...] = ("workspace", "buffer", "library")
OTHER = "other"
#: Relative difference up to which predicted and measured peaks agree.
AGREES = 0.02
_LARGEST = 10
#: Layers of a plot besides weights, workspaces and `other`; columns of a plot.
_LAYERS, _COLUMNS = 6, 2000
#: How many modules of one timeline to skip in search of one that both have.
_LOOKAHEAD = 8


@dataclass(frozen=True, slots=True)
class Held:
    """An allocation that is alive at the peak, or all weights together."""

    bytes: int
    owner: Owner
    count: int = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the model and the peak of live bytes while it runs."""

    name: str
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The analysis of a timeline.

    Attributes:
        timeline: the timeline.
        peak_bytes: peak of the live bytes, including weights and input.
        peak_at: index of the change that reaches the peak.
        at: owner of that allocation.
        kinds: bytes at the peak by kind.
        largest: the ten largest allocations at the peak; all weights count as one.
        stages: stages in the order in which they begin.
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
        """Bytes of weights and input, which exist before the call."""
        return sum(self.timeline.sizes[index] for index in self.timeline.changes[: self.timeline.before])


@dataclass(frozen=True, slots=True)
class Profiled:
    """The predicted profile of a case, and the measured one if it was run.

    Attributes:
        case: the case.
        device: the kind of device that the prediction is for.
        kernels: description of the kernels whose workspaces are predicted.
        predicted, measured: the profiles.
        measured_on: name of the measured device.
        allocated_bytes: measured peak by the allocator's own counter, if it has one.
        stand_in: name of the test double that replaced the measured device; None if the device was real.
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
        """Predicted peak over measured peak, minus 1; None if nothing was measured."""
        if self.measured is None:
            return None
        return (self.predicted.peak_bytes - self.measured.peak_bytes) / self.measured.peak_bytes

    @property
    def agree(self) -> bool | None:
        """Whether both peaks are within 2%; None if nothing was measured."""
        return None if self.error is None else abs(self.error) <= AGREES


@dataclass(frozen=True, slots=True)
class Layers:
    """Live bytes by group at some changes of the call; the first group is at the bottom.

    Attributes:
        names: names of the groups.
        at: numbers of changes since the call began.
        live: for each group its bytes at each of `at`.
    """

    names: tuple[str, ...]
    at: tuple[int, ...]
    live: tuple[tuple[int, ...], ...]


def profile(timeline: Timeline) -> Profile:
    peak_at = timeline.peak_at
    indices = timeline.alive_at(peak_at)
    kinds: Counter[Kind] = Counter()
    for index in indices:
        kinds[timeline.owners[index].kind] += timeline.sizes[index]
    return Profile(
        timeline, sum(kinds.values()), peak_at, at_work(timeline)[peak_at], dict(kinds), _held(timeline, indices),
        _stages(timeline),
    )  # fmt: skip


def at_work(timeline: Timeline) -> list[Owner]:
    """The owner that is running at each change: that of the latest allocation."""
    owners: list[Owner] = []
    for index in timeline.changes:
        owners.append(timeline.owners[index] if index >= 0 else owners[-1])
    return owners


def stage_of(module: str) -> str:
    """The part of the model that contains a module: `decoder.up_blocks.3`, `decoder.mid_block`, `post_quant_conv`."""
    parts = module.split(".")
    return ".".join(parts[: 3 if len(parts) > 2 and parts[2].isdigit() else 2]) or ITSELF


def group_of(owner: Owner) -> str:
    """The plot's layer for an allocation."""
    if owner.kind in SCRATCH:
        return WORKSPACES
    return owner.kind if owner.kind != "activation" else stage_of(owner.module)


def layers(timeline: Timeline, columns: int = _COLUMNS) -> Layers:
    """Live bytes of weights, the groups with the highest peaks, all other groups together, and workspaces.

    With more changes than `columns`, each column shows its change with the most live bytes.
    """
    names = _names(timeline)
    row = {name: number for number, name in enumerate(names)}
    rows = [row.get(group_of(owner), row.get(OTHER, 0)) for owner in timeline.owners]
    live = [0] * len(names)
    live_at: dict[int, tuple[int, ...]] = {0: tuple(live)}
    shown = {0, *_columns_to_draw(timeline, columns)}
    for number, (index, delta) in enumerate(timeline.deltas(), start=1 - timeline.before):
        live[rows[index]] += delta
        if number in shown:
            live_at[number] = tuple(live)
    return Layers(names, tuple(live_at), tuple(zip(*live_at.values(), strict=True)))


def live_bytes_of_call(timeline: Timeline) -> list[int]:
    """Live bytes at the start of the call and after each of its changes."""
    before = timeline.before
    live = list(timeline.live())
    return [live[before - 1] if before else 0, *live[before:]]


def aligned_positions(timeline: Timeline, other: Timeline) -> list[float]:
    """The position in `other`'s call that corresponds to the start and to each change of `timeline`'s call.

    Positions are numbers of changes. Both timelines are of the same case, so modules come in the same order, although
    one may have more allocations in a module. The points at which both enter the same module correspond; positions in
    between are interpolated.
    """
    anchors = [(0, 0), *_anchors(_runs(timeline), _runs(other))]
    end = (len(timeline.changes) - timeline.before, len(other.changes) - other.before)
    positions = [0.0]
    for (start, other_start), (stop, other_stop) in pairwise([*anchors, end]):
        length, other_length = stop - start, other_stop - other_start
        positions += [other_start + other_length * (n + 1) / length for n in range(length)]
    return positions


def steps(timeline: Timeline, least_bytes: int) -> list[int]:
    """The number of changes of at least `least_bytes` so far, at the start of the call and after each change."""
    changes = islice(timeline.deltas(), timeline.before, None)
    return list(accumulate((abs(delta) >= least_bytes for _, delta in changes), initial=0))


def stage_starts(timeline: Timeline) -> list[tuple[str, int]]:
    """The stages in the order in which they run, each with the number of the change at which it begins."""
    return _runs(timeline, stage_of)


def _held(timeline: Timeline, indices: Sequence[int]) -> tuple[Held, ...]:
    held = [Held(timeline.sizes[index], timeline.owners[index]) for index in indices]
    weights = [allocation.bytes for allocation in held if allocation.owner.kind == "weights"]
    held = [allocation for allocation in held if allocation.owner.kind != "weights"]
    if weights:
        held.append(Held(sum(weights), Owner("", "", "weights"), len(weights)))
    return tuple(sorted(held, key=lambda allocation: -allocation.bytes)[:_LARGEST])


def _stages(timeline: Timeline) -> tuple[Stage, ...]:
    peaks: dict[str, int] = {}
    for owner, alive in islice(zip(at_work(timeline), timeline.live(), strict=True), timeline.before, None):
        name = stage_of(owner.module)
        peaks[name] = max(peaks.get(name, 0), alive)
    return tuple(Stage(name, peak) for name, peak in peaks.items())


def _names(timeline: Timeline) -> tuple[str, ...]:
    """The groups to draw: weights, the largest in the order in which they begin, others, workspaces."""
    most: dict[str, int] = {}
    live: Counter[str] = Counter()
    for index, delta in timeline.deltas():
        group = group_of(timeline.owners[index])
        live[group] += delta
        most[group] = max(most.get(group, 0), live[group])
    free = [name for name in most if name not in {"weights", WORKSPACES}]
    kept = set(sorted(free, key=lambda name: -most[name])[:_LAYERS])
    return (
        *(["weights"] if "weights" in most else []),
        *(name for name in free if name in kept),
        *([OTHER] if len(free) > len(kept) else []),
        *([WORKSPACES] if WORKSPACES in most else []),
    )


def _columns_to_draw(timeline: Timeline, columns: int) -> Iterator[int]:
    """The changes to show: in each column the one with the most live bytes, and the very last."""
    live = live_bytes_of_call(timeline)[1:]
    width = max(1, -(-len(live) // columns))
    for start in range(0, len(live), width):
        yield 1 + max(range(start, min(start + width, len(live))), key=live.__getitem__)
    yield len(live)


def _runs(timeline: Timeline, name: Callable[[str], str] = str) -> list[tuple[str, int]]:
    """Modules in the order in which they allocate, each with the number of the change at which it starts to."""
    runs: list[tuple[str, int]] = []
    for number, index in enumerate(timeline.changes[timeline.before :]):
        if index >= 0 and (not runs or runs[-1][0] != name(timeline.owners[index].module)):
            runs.append((name(timeline.owners[index].module), number))
    return runs


def _anchors(first: Sequence[tuple[str, int]], second: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """The changes at which both timelines enter the same module, in order."""
    m = n = 0
    while m < len(first) and n < len(second):
        for skip in range(_LOOKAHEAD + 1):
            if m + skip < len(first) and first[m + skip][0] == second[n][0]:
                m += skip
                break
            if n + skip < len(second) and first[m][0] == second[n + skip][0]:
                n += skip
                break
        else:
            m, n = m + 1, n + 1
            continue
        yield first[m][1], second[n][1]
        m, n = m + 1, n + 1
