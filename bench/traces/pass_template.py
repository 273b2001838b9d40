"""The passes of an encoder or decoder at any size, from polynomials in the size of its latent. Pure.

Every allocation and every side of a kernel's tensors in such a pass is a polynomial in the batch n, the height h and
the width w (latent pixels): a sum of n*h*w, n*h, n*w, n, h*w, h, w and 1 with whole coefficients, and of n*(h*w)^2 and
(h*w)^2 where attention has a matrix of all pixels by all pixels. The order of events depends only on the pass's
`Layout`. `pass_fit` finds both in captured passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from functools import lru_cache
from typing import Any, NamedTuple, get_args

import msgspec

from bench.traces.events import Birth, Convolution, Death, Kernel, Launch, Pass, Shape, Upsampling

#: The coefficients of a polynomial, in the order of `Size.powers`; without those of the squares if they are 0. After
#: all of them there may be a number by which the sum is divided, and rounded up.
Coefficients = tuple[int, ...]

_KERNELS: dict[str, type[Kernel]] = {kind.__name__: kind for kind in get_args(Kernel)}
#: Kernels that are described by shapes of one rank, and how many shapes each has.
_OF_SHAPES: dict[type[Kernel], int] = {Convolution: 3, Upsampling: 2}


class Size(NamedTuple):
    """The size of a latent: batch, and height and width in latent pixels."""

    batch: int
    height: int
    width: int

    @property
    def powers(self) -> tuple[int, ...]:
        """The terms of the polynomials."""
        batch, height, width = self
        area = height * width
        linear = batch * area, batch * height, batch * width, batch, area, height, width, 1
        return (*linear, batch * area**2, area**2)


class Layout(NamedTuple):
    """What decides the order of events in a pass.

    Attributes:
        is_batch: whether it has several images: torch regards the attention's output of a batch as channels-last.
        is_pixel: whether the latent is one pixel high and wide, whose strides torch regards as any layout's.
        is_cut: whether its input is cut from a larger tensor, so that it has to be copied.
        item_bytes: bytes of a value in the call's precision, if they matter because a part computes in float32; else 0.
    """

    is_batch: bool
    is_pixel: bool
    is_cut: bool
    item_bytes: int = 0

    @classmethod
    def of(cls, size: Size, *, is_cut: bool, item_bytes: int = 0) -> Layout:
        """The layout of a pass of this size."""
        return cls(size.batch > 1, size.height == size.width == 1, is_cut, item_bytes)

    @property
    def terms(self) -> int:
        """The number of terms of `Size.powers` that differ in this layout: (h*w)^2, h*w, h, w and 1, also times n."""
        return (1 if self.is_pixel else 5) * (2 if self.is_batch else 1)


class LaunchTemplate(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A launch without its numbers.

    `sides` are the indices of its kernel's numbers, the sides of its tensors one after another.
    """

    operator: str
    module: str
    kernel: str = ""
    sides: tuple[int, ...] = ()
    channels_last: bool = False

    @classmethod
    def of(cls, launch: Launch) -> tuple[LaunchTemplate, tuple[int, ...]]:
        """The template of a launch and its numbers, in the order of `sides`: `template.at(numbers)` is the launch."""
        if launch.kernel is None:
            return cls(launch.operator, launch.module), ()
        fields = astuple(launch.kernel)
        channels_last = isinstance(launch.kernel, Convolution) and launch.kernel.channels_last
        if type(launch.kernel) in _OF_SHAPES:
            fields = tuple(side for shape in fields if isinstance(shape, tuple) for side in shape)
        kind = type(launch.kernel).__name__
        return cls(launch.operator, launch.module, kind, tuple(range(len(fields))), channels_last), fields

    def at(self, values: Sequence[int]) -> Launch:
        """The launch with these numbers."""
        if not self.kernel:
            return Launch(self.operator, self.module)
        kind: Any = _KERNELS[self.kernel]
        sides = tuple(values[index] for index in self.sides)
        if kind not in _OF_SHAPES:
            return Launch(self.operator, self.module, kind(*sides))
        rank = len(sides) // _OF_SHAPES[kind]
        shapes = [sides[begin : begin + rank] for begin in range(0, len(sides), rank)]
        layout = (self.channels_last,) if kind is Convolution else ()
        return Launch(self.operator, self.module, kind(*shapes, *layout))


class PassTemplate(msgspec.Struct, frozen=True, omit_defaults=True):
    """All passes of one layout and kind.

    Attributes:
        layout: their layout.
        polynomials: the coefficients of each, in the order of `Size.powers`.
        launches: their launches, each once.
        events: `L3` is the launch with index 3, `B5` a birth of as many elements as polynomial 5 says, with the next
            key, and `D7` the death of the storage with key 7.
        output: key of the result.
        kind: the kind that their class gives them (`VaeClass.kind_of_pass`).
    """

    layout: Layout
    polynomials: tuple[Coefficients, ...]
    launches: tuple[LaunchTemplate, ...]
    events: str
    output: int
    kind: int = 0

    def values(self, size: Size) -> tuple[int, ...]:
        """The values of the polynomials."""
        powers = size.powers
        values = (sum(map(int.__mul__, row, powers)) for row in self.polynomials)
        divided = len(powers) + 1
        return tuple(
            value if len(row) < divided else -(-value // row[-1])
            for value, row in zip(values, self.polynomials, strict=True)
        )

    def at(self, size: Size, shape: Shape) -> Pass:
        """The pass of a latent of this size, with `shape` as the shape of its input and keys from 0."""
        values = self.values(size)
        launches = [launch.at(values) for launch in self.launches]
        return Pass(tuple(_events(self.events, values, launches)), 0, self.output, shape)


def _events(codes: str, values: Sequence[int], launches: Sequence[Launch]) -> Iterator[Launch | Birth | Death]:
    key = 0
    for kind, index in _parsed(codes):
        if kind == "L":
            yield launches[index]
        elif kind == "B":
            yield Birth(key, values[index])
            key += 1
        else:
            yield Death(index)


@lru_cache(maxsize=64)
def _parsed(codes: str) -> tuple[tuple[str, int], ...]:
    return tuple((code[0], int(code[1:])) for code in codes.split())
