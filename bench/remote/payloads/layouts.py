"""The memory layouts of tensors that a user may send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


#: Returns a contiguous tensor of the given shape on the layout's device, with values that no earlier payload had.
Fill = Callable[..., "torch.Tensor"]


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout. `build(fill, batch, channels, height, width)` returns a tensor of that shape in this layout."""

    name: str
    build: Callable[[Fill, int, int, int, int], torch.Tensor]
    device: str = "cpu"


#: In the order in which they are checked and reported.
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("contiguous", lambda fill, b, c, h, w: fill(b, c, h, w)),
        # as in images that were stacked channel by channel
        Layout("permuted", lambda fill, b, c, h, w: fill(c, b, h, w).permute(1, 0, 2, 3)),
        # the strides of torch.channels_last; also those of an image out of NumPy or Pillow
        Layout("channels-last", lambda fill, b, c, h, w: fill(b, h, w, c).permute(0, 3, 1, 2)),
        Layout("transposed", lambda fill, b, c, h, w: fill(b, c, w, h).transpose(2, 3)),
        # every second pixel of a larger image
        Layout("sliced", lambda fill, b, c, h, w: fill(b, c, 2 * h, 2 * w)[:, :, ::2, ::2]),
        # one image in memory, viewed as a batch
        Layout("expanded", lambda fill, b, c, h, w: fill(1, c, h, w).expand(b, c, h, w)),
        Layout("CUDA", lambda fill, b, c, h, w: fill(b, c, h, w), "cuda"),
        Layout("CUDA, permuted", lambda fill, b, c, h, w: fill(c, b, h, w).permute(1, 0, 2, 3), "cuda"),
    )
}
