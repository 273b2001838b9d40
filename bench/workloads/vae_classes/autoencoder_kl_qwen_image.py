"""diffusers' AutoencoderKLQwenImage: Qwen-Image. Source: diffusers/models/autoencoders/autoencoder_kl_qwenimage.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.record import Case
from bench.workloads.base import Shape
from bench.workloads.vae_classes.base import Geometry, VaeSpec
from bench.workloads.vae_classes.strided_tiles import StridedTiles

if TYPE_CHECKING:
    import torch


class AutoencoderKlQwenImage(StridedTiles):
    """A video VAE that is used for images: inside, tensors have one frame. Its convolutions keep frames in caches."""

    name = "AutoencoderKLQwenImage"
    defaults: ClassVar[Mapping[str, Any]] = {
        "base_dim": 96,
        "z_dim": 16,
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_scales": [],
        "temperal_downsample": [False, True, True],
        "input_channels": 3,
    }
    variants = ("sliced",)
    blends: ClassVar[Mapping[str, int]] = {"blend_v": 3, "blend_h": 4}

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Each level but the last halves the image."""
        return Geometry(2 ** len(config["temperal_downsample"]), config["z_dim"])

    def image_channels(self, config: Mapping[str, Any]) -> int:
        channels: int = config["input_channels"]
        return channels

    def passes(self, spec: VaeSpec, case: Case) -> tuple[Shape, ...]:
        """As of other classes, with the one frame before the height."""
        return tuple((*shape[:2], 1, *shape[2:]) for shape in super().passes(spec, case))

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        super().set_up(module, spec, case)
        module.clear_cache()  # a call that ran out of memory has left its frames there

    def encode(self, module: Any, images: torch.Tensor) -> torch.Tensor:
        return super().encode(module, images.unsqueeze(2)).squeeze(2)

    def decode(self, module: Any, latents: torch.Tensor) -> torch.Tensor:
        return super().decode(module, latents.unsqueeze(2)).squeeze(2)


AUTOENCODER_KL_QWEN_IMAGE = AutoencoderKlQwenImage()
