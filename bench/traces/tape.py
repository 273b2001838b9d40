"""Records a call of a VAE from templates of its passes, without torch. Pure.

A class of VAEs says what happens around the passes (`workloads.vae_classes.tape`). As in live traces, one row or column
stands for all that blend two tiles, and tiles of the same shapes are blended once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import msgspec

from bench.core.units import ITEM_BYTES
from bench.record import Case
from bench.traces.events import Birth, Convolution, Death, Elementwise, Event, Kernel, Launch, Pass, Shape, Trace
from bench.traces.pass_template import Layout, PassTemplate, Size
from bench.workloads.vae_classes.tape import Cut, Grid
from bench.workloads.vae_classes.vae_class import VaeSpec


class Architecture(msgspec.Struct, frozen=True):
    """What a model's calls depend on besides what its class says.

    Attributes:
        weights: elements of each parameter and buffer, in the order in which they move to the device.
        encode, decode: the passes of the operation, a template for each layout.
    """

    weights: tuple[int, ...]
    encode: tuple[PassTemplate, ...]
    decode: tuple[PassTemplate, ...]


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor: its shape, the key of its storage, and whether it is cut from a larger one.

    `values`: how many values of the call's precision take as much memory as one of its own.
    """

    shape: Shape
    key: int
    is_cut: bool = False
    values: int = 1

    @property
    def elements(self) -> int:
        return prod(self.shape) * self.values

    def limited(self, grid: Grid) -> _Tensor:
        """A view of the rows and columns that a tile keeps."""
        *outer, height, width = self.shape
        return replace(self, shape=(*outer, min(height, grid.rows.limit), min(width, grid.columns.limit)))


def can_trace(case: Case, spec: VaeSpec, model: Architecture) -> bool:
    """Whether all passes of the case have whole latent pixels, as the templates need, and there are templates of their
    kinds."""
    sides = [case.axes["height"], case.axes["width"]]
    if case.tile is not None:
        sides += [case.tile.tile, case.tile.overlap, *case.tile.rows]
    if not spec.vae_class.has_trace or any(side % spec.spatial_factor for side in sides):
        return False
    shapes = {
        shape
        for shape in spec.vae_class.passes(spec, case)
        if spec.vae_class.kind_of_pass(spec, case.operation, shape)  # those of kind 0 there always are
    }
    is_cut, recorded = spec.vae_class.is_tiled(case), _Recorded(case, spec, model)
    return all(recorded.template_of(_Tensor(shape, _INPUT_KEY, is_cut=is_cut)) is not None for shape in shapes)


def trace_of(case: Case, spec: VaeSpec, model: Architecture) -> Trace:
    """The trace of a case for which `can_trace` is true."""
    tape = _Recorded(case, spec, model)
    spec.vae_class.trace(tape, spec, case)
    return Trace(tuple(tape.events), tape.input.elements, model.weights, tape.blended_lines, tape.item_bytes)


_FLOAT_BYTES = 4
#: Key of the input, which is born and dies outside the trace.
_INPUT_KEY = -1


