"""torch's settings that decide which CUDA kernels run. Loads torch."""

from __future__ import annotations

from typing import Any

import torch

from bench.record import TorchSettings


def now() -> TorchSettings:
    """The current settings: whether float32 may use TF32, and whether cuDNN benchmarks its kernels."""
    return TorchSettings(
        convolutions_tf32=_allows_tf32(getattr(torch.backends.cudnn, "conv", None), torch.backends.cudnn),
        matmul_tf32=_allows_tf32(torch.backends.cuda.matmul, torch.backends.cuda.matmul),
        cudnn_benchmark=bool(torch.backends.cudnn.benchmark),
    )


def _allows_tf32(place: Any, older_place: Any) -> bool | None:
    """Whether TF32 is allowed, by `fp32_precision` (torch 2.9 and later) or else `allow_tf32`.

    A newer torch raises RuntimeError for the old name once both names have been used.
    """
    for owner, name in ((place, "fp32_precision"), (older_place, "allow_tf32")):
        try:
            value = getattr(owner, name)
        except (AttributeError, RuntimeError):
            continue
        return bool(value == "tf32") if isinstance(value, str) else bool(value)
    return None
