"""A timeline of a call made by hand, and a backend that takes nothing."""

from __future__ import annotations

from bench.traces.events import Kernel
from bench.vram.timeline import Builder, Kind, Owner, Timeline
from bench.vram.workspace import NOTHING, Scratch

WEIGHTS = Owner("", "", "weights")
INPUT = Owner("", "", "input")


class LiveOnly:
    """No backend: tensors alone."""

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        return NOTHING


def owner(module: str, operator: str, kind: Kind = "activation") -> Owner:
    """Whose an allocation is."""
    return Owner(module, operator, kind)


def a_timeline(unit: int = 1) -> Timeline:
    """Two weights, an input, and three modules; sizes in multiples of `unit` bytes.

    Alive after each change: 60, 100, 110 | 140, 340, 390, 470, 390, 190, 160, 180.
    """
    builder = Builder()
    builder.allocate(60 * unit, WEIGHTS)
    builder.allocate(40 * unit, WEIGHTS)
    builder.allocate(10 * unit, INPUT)
    builder.call_begins()
    first = builder.allocate(30 * unit, owner("decoder.conv_in", "convolution"))
    second = builder.allocate(200 * unit, owner("decoder.up_blocks.0.norm", "native_group_norm"))
    builder.allocate(50 * unit, owner("decoder.up_blocks.0.conv", "convolution"))
    scratch = builder.allocate(80 * unit, owner("decoder.up_blocks.0.conv", "convolution", "workspace"))
    for place in (scratch, second, first):
        builder.free(place)
    builder.allocate(20 * unit, owner("decoder.conv_out", "convolution"))
    return builder.done()
