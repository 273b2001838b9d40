"""Records of one run against each other: larger cases take more, equal samples are copies, one card has one speed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from bench.analysis.plausibility.copied_samples import Samples
from bench.analysis.plausibility.expected_figures import DOUBTFUL_TIMES, achieved_s
from bench.analysis.plausibility.finding import Expect, Finding, Subject
from bench.analysis.plausibility.sample_statistics import called_s
from bench.core.units import format_bytes, format_seconds
from bench.record import Case, Measured, OutOfMemory, Record, alike_but_for, grouped

#: How far a case's speed may be from that of the others of its run, as a factor. Of the docs' figures and the committed
#: runs of a CPU it is at most 1.8 (tests keep that). Only a GPU's case that is too quick is refused, and only if it is
#: so by the prediction too: any may be slowed down, most of a run too, and a processor, which other programs use too,
#: is slow at small cases: beyond the second it is doubtful.
_DOUBTFUL_SPEED, _REFUSED_SPEED = 2.0, 3.0
_LEAST_CASES = 4
#: A larger case may be this much quicker by noise, or by kernels that suit it better.
_QUICKER = 1.3
#: Peaks of a larger case may be this much lower: kernels with other workspaces (assumed).
_LOWER = 1.25
#: Once a model is loaded, a case's time besides its calls does not grow with them.
_MOSTLY_CALLS = 2.5
#: The most cases of which each is compared with every other; of more, only those next in size.
_MOST_COMPARED = 300
_AXES = ("width", "height", "frames", "batch", "tokens")
_SIBLINGS = "other records of the run"


def check(records: Sequence[Record], expect: Expect) -> Iterator[Finding]:
    """Measured records of a bundle, run by run."""
    for run in grouped(records, lambda record: (record.run.id, record.device.name, record.device.identity)):
        local = [record for record in run if record.remote is None]
        yield from _copies(local)
        yield from _speeds(local, expect)
        yield from _sizes(local)
        yield from _besides(local)


def _copies(records: Sequence[Record]) -> Iterator[Finding]:
    """Samples that another case has too. Some equal times may happen; most of them do not."""
    seen = Samples()
    for record in records:
        for timing in (stage.timing for stage in record.stages if stage.timing is not None):
            copied = seen.copied(timing)
            if copied is not None:
                figure = f"{copied[0]} of its {len(timing.samples_s)} samples"
                bound = f"{Subject.of(copied[1]).where} has the same"
                yield Subject.of(record).refuse("copied samples", figure, bound, _SIBLINGS)
        seen.add(record)


def _speeds(records: Sequence[Record], expect: Expect) -> Iterator[Finding]:
    """A case whose time does not go with that of the others, by what each should take."""
    timed = []
    for record in records:
        seconds, timing = achieved_s(record, expect(record)), record.timing
        if seconds and timing is not None and isinstance(record.outcome, Measured) and timing.median_s > 0:
            timed.append((record, timing.median_s / seconds))
    for group in grouped(timed, lambda pair: (pair[0].case.model, pair[0].case.dtype, pair[0].case.variant)):
        if len(group) < _LEAST_CASES:
            continue
        usual = statistics.median(ratio for _, ratio in group)
        for record, ratio in group:
            factor = max(ratio / usual, usual / ratio)
            is_cuda = record.device.kind == "cuda"
            if factor > (_DOUBTFUL_SPEED if is_cuda else _REFUSED_SPEED):
                is_quicker = ratio < usual
                is_refused = is_quicker and factor > _REFUSED_SPEED and is_cuda and ratio * DOUBTFUL_TIMES < 1
                make = Subject.of(record).refuse if is_refused else Subject.of(record).doubt
                word = "quicker" if is_quicker else "slower"
                timing = record.timing
                figure = f"median_s is {format_seconds(timing.median_s if timing else None)}"
                bound = f"that is {factor:.1f} times {word} than the other {len(group) - 1} cases for their size"
                yield make("speed", figure, bound, _SIBLINGS)


def _area(case: Case) -> int:
    return case.axes.product(*(axis for axis in _AXES if axis in case.axes))


def _sizes(records: Sequence[Record]) -> Iterator[Finding]:
    """Pairs of cases that differ in size alone."""
    for group in grouped(records, lambda record: alike_but_for(record.case, *_AXES)):
        is_small = len(group) <= _MOST_COMPARED
        for first, second in combinations(group, 2) if is_small else pairwise(sorted(group, key=_area_of)):
            small, large = (first, second) if _area(first.case) < _area(second.case) else (second, first)
            if _is_larger(small.case, large.case):
                yield from _pair(small, large)


def _area_of(record: Record) -> int:
    return _area(record.case)


def _is_larger(small: Case, large: Case) -> bool:
    axes = small.axes.keys() & large.axes.keys()
    return _area(small) < _area(large) and all(small.axes[axis] <= large.axes[axis] for axis in axes)


def _pair(small: Record, large: Record) -> Iterator[Finding]:
    if isinstance(small.outcome, OutOfMemory) and isinstance(large.outcome, Measured) and small.case.tile is None:
        bound = f"{Subject.of(large).where} is larger and was measured"
        yield Subject.of(small).doubt("order of sizes", "the outcome is out_of_memory", bound, _SIBLINGS)
    quick, slow = large.timing, small.timing
    if quick is not None and slow is not None and quick.median_s * _QUICKER < min(slow.samples_s, default=0.0):
        bound = f"{Subject.of(small).where} is smaller and took {format_seconds(min(slow.samples_s))} or more"
        figure = f"median_s is {format_seconds(quick.median_s)}"
        yield Subject.of(large).doubt("order of sizes", figure, bound, _SIBLINGS)
    less, more = _allocated(large), _allocated(small)
    if less is not None and more is not None and less * _LOWER < more:
        bound = f"{Subject.of(small).where} is smaller and has {format_bytes(more)}"
        figure = f"peak_allocated_bytes is {format_bytes(less)}"
        yield Subject.of(large).doubt("order of sizes", figure, bound, _SIBLINGS)


def _allocated(record: Record) -> int | None:
    """Peak allocated; of a case in tiles it hardly depends on the size."""
    memory = record.memory
    return None if memory is None or record.case.tile is not None else memory.peak_allocated_bytes


def _besides(records: Sequence[Record]) -> Iterator[Finding]:
    """Time that cases took besides their calls, if it grows with the calls: then the calls took longer than listed."""
    shares = []
    for before, record in pairwise(records):
        is_loaded = alike_but_for(before.case, "axes", "operation", "tiling") == alike_but_for(
            record.case, "axes", "operation", "tiling"
        )
        calls_s = called_s(record)
        if is_loaded and isinstance(before.outcome, Measured) and record.wall_s and calls_s > 1.0:
            shares.append((record.wall_s / calls_s, record))
    if len(shares) >= _LEAST_CASES and (usual := statistics.median(share for share, _ in shares)) > _MOSTLY_CALLS:
        record = shares[0][1]
        figure = f"wall_s is {usual:.1f} times the calls of most of {len(shares)} cases"
        bound = "once a model is loaded, a case takes little besides its calls"
        where = f"run {record.run.id}"
        yield Finding("doubtful", "time besides calls", where, figure, bound, "wall_s and samples_s")
