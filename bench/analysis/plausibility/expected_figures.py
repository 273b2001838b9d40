"""Figures of a record against those that follow from its case and card: operations, weights, memory, time."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.plausibility.finding import Expected, ExpectedTime, Finding, Subject, differs
from bench.core.units import MIB, format_bytes, format_metric, format_seconds
from bench.record import Ceilings, Memory, Prediction, Record, Stage

_TRACE = "the trace of the call"
_PREDICT = "`bench predict`"
_RATES = "configs/gpus.yaml"
_MODEL = "the model of times (reports/time_model.md)"
#: Cards run somewhat above the rated boost clock. Beyond the first that is doubtful, beyond the second refused. The
#: docs' figures are 1.4 to 2.8 times the time of the products at the rated rates (tests keep that).
_ABOVE_RATED, _FAR_ABOVE_RATED = 1.0, 1.15
#: How many times the predicted time, to either side, is doubtful, and on the quick side refused. The docs' figures are
#: 0.92 to 1.22 times what the model gives within its fit. The slow side is never refused: a card may be throttled.
DOUBTFUL_TIMES, _REFUSED_TIMES, _DOUBTFUL_SLOW = 1.6, 2.5, 3.0
#: The same beyond the range where the case goes beyond the fit.
_DOUBTFUL_BEYOND, _REFUSED_BEYOND = 1.1, 2.0
#: Other versions of diffusers compute a model a little differently (assumed: at most 5%).
_OTHER_VERSION = 0.05
#: Peak allocated has no band: live tensors are a lower bound (assumed: 2% for other versions of torch), and kernels
#: with the largest workspaces an upper one (assumed: twice).
_BELOW_LIVE, _FAR_BELOW_LIVE, _ABOVE_TAKEN = 0.98, 0.9, 2.0
#: How far peak reserved may be outside its predicted band (the docs' figures: within it).
_DOUBTFUL_RESERVED = 1.3
#: A resident set grows by the live tensors, less what the heap had free and what was swapped out. In the committed runs
#: of a CPU that is at least 0.98 times the live tensors; a machine that swaps, or another allocator, may give half.
_OF_LIVE, _FAR_OF_LIVE, _REUSED_BYTES = 0.9, 0.4, 8 * MIB
#: A ceiling is a large matrix product that was measured, at another moment. Convolutions by Winograd's algorithm take
#: up to 2.25 times fewer operations than are counted, and a GPU may have been slowed down then, by a battery, say.
_ABOVE_CEILING, _FAR_ABOVE_CEILING = 1.3, {"cpu": 2.5, "cuda": 4.0}


def check(subject: Subject, expected: Expected, ceilings: Ceilings | None) -> Iterator[Finding]:
    """What follows from the case, what is predicted, and what a device's measured ceilings allow."""
    record = subject.record
    if len(record.stages) != 1 or record.remote is not None:
        return
    (stage,) = record.stages
    yield from _exact(subject, stage, expected)
    if stage.memory is not None and expected.live_bytes is not None:
        if record.device.kind == "cuda" and expected.memory is not None:
            yield from _memory(subject, stage.memory, expected.memory, expected.live_bytes)
        elif record.device.kind == "cpu" and expected.weights_bytes is not None:
            yield from _host_memory(subject, stage.memory, expected.live_bytes - expected.weights_bytes)
    if record.environment is not None and record.environment.stand_in is not None:
        return  # its times are not the device's
    if expected.time is not None and record.timing is not None and record.timing.samples_s:
        yield from _time(subject, expected.time)
    elif ceilings is not None and record.timing is not None and record.timing.samples_s and stage.flops:
        yield from _ceiling(subject, ceilings, stage.flops / max(min(record.timing.samples_s), 1e-9))


def _exact(subject: Subject, stage: Stage, expected: Expected) -> Iterator[Finding]:
    if expected.flops is not None and stage.flops is not None and differs(stage.flops, expected.flops):
        figure = f"flops are {format_metric('flops', stage.flops)}"
        make = subject.refuse if differs(stage.flops, expected.flops, _OTHER_VERSION) else subject.doubt
        yield make("operations", figure, f"it takes {format_metric('flops', expected.flops)}", _TRACE)
    if expected.has_tiles and stage.tiles != expected.tiles and (stage.tiles is not None or expected.tiles is None):
        yield subject.refuse("tiles", f"tiles are {stage.tiles}", f"a call computes {expected.tiles}", "the case")
    weights = stage.memory.weights_bytes if stage.memory is not None else None
    known = expected.weights_bytes
    if known is None or weights is None or not differs(weights, known, 0.01):
        return
    make = subject.refuse if subject.record.case.weights == "random" else subject.doubt
    figure = f"weights_bytes is {format_bytes(weights)}"
    yield make("weights", figure, f"the model has {format_bytes(known)}", _TRACE)


