"""What a call allocates, in its order and apart from any backend: storages that are born and die, operators that run.

Pure. Sizes are in elements, since every storage of such a call is of the precision that it computes in.
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Convolution:
    """One two-dimensional convolution: shapes of its input and output (batch, channels, height, width) and filter.

    `channels_last`: its input lies as NHWC, as tensor cores take it.
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
    """One nearest-neighbour upsampling of (batch, channels, height, width)."""

    input: Shape
    output: Shape


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product, which a library may want a workspace for."""


#: What a backend may want memory of its own for.
Kernel = Convolution | Attention | Upsampling | Product


@dataclass(frozen=True, slots=True)
class Launch:
    """An operator begins: its name, the path of the module that it is of, and what its kernel is."""

    operator: str
    module: str
    kernel: Kernel | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """A storage is allocated, by the operator that was launched last."""

    key: int
    elements: int


@dataclass(frozen=True, slots=True)
class Death:
    """A storage is freed."""

    key: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One whole pass through encoder or decoder. Passes of one shape share their events.

    Attributes:
        events: what it does, keys counted from 0.
        shift: what is to be added to its keys.
        output: its key, before that, of what it returns, which outlives it; all else that it allocates does not.
        shape: of its input.
    """

    events: tuple[Launch | Birth | Death, ...]
    shift: int
    output: int
    shape: Shape


Event = Launch | Birth | Death | Pass


@dataclass(frozen=True, slots=True)
class Trace:
    """One call of a model.

    Attributes:
        events: in order. What the call returns never dies in it.
        input_elements: what is there before the call, of its input.
        weights: parameters and buffers in the order in which they come to the device, in elements each.
    """

    events: tuple[Event, ...]
    input_elements: int
    weights: tuple[int, ...]

    @property
    def passes(self) -> tuple[Shape, ...]:
        """Input shapes of the passes through encoder or decoder: one, or one a tile."""
        return tuple(event.shape for event in self.events if isinstance(event, Pass))

    @property
    def kernels(self) -> frozenset[Kernel]:
        """Of all its launches, each once."""
        inner = [one for event in self.events for one in (event.events if isinstance(event, Pass) else (event,))]
        return frozenset(one.kernel for one in inner if isinstance(one, Launch) and one.kernel is not None)

    @property
    def weight_elements(self) -> int:
        """Elements of all parameters and buffers."""
        return sum(self.weights)