class _Recorded:
    """Implements `workloads.vae_classes.tape.Tape`."""

    def __init__(self, case: Case, spec: VaeSpec, model: Architecture) -> None:
        self.events: list[Event] = []
        is_encode = case.operation == "encode"
        self.input = _Tensor(spec.vae_class.input_shape(spec, case), _INPUT_KEY)
        self.blended_lines = 0
        self._kind = partial(spec.vae_class.kind_of_pass, spec, case.operation)
        self._templates = {(each.layout, each.kind): each for each in (model.encode if is_encode else model.decode)}
        self._item_bytes = ITEM_BYTES[case.dtype]
        #: The bytes of a value for which the events are right; 0: any.
        self.item_bytes = 0
        self._unit = spec.spatial_factor if is_encode else 1
        self._next_key = 0
        self._passes: dict[tuple[Shape, bool], tuple[Pass, int, tuple[int, ...]]] = {}
        self._blended: set[tuple[object, ...]] = set()
        self._cached: list[int] = []

    # Tensors

    def new(
        self,
        operator: str,
        shape: Shape,
        module: str = "",
        *,
        reads: Sequence[_Tensor] | None = None,
        wide: bool = False,
        kernel: Kernel | None = None,
    ) -> _Tensor:
        tensor = _Tensor(shape, self._next_key, values=_FLOAT_BYTES // self._item_bytes if wide else 1)
        self._next_key += 1
        if wide:
            self.item_bytes = self._item_bytes
        read = tensor.elements if reads is None else sum(each.elements for each in reads)
        kernel = kernel or Elementwise(read, tensor.elements)
        self.events += [Launch(operator, module, kernel), Birth(tensor.key, tensor.elements)]
        return tensor

    def free(self, *tensors: _Tensor) -> None:
        self.events += [Death(tensor.key) for tensor in tensors]

    def pointwise(self, module: str, values: _Tensor, copied_by: str = "") -> _Tensor:
        operator = copied_by or ("contiguous" if values.is_cut else "")
        copy = self.new(operator, values.shape, module) if operator else None
        channels = values.shape[1]
        kernel = Convolution(values.shape, values.shape, (channels, channels, *[1] * (len(values.shape) - 2)))
        result = self.new("convolution", values.shape, module, kernel=kernel)
        if copy is not None:
            self.free(copy)
        return result

    def part(self, values: _Tensor, shape: Shape) -> _Tensor:
        return replace(values, shape=shape)

    def cut(self, shape: Shape) -> _Tensor:
        return _Tensor(shape, _INPUT_KEY, is_cut=True)

    def slices(self) -> Sequence[_Tensor]:
        return [replace(self.input, shape=(1, *self.input.shape[1:]))] * self.input.shape[0]

    def concatenated(self, parts: Sequence[_Tensor], dimension: int) -> _Tensor:
        shape = list(parts[0].shape)
        shape[dimension] = sum(part.shape[dimension] for part in parts)
        return self.new("cat", tuple(shape), wide=parts[0].values > 1)

    # Passes

    def one_pass(self, values: _Tensor, channels: int, scale: float) -> _Tensor:
        key = (values.shape, values.is_cut)
        once, births, cached = self._passes.get(key) or self._new_pass(values)
        self.events.append(Pass(once.events, self._next_key, once.output, once.shape))
        batch, _, *frames, height, width = values.shape
        shape = (batch, channels, *frames, round(height * scale), round(width * scale))
        result = _Tensor(shape, once.output + self._next_key)
        self._cached += [each + self._next_key for each in cached]
        self._next_key += births
        return result

    def template_of(self, values: _Tensor) -> PassTemplate | None:
        """The template of a pass with this input: that of all precisions, or that of the call's."""
        size, kind = self._size(values), self._kind(values.shape)
        layouts = (Layout.of(size, is_cut=values.is_cut, item_bytes=item_bytes) for item_bytes in (0, self._item_bytes))
        return next((self._templates[layout, kind] for layout in layouts if (layout, kind) in self._templates), None)

    def _size(self, values: _Tensor) -> Size:
        return Size(values.shape[0], values.shape[-2] // self._unit, values.shape[-1] // self._unit)

    def _new_pass(self, values: _Tensor) -> tuple[Pass, int, tuple[int, ...]]:
        """The first pass of a shape, how many storages it makes, and which of them it leaves in caches."""
        template = self.template_of(values)
        if template is None:
            raise LookupError(f"no template for {values.shape}")
        if template.layout.item_bytes:
            self.item_bytes = self._item_bytes
        once = template.at(self._size(values), values.shape)
        births = [event.key for event in once.events if isinstance(event, Birth)]
        deaths = {event.key for event in once.events if isinstance(event, Death)}
        cached = tuple(key for key in births if key not in deaths and key != once.output)
        made = self._passes[values.shape, values.is_cut] = (once, len(births), cached)
        return made

    def clear_caches(self) -> None:
        self.events += [Death(key) for key in reversed(self._cached)]  # as Python frees a list
        self._cached.clear()

    # Tiles

    def tiled(
        self,
        image: _Tensor,
        grid: Grid,
        part: Callable[[_Tensor], _Tensor],
        left: Callable[[], Sequence[_Tensor]] = tuple,
    ) -> _Tensor:
        *outer, height, width = image.shape
        tops, lefts = range(0, height, grid.rows.step), range(0, width, grid.columns.step)
        rows = []
        for top in tops:
            cut = [(*outer, min(grid.rows.edge, height - top), min(grid.columns.edge, width - left)) for left in lefts]
            rows.append([part(self.cut(shape)) for shape in cut])
        result_rows = []
        for index, row in enumerate(rows):
            for column, tile in enumerate(row):
                if index > 0:
                    self._blend(rows[index - 1][column], tile, grid.rows, -2)
                if column > 0:
                    self._blend(row[column - 1], tile, grid.columns, -1)
            result_rows.append(self.concatenated([tile.limited(grid) for tile in row], -1))
        result = self.concatenated(result_rows, -2)
        # as Python frees them
        self.free(*_backwards(rows[:-1]), *left(), *reversed(result_rows), *reversed(rows[-1]))
        return result

    def _blend(self, before: _Tensor, tile: _Tensor, cut: Cut, dimension: int) -> None:
        """Blend two neighbours along a dimension: one line of each is weighted, and their sum is copied into `tile`."""
        lines = min(cut.extent, before.shape[dimension], tile.shape[dimension])
        self.blended_lines += lines
        blended = (dimension, before.shape, tile.shape)
        if blended in self._blended or not lines:
            return
        self._blended.add(blended)
        above, below = (_one_line(each, dimension) for each in (before, tile))
        weighted = [self.new("mul", line) for line in (above, below)]
        total = self.new("add", below, kernel=Elementwise(prod(above) + prod(below), prod(below)))
        self.free(*weighted, total)


def _backwards(rows: Sequence[Sequence[_Tensor]]) -> Iterable[_Tensor]:
    return (part for row in reversed(rows) for part in reversed(row))


def _one_line(tensor: _Tensor, dimension: int) -> Shape:
    shape = list(tensor.shape)
    shape[dimension] = 1
    return tuple(shape)
