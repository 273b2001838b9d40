"""The trace of a call of diffusers' image VAEs, from templates of its passes. Pure.

Follows `encode` and `decode` of diffusers/models/autoencoders/autoencoder_kl.py: a sliced batch goes image by image, an
image that is larger than a tile is cut into tiles, each tile is one pass and a convolution after or before it, and the
tiles are blended and put together. As in live traces, one row or column stands for all that blend two tiles, and tiles
of the same shapes are blended once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

import msgspec

from bench.record import Case, Tile
from bench.traces.events import Birth, Convolution, Death, Elementwise, Event, Kernel, Launch, Pass, Shape, Trace
from bench.traces.pass_template import Layout, PassTemplate, Size


class Architecture(msgspec.Struct, frozen=True):
    """What a call depends on besides its passes.

    Attributes:
        factor: image pixels per latent pixel along a side.
        latent_channels: channels of the latent; the encoder's result has twice as many.
        quant_convs: whether a 1x1 convolution follows the encoder and precedes the decoder.
        weights: elements of each parameter and buffer, in the order in which they move to the device.
        encode, decode: the passes of the operation, a template for each layout.
    """

    factor: int
    latent_channels: int
    quant_convs: bool
    weights: tuple[int, ...]
    encode: tuple[PassTemplate, ...]
    decode: tuple[PassTemplate, ...]


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor: its shape, the key of its storage, and whether it is cut from a larger one."""

    shape: Shape
    key: int
    is_cut: bool = False

    @property
    def elements(self) -> int:
        return prod(self.shape)

    def limited(self, side: int) -> _Tensor:
        """A view of the tensor's first rows and columns."""
        batch, channels, height, width = self.shape
        return replace(self, shape=(batch, channels, min(height, side), min(width, side)))


def can_trace(case: Case, model: Architecture) -> bool:
    """Whether all passes of the case have whole latent pixels, as the templates need."""
    sides = [case.axes["height"], case.axes["width"]]
    if case.tile is not None:
        sides += [case.tile.tile, case.tile.tile - case.tile.overlap]
    return not any(side % model.factor for side in sides)


def trace_of(case: Case, model: Architecture) -> Trace:
    """The trace of a case for which `can_trace` is true."""
    operation = _Encode(model, case) if case.operation == "encode" else _Decode(model, case)
    operation.run()
    return Trace(tuple(operation.events), operation.input.elements, model.weights, operation.blended_lines)


#: Key of the input, which is born and dies outside the trace.
_INPUT_KEY = -1


