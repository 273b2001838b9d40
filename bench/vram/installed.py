"""What is installed and matters to a prediction. Loads torch."""

from __future__ import annotations

import torch


def cudnn_version() -> str | None:
    """The version of cuDNN as torch reports it (`91002` is 9.10.2); None without a GPU."""
    version = torch.backends.cudnn.version() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]
    return None if version is None else str(version)
