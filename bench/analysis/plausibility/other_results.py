"""Records against those of the same card that are in the results already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.analysis.plausibility.copied_samples import Samples
from bench.analysis.plausibility.finding import Facts, Finding, Subject, case_on_device
from bench.core.units import format_bytes, format_seconds
from bench.record import Record, grouped

#: How far a time may be from that of an earlier run, as a factor (assumed: other versions, another power limit).
_DOUBTFUL_TIMES = 1.5
#: Peak allocated is exact; versions of torch differ a little (assumed: 5%).
_DOUBTFUL_MEMORY = 1.05
_KNOWN = "the results that are here already"


def check(records: Sequence[Record], facts: Facts) -> Iterator[Finding]:
    """Each case against the same case on this card, and its card's identity against names."""
    for record in records:
        for earlier in facts.known.get(case_on_device(record), ()):
            if earlier.key != record.key:
                yield from _compared(Subject.of(record), earlier)
    yield from _identities(records, facts)


def _compared(subject: Subject, earlier: Record) -> Iterator[Finding]:
    record = subject.record
    if _is_copy(record, earlier):
        figure, bound = "most of its samples", f"run {earlier.run.id} has the same"
        yield subject.refuse("copied samples", figure, bound, _KNOWN)
        return
    if record.timing is not None and earlier.timing is not None and earlier.timing.median_s > 0:
        ratio = record.timing.median_s / earlier.timing.median_s
        if max(ratio, 1 / ratio if ratio else float("inf")) > _DOUBTFUL_TIMES:
            figure = f"median_s is {format_seconds(record.timing.median_s)}"
            bound = f"run {earlier.run.id} has {format_seconds(earlier.timing.median_s)}"
            yield subject.doubt("earlier results", figure, bound, _KNOWN)
    peaks = [each.memory.peak_allocated_bytes if each.memory else None for each in (record, earlier)]
    if peaks[0] and peaks[1] and max(peaks[0] / peaks[1], peaks[1] / peaks[0]) > _DOUBTFUL_MEMORY:
        figure = f"peak_allocated_bytes is {format_bytes(peaks[0])}"
        yield subject.doubt("earlier results", figure, f"run {earlier.run.id} has {format_bytes(peaks[1])}", _KNOWN)


def _is_copy(record: Record, earlier: Record) -> bool:
    """Whether most samples of a stage are those of an earlier record, in whatever order."""
    samples = Samples()
    samples.add(earlier)
    return any(samples.copied(stage.timing) for stage in record.stages if stage.timing is not None)


def _whole_card(name: str) -> str:
    """A card's name without its maker, which older drivers left out, and without its slice (MIG), which may change."""
    return name.removeprefix("NVIDIA ").partition(" MIG ")[0]


def _identities(records: Sequence[Record], facts: Facts) -> Iterator[Finding]:
    """One card with two names: an identity is that of a UUID, which no two cards share."""
    earlier = {key[2]: key[1] for key in facts.known if key[2] is not None}
    named: dict[str, str] = {}
    for record in (run[0] for run in grouped(records, lambda each: (each.device.identity, each.device.name))):
        identity, name = record.device.identity, record.device.name
        if identity is None:
            continue
        for other, source in ((named.setdefault(identity, name), "the bundle"), (earlier.get(identity, name), _KNOWN)):
            if _whole_card(other) != _whole_card(name):
                figure = f"the card {identity} is {name!r}"
                yield Subject.of(record).refuse("identity", figure, f"it is {other!r} elsewhere", source)
