"""Runs the kernels that only videos need (torch)."""

from __future__ import annotations

import torch


def exercise(device: torch.device) -> None:
    """Convolve a video of a few pixels, so that what libraries allocate once does not count towards the first case.

    Threads, handles and all other kernels are there already: image VAEs exercise them.
    """
    for dtype in (torch.float32, torch.float16) if device.type == "cuda" else (torch.float32,):
        values = torch.ones(1, 8, 3, 8, 8, dtype=dtype, device=device)
        filters = torch.ones(8, 8, 3, 3, 3, dtype=dtype, device=device)
        with torch.inference_mode():
            torch.nn.functional.conv3d(values, filters)