class _Operation:
    """Records the events of one call; a subclass says what one pass takes and gives."""

    #: Pixels of the input, and of the result, for each latent pixel along a side.
    input_factor: int
    result_factor: int

    def __init__(self, model: Architecture, case: Case, input_channels: int) -> None:
        self.events: list[Event] = []
        self.model = model
        height, width = (case.axes[side] // model.factor * self.input_factor for side in ("height", "width"))
        self.input = _Tensor((case.axes["batch"], input_channels, height, width), _INPUT_KEY)
        self._tile = case.tile
        self._is_sliced = case.variant == "sliced" and case.axes["batch"] > 1
        self._next_key = 0
        self._passes: dict[Shape, tuple[Pass, int]] = {}  # and how many storages it makes
        self._blended: set[tuple[object, ...]] = set()
        self.blended_lines = 0

    # Steps of a call

    def whole_or_sliced(self) -> tuple[_Tensor, list[_Tensor]]:
        """The result of the whole batch, and the results of its slices, which are still alive; none if not sliced."""
        if not self._is_sliced:
            return self._whole_or_tiled(self.input), []
        images = [replace(self.input, shape=(1, *self.input.shape[1:]))] * self.input.shape[0]
        slices = [self._whole_or_tiled(image) for image in images]
        return self._concatenated(slices, dimension=0), slices

    def _whole_or_tiled(self, image: _Tensor) -> _Tensor:
        if self._tile is None or max(image.shape[2:]) <= self._pixels(self._tile.tile, self.input_factor):
            return self.part(image)
        return self._tiled(image, self._tile)

    def _tiled(self, image: _Tensor, tile: Tile) -> _Tensor:
        edge, overlap = (self._pixels(length, self.input_factor) for length in (tile.tile, tile.overlap))
        extent = self._pixels(tile.overlap, self.result_factor)
        limit = self._pixels(tile.tile, self.result_factor) - extent
        batch, channels, height, width = image.shape
        tops, lefts = range(0, height, edge - overlap), range(0, width, edge - overlap)
        rows = []
        for top in tops:
            cut = [(batch, channels, min(edge, height - top), min(edge, width - left)) for left in lefts]
            rows.append([self.part(_Tensor(shape, _INPUT_KEY, is_cut=True)) for shape in cut])
        result_rows = []
        for index, row in enumerate(rows):
            for column, part in enumerate(row):
                if index > 0:
                    self._blend(rows[index - 1][column], part, extent, 2)
                if column > 0:
                    self._blend(row[column - 1], part, extent, 3)
            result_rows.append(self._concatenated([part.limited(limit) for part in row], dimension=3))
        result = self._concatenated(result_rows, dimension=2)
        for part in (*_backwards(rows[:-1]), *reversed(result_rows), *reversed(rows[-1])):  # as Python frees them
            self.free(part)
        return result

    def _pixels(self, length: int, factor: int) -> int:
        """A length in image pixels as pixels of a tensor with `factor` pixels for each latent pixel."""
        return length // self.model.factor * factor

    def _blend(self, before: _Tensor, tile: _Tensor, extent: int, dimension: int) -> None:
        """Blend two neighbours along a dimension: one line of each is weighted, and their sum is copied into `tile`."""
        lines = min(extent, before.shape[dimension], tile.shape[dimension])
        self.blended_lines += lines
        blended = (dimension, before.shape, tile.shape)
        if blended in self._blended or not lines:
            return
        self._blended.add(blended)
        above, below = (_one_line(each, dimension) for each in (before, tile))
        weighted = [self.new("mul", line) for line in (above, below)]
        total = self.new("add", below, kernel=Elementwise(prod(above) + prod(below), prod(below)))
        for part in (*weighted, total):
            self.free(part)

    def _concatenated(self, parts: Sequence[_Tensor], dimension: int) -> _Tensor:
        shape = list(parts[0].shape)
        shape[dimension] = sum(part.shape[dimension] for part in parts)
        return self.new("cat", tuple(shape))

    def part(self, image: _Tensor) -> _Tensor:
        """The result of one whole image or tile."""
        raise NotImplementedError

    # Events

    def new(self, operator: str, shape: Shape, module: str = "", kernel: Kernel | None = None) -> _Tensor:
        """A new tensor, made by an operator; without a kernel it is one that reads as much as it writes."""
        tensor = _Tensor(shape, self._next_key)
        self._next_key += 1
        kernel = kernel or Elementwise(tensor.elements, tensor.elements)
        self.events += [Launch(operator, module, kernel), Birth(tensor.key, tensor.elements)]
        return tensor

    def free(self, tensor: _Tensor) -> None:
        """The end of a tensor."""
        self.events.append(Death(tensor.key))

    def pointwise(self, module: str, values: _Tensor, channels: int) -> _Tensor:
        """A 1x1 convolution with as many channels as its input; an input that is cut is copied before."""
        copy = self.new("contiguous", values.shape, module) if values.is_cut else None
        kernel = Convolution(values.shape, values.shape, (channels, channels, 1, 1))
        result = self.new("convolution", values.shape, module, kernel)
        if copy is not None:
            self.free(copy)
        return result

    def one_pass(self, templates: Iterable[PassTemplate], values: _Tensor, channels: int) -> _Tensor:
        """The result of a pass through the encoder or decoder."""
        once, births = self._passes.get(values.shape) or self._new_pass(templates, values)
        self.events.append(Pass(once.events, self._next_key, once.output, once.shape))
        result = _Tensor(self._result_shape(values.shape, channels), once.output + self._next_key)
        self._next_key += births
        return result

    def _new_pass(self, templates: Iterable[PassTemplate], values: _Tensor) -> tuple[Pass, int]:
        """The first pass of a shape, and how many storages it makes."""
        batch, _, height, width = values.shape
        size = Size(batch, height // self.input_factor, width // self.input_factor)
        template = {each.layout: each for each in templates}[Layout.of(size, is_cut=values.is_cut)]
        once = template.at(size, values.shape)
        births = sum(isinstance(event, Birth) for event in once.events)
        self._passes[values.shape] = once, births
        return once, births

    def _result_shape(self, shape: Shape, channels: int) -> Shape:
        batch, _, height, width = shape
        sides = (side // self.input_factor * self.result_factor for side in (height, width))
        return (batch, channels, *sides)


class _Encode(_Operation):
    """Image to the parameters of the latent's distribution, whose mode is the call's result."""

    def __init__(self, model: Architecture, case: Case) -> None:
        self.input_factor, self.result_factor = model.factor, 1
        super().__init__(model, case, 3)

    def run(self) -> None:
        """Record the whole call."""
        moments, slices = self.whole_or_sliced()
        batch, channels, height, width = moments.shape
        half = (batch, channels // 2, height, width)  # mean and log variance
        log_variance = self.new("clamp", half)
        product = self.new("mul", half)
        deviation = self.new("exp", half)
        self.free(product)
        variance = self.new("exp", half)
        for tensor in (*reversed(slices), log_variance, deviation, variance):
            self.free(tensor)

    def part(self, image: _Tensor) -> _Tensor:
        channels = 2 * self.model.latent_channels
        encoded = self.one_pass(self.model.encode, image, channels)
        if not self.model.quant_convs:
            return encoded
        result = self.pointwise("quant_conv", encoded, channels)
        self.free(encoded)
        return result


class _Decode(_Operation):
    """Latent to image."""

    def __init__(self, model: Architecture, case: Case) -> None:
        self.input_factor, self.result_factor = 1, model.factor
        super().__init__(model, case, model.latent_channels)

    def run(self) -> None:
        """Record the whole call."""
        _, slices = self.whole_or_sliced()
        for image in reversed(slices):
            self.free(image)

    def part(self, image: _Tensor) -> _Tensor:
        if not self.model.quant_convs:
            return self.one_pass(self.model.decode, image, 3)
        values = self.pointwise("post_quant_conv", image, self.model.latent_channels)
        result = self.one_pass(self.model.decode, values, 3)
        self.free(values)
        return result


def _backwards(rows: Sequence[Sequence[_Tensor]]) -> Iterable[_Tensor]:
    return (part for row in reversed(rows) for part in reversed(row))


def _one_line(tensor: _Tensor, dimension: int) -> Shape:
    shape = list(tensor.shape)
    shape[dimension] = 1
    return tuple(shape)
