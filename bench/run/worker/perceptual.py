"""LPIPS of two pictures, where torchmetrics and the weights of its network are installed already.

Nothing is downloaded: torchvision would fetch AlexNet's weights by itself, so they are looked for first.
"""

from __future__ import annotations

from importlib import import_module, util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

#: The file that `torchvision.models.AlexNet_Weights.IMAGENET1K_V1` keeps in torch's cache.
_WEIGHTS = "alexnet-owt-7be5be79.pth"


def refusal() -> str | None:
    """Why LPIPS can't be computed; None if it can."""
    missing = [name for name in ("torchmetrics", "torchvision") if util.find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
    if not (Path(torch.hub.get_dir()) / "checkpoints" / _WEIGHTS).is_file():
        return f"AlexNet's weights ({_WEIGHTS}) are not in torch's cache"
    return None


def lpips(reference: npt.NDArray[np.floating], picture: npt.NDArray[np.floating]) -> float:
    """Learned perceptual similarity of Zhang et al. 2018 with AlexNet: 0 for identical pictures (height, width, 3)."""
    metrics = import_module("torchmetrics.functional.image.lpips")
    first, second = (
        torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None] for values in (reference, picture)
    )
    distance = metrics.learned_perceptual_image_patch_similarity(first, second, net_type="alex", normalize=True)
    return float(distance)
