"""How a tensor is handed to diffusers' client so that its bytes arrive. Imports nothing of the project, nor torch."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def sendable(tensor: torch.Tensor) -> torch.Tensor:
    """The same values on the CPU, in C order, without a graph. Bind the result while diffusers sends it.

    diffusers 0.42.1 reads the memory of `tensor.cpu()` and, for an encode, of `tensor.contiguous()` after it has let go
    of them, so that both must return the tensor itself; and a decode sends the memory as it lies, so that it must lie
    as the shape says (`diffusers/utils/remote_utils.py`, prepare_decode and prepare_encode).
    """
    return tensor.detach().cpu().contiguous()


def bytes_of(tensor: torch.Tensor) -> bytes:
    """What must arrive: the elements in C order, each little-endian, whatever the tensor's layout and device.

    Read as integers of the same width, so that bfloat16, which NumPy has not, is its two bytes.
    """
    held = sendable(tensor)  # its memory is read below, and must not be freed before
    width = held.element_size()
    raw = ctypes.string_at(held.data_ptr(), held.numel() * width)
    return np.frombuffer(raw, f"=u{width}").astype(f"<u{width}").tobytes()