def _memory(subject: Subject, memory: Memory, predicted: Prediction, live: int) -> Iterator[Finding]:
    allocated, reserved = memory.peak_allocated_bytes, memory.peak_reserved_bytes
    taken = predicted.taken_allocated_bytes
    if allocated is not None and allocated < _BELOW_LIVE * live:
        make = subject.refuse if allocated < _FAR_BELOW_LIVE * live else subject.doubt
        figure = f"peak_allocated_bytes is {format_bytes(allocated)}"
        yield make("peak allocated", figure, f"live tensors alone take {format_bytes(live)}", _PREDICT)
    elif allocated is not None and allocated > _ABOVE_TAKEN * taken:
        figure = f"peak_allocated_bytes is {format_bytes(allocated)}"
        yield subject.doubt("peak allocated", figure, f"it takes about {format_bytes(taken)}", _PREDICT)
    if reserved is None:
        return
    low, high = min(predicted.reserved_low_bytes, live), predicted.reserved_high_bytes
    figure = f"peak_reserved_bytes is {format_bytes(reserved)}"
    if reserved < _FAR_BELOW_LIVE * live:
        yield subject.refuse("peak reserved", figure, f"live tensors alone take {format_bytes(live)}", _PREDICT)
    elif not low / _DOUBTFUL_RESERVED <= reserved <= high * _DOUBTFUL_RESERVED:
        bound = f"it reserves {format_bytes(predicted.reserved_low_bytes)} to {format_bytes(high)}"
        yield subject.doubt("peak reserved", figure, bound, _PREDICT)


def _host_memory(subject: Subject, memory: Memory, live: int) -> Iterator[Finding]:
    if memory.peak_rss_bytes is None or memory.baseline_rss_bytes is None:
        return
    grown = memory.peak_rss_bytes - memory.baseline_rss_bytes
    if grown >= _OF_LIVE * live:
        return
    make = subject.refuse if grown < _FAR_OF_LIVE * live - _REUSED_BYTES else subject.doubt
    figure = f"the resident set grew by {format_bytes(grown)}"
    yield make("peak RSS", figure, f"live tensors besides the weights take {format_bytes(live)}", _TRACE)


def _ceiling(subject: Subject, ceilings: Ceilings, per_second: float) -> Iterator[Finding]:
    most = ceilings.flops_per_second(subject.record.case.dtype)
    if most is None or per_second <= _ABOVE_CEILING * most:
        return
    far = _FAR_ABOVE_CEILING.get(subject.record.device.kind, 0.0)
    make = subject.refuse if per_second > far * most else subject.doubt
    figure = f"the quickest sample is {format_metric('achieved', per_second)}"
    yield make("ceiling", figure, f"the device's ceiling is {format_metric('achieved', most)}", "ceilings.json")


def _time(subject: Subject, time: ExpectedTime) -> Iterator[Finding]:
    timing = subject.record.timing
    if timing is None:
        return
    quickest_s, median_s = min(timing.samples_s), timing.median_s
    for what, least_s in (("products", time.rated_s), ("traffic", time.moved_s)):
        if quickest_s * _ABOVE_RATED < least_s:
            make = subject.refuse if quickest_s * _FAR_ABOVE_RATED < least_s else subject.doubt
            figure = f"the quickest sample is {format_seconds(quickest_s)}"
            yield make(f"rated {what}", figure, f"{what} alone take {format_seconds(least_s)}", _RATES)
    if time.seconds is not None:
        yield from _against_model(subject, time, time.seconds, median_s)


def _against_model(subject: Subject, time: ExpectedTime, seconds: float, median_s: float) -> Iterator[Finding]:
    if time.between is None:
        quick, too_quick, slow = seconds / DOUBTFUL_TIMES, seconds / _REFUSED_TIMES, seconds * _DOUBTFUL_SLOW
        bound = f"about {format_seconds(seconds)} is predicted"
    else:
        least_s, most_s = time.between.least_s, time.between.most_s
        quick, too_quick = least_s / _DOUBTFUL_BEYOND, least_s / _REFUSED_BEYOND
        slow = float("inf") if most_s is None or time.is_short else most_s * _DOUBTFUL_SLOW
        most = "" if most_s is None else f" to {format_seconds(most_s)}"
        bound = f"{format_seconds(least_s)}{most} is predicted"
    figure = f"median_s is {format_seconds(median_s)}"
    if median_s < too_quick:
        yield subject.refuse("predicted time", figure, bound, _MODEL)
    elif median_s < quick or median_s > slow:
        yield subject.doubt("predicted time", figure, bound, _MODEL)


def achieved_s(record: Record, expected: Expected) -> float | None:
    """Seconds that a case should take up to a factor that is the same for all cases of a run; None if not known.

    That factor is how quick the card or processor is, which is not known for most.
    """
    if expected.time is not None and expected.time.seconds is not None and not expected.time.is_short:
        return expected.time.seconds
    return None if expected.flops is None or record.device.kind != "cpu" else float(expected.flops)
