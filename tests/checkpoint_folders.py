"""Folders with the config.json of a checkpoint, and no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: As published for SDXL's VAE, shortened.
SDXL = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.20.0.dev0",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "force_upcast": True,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 1024,
    "scaling_factor": 0.13025,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
#: A small VAE that no zoo has.
SMALL = SDXL | {
    "block_out_channels": [16, 32, 32],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "layers_per_block": 1,
    "latent_channels": 8,
    "norm_num_groups": 8,
    "sample_size": 64,
    "scaling_factor": 0.5,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "mid_block_add_attention": False,
}


def checkpoint(folder: Path, base: dict[str, Any], *left_out: str, **changes: Any) -> str:
    """Write a config.json into a folder, and return the folder's path."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in (base | changes).items() if key not in left_out}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)
