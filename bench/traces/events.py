"""The events of a call in order, independent of a backend: storages that are born and die, operators that run.

Sizes are in elements of the call's precision; a storage of another precision counts as many as fill its bytes. A trace
has thousands of launches, births and deaths; msgspec makes them in a tenth of a dataclass's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution: shapes of its input and output, (batch, channels, height, width), and of its filter.

    In three dimensions they are (batch, channels, frames, height, width).
    `channels_last`: the input's channels lie next to each other in memory (NHWC, NDHWC), as tensor cores take them.
    """

    input: Shape
    output: Shape
    filter: Shape
    channels_last: bool = False


@dataclass(frozen=True, slots=True)
class Attention:
    """One scaled dot-product attention, as a memory-efficient kernel computes it: no matrix of queries by keys."""

    batch: int
    heads: int
    queries: int
    keys: int
    head_size: int


@dataclass(frozen=True, slots=True)
class Upsampling:
    """One nearest-neighbour upsampling of (batch, channels, height, width), or with frames before the height."""

    input: Shape
    output: Shape


@dataclass(frozen=True, slots=True)
class Product:
    """A batch of matrix products of (rows, inner) by (inner, columns), for which a library may need a workspace."""

    batch: int
    rows: int
    inner: int
    columns: int


@dataclass(frozen=True, slots=True)
class Normalisation:
    """One group normalisation: `rows` (images times groups) of `length` values each have their own moments."""

    rows: int
    length: int


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Any other kernel, such as an activation, a sum or a copy: how many elements it reads and writes."""

    read: int
    written: int


Kernel = Convolution | Attention | Upsampling | Product | Normalisation | Elementwise


class Launch(msgspec.Struct, frozen=True, gc=False):
    """The start of an operator: its name, the path of its module, and its kernel."""

    operator: str
    module: str
    kernel: Kernel | None = None


class Birth(msgspec.Struct, frozen=True, gc=False):
    """The allocation of a storage by the operator that was launched last."""

    key: int
    elements: int


class Death(msgspec.Struct, frozen=True, gc=False):
    """The end of a storage."""

    key: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One whole pass through encoder or decoder. Equal passes share their events, as one object.

    Attributes:
        events: its events, with keys counted from 0. What is born in them and does not die outlives the pass: its
            result, and what it keeps for the next pass.
        shift: offset to add to its keys.
        output: key of its result, before the shift.
        shape: shape of its input.
        inherited: keys of storages from before that die in it. Its events call them -1, -2 and so on, in this order.
    """

    events: tuple[Launch | Birth | Death, ...]
    shift: int
    output: int
    shape: Shape
    inherited: tuple[int, ...] = ()


Event = Launch | Birth | Death | Pass


@dataclass(frozen=True, slots=True)
class Trace:
    """One call of a model.

    Attributes:
        events: in order. The result of the call never dies.
        input_elements: elements of its inputs, which exist before the call and outlive it.
        weights: elements of each parameter and buffer, in the order in which they move to the device.
        blended_lines: rows and columns of tiles that are blended one by one. `events` have only one for each pair of
            tile shapes.
        item_bytes: bytes of an element for which the trace is valid; 0: any, all storages have the call's precision.
    """

    events: tuple[Event, ...]
    input_elements: int
    weights: tuple[int, ...]
    blended_lines: int = 0
    item_bytes: int = 0

    @property
    def passes(self) -> tuple[Shape, ...]:
        """Input shapes of the passes through encoder or decoder: one, or one per tile."""
        return tuple(event.shape for event in self.events if isinstance(event, Pass))

    @property
    def kernels(self) -> frozenset[Kernel]:
        """The kernels of all launches, each once."""
        launches = (event for event in distinct(self.events) if isinstance(event, Launch))
        return frozenset(launch.kernel for launch in launches if launch.kernel is not None)

    @property
    def largest_elements(self) -> int:
        """Elements of the largest tensor, the weights left out."""
        births = (event.elements for event in distinct(self.events) if isinstance(event, Birth))
        return max(self.input_elements, max(births, default=0))

    @property
    def weight_elements(self) -> int:
        return sum(self.weights)


def distinct(events: Iterable[Event]) -> Iterator[Launch | Birth | Death]:
    """The events with those of passes in their places; equal passes count once."""
    seen: set[int] = set()
    for event in events:
        if not isinstance(event, Pass):
            yield event
        elif id(event.events) not in seen:
            seen.add(id(event.events))
            yield from event.events
