"""The bytes of a tensor on the wire: a check of diffusers' client, which can corrupt them, and the remedy.

Only `check` loads torch, in a process of its own, so that `bench doctor` can import this room.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def sendable(tensor: torch.Tensor) -> torch.Tensor:
    """Return the same values on the CPU, in C order, without a graph. Keep a reference while diffusers sends it.

    diffusers 0.42.1 reads the memory of `tensor.cpu()` and, for an encode, of `tensor.contiguous()` after releasing
    them, so both must return the tensor itself. A decode sends the memory in its physical order, which must match the
    shape (`diffusers/utils/remote_utils.py`, prepare_decode and prepare_encode).
    """
    return tensor.detach().cpu().contiguous()


def bytes_of(tensor: torch.Tensor) -> bytes:
    """Return the bytes that must arrive: the elements in C order, little-endian, for any layout and device.

    They are read as integers of the same width, because NumPy has no bfloat16.
    """
    contiguous = sendable(tensor)  # keeps the memory alive that is read below
    width = contiguous.element_size()
    raw = ctypes.string_at(contiguous.data_ptr(), contiguous.numel() * width)
    return np.frombuffer(raw, f"=u{width}").astype(f"<u{width}").tobytes()
