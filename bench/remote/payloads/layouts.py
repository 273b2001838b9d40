"""The memory layouts of tensors that a user may send. Imports neither the project nor torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Fill(Protocol):
    """Returns a contiguous tensor of this shape on the layout's device, with values that no earlier payload had."""

    def __call__(self, *shape: int) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout. `build(fill, batch, channels, height, width)` returns a tensor of that shape in this layout."""

    name: str
    build: Callable[[Fill, int, int, int, int], torch.Tensor]
    device: str = "cpu"


def _contiguous(fill: Fill, b: int, c: int, h: int, w: int) -> torch.Tensor:
    return fill(b, c, h, w)


def _permuted(fill: Fill, b: int, c: int, h: int, w: int) -> torch.Tensor:
    """As in images that were stacked channel by channel."""
    return fill(c, b, h, w).permute(1, 0, 2, 3)


def _channels_last(fill: Fill, b: int, c: int, h: int, w: int) -> torch.Tensor:
    """The strides of torch.channels_last; also those of an image out of NumPy or Pillow."""
    return fill(b, h, w, c).permute(0, 3, 1, 2)


def _transposed(fill: Fill, b: int, c: int, h: int, w: int) -> torch.Tensor:
    return fill(b, c, w, h).transpose(2, 3)


def _sliced(fill: Fill, b: int, c: int, h: int, w: int) -> torch.Tensor:
    """Every second pixel of a larger image."""
    return fill(b, c, 2 * h, 2 * w)[:, :, ::2, ::2]


def _expanded(fill: Fill, b: int, c: int, h: int, w: int) -> torch.Tensor:
    """One image in memory, viewed as a batch."""
    return fill(1, c, h, w).expand(b, c, h, w)


#: In the order in which they are checked and reported.
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("contiguous", _contiguous),
        Layout("permuted", _permuted),
        Layout("channels-last", _channels_last),
        Layout("transposed", _transposed),
        Layout("sliced", _sliced),
        Layout("expanded", _expanded),
        Layout("CUDA", _contiguous, "cuda"),
        Layout("CUDA, permuted", _permuted, "cuda"),
    )
}
