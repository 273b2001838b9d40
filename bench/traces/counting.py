"""Counts what the kernels of a traced call compute and move. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from bench.core.work import Kernels
from bench.traces.events import (
    Attention,
    Convolution,
    Elementwise,
    Event,
    Launch,
    Normalisation,
    Pass,
    Product,
    Trace,
    Upsampling,
)


def kernels_of(trace: Trace) -> Kernels:
    """The kernels of a call. Of those that blend tiles, the trace has one line for each pair of tile shapes."""
    counter = _Counter()
    passes = [event for event in trace.events if isinstance(event, Pass)]
    times = Counter(id(each.events) for each in passes)  # equal passes share their events
    for key, once in {id(each.events): each for each in passes}.items():
        counter.add(once.events, times[key])
    counter.add(trace.events, 1)
    return Kernels(
        convolution_flops=counter.flops[Convolution],
        product_flops=counter.flops[Product],
        attention_flops=counter.flops[Attention],
        convolved=counter.convolved,
        moved=counter.moved,
        normalised=counter.normalised,
        launches=counter.launches,
        blended_lines=trace.blended_lines,
    )


class _Counter:
    """Adds up kernels."""

    def __init__(self) -> None:
        self.flops: Counter[type] = Counter()
        self.convolved: Counter[int] = Counter()
        self.moved: Counter[int] = Counter()
        self.normalised: Counter[tuple[int, int]] = Counter()
        self.launches = 0

    def add(self, events: Iterable[Event], times: int) -> None:
        """Add the kernels of these events, which happen so many times. Passes among them do not count."""
        for launch in events:
            if isinstance(launch, Launch):
                self.launches += times
                self._add(launch, times)

    def _add(self, launch: Launch, times: int) -> None:
        match launch.kernel:
            case Convolution(input=values, output=result, filter=weights):
                self.flops[Convolution] += times * 2 * prod(result) * prod(weights[1:])
                for shape in (values, result, weights):
                    self.convolved[prod(shape)] += times
            case Product(batch, rows, inner, columns):
                self.flops[Product] += times * 2 * batch * rows * inner * columns
                self._move(times, batch * rows * inner, batch * inner * columns, batch * rows * columns)
            case Attention(batch, heads, queries, keys, size):
                self.flops[Attention] += times * 4 * batch * heads * queries * keys * size
                ends, middle = batch * heads * queries * size, batch * heads * keys * size
                self._move(times, ends, middle, middle, ends)
            case Normalisation(rows, length):
                self.normalised[rows, length] += times
            case Upsampling(values, result):
                self._move(times, prod(values), prod(result))
            case Elementwise(read, written):
                self._move(times, read, written)

    def _move(self, times: int, *tensors: int) -> None:
        for elements in tensors:
            self.moved[elements] += times
