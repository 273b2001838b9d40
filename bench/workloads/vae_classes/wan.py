"""diffusers' AutoencoderKLWan. Source: diffusers/models/autoencoders/autoencoder_kl_wan.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.record import Case
from bench.workloads.vae_classes import latent_statistics
from bench.workloads.vae_classes.argument_types import Number, each
from bench.workloads.vae_classes.vae_class import Geometry, VaeSpec
from bench.workloads.vae_classes.video import VideoVae

#: Frames that the class encodes at a time, after the first frame.
_CHUNK = 4


def contradiction_of_levels(config: Mapping[str, Any]) -> str:
    """Whether the lists for each level contradict one another, as `VaeClass.contradiction` says it."""
    count, levels = len(config["temperal_downsample"]), len(config["dim_mult"])
    if count == levels - 1:
        return ""
    return f"`temperal_downsample` has length {count}, but `dim_mult` has length {levels}, not one more"


class Wan(VideoVae):
    """Computes one latent frame after another, and keeps in caches what the next one needs of the ones before."""

    name = "AutoencoderKLWan"
    defaults: ClassVar[Mapping[str, Any]] = {
        "base_dim": 96,
        "decoder_base_dim": None,
        "z_dim": 16,
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_scales": [],
        "temperal_downsample": [False, True, True],
        "is_residual": False,
        "in_channels": 3,
        "out_channels": 3,
        "patch_size": None,
        "scale_factor_temporal": 4,
        "scale_factor_spatial": 8,
    }
    scaling: ClassVar[Mapping[str, Any]] = latent_statistics.WAN
    unread = frozenset({"dropout"})
    types: ClassVar[Mapping[str, Any]] = {"attn_scales": each(Number, least=0)}
    refused_variants: ClassVar[Mapping[str, str]] = {
        "whole-clip": "it computes one latent frame after another, and diffusers can't turn that off",
        "framewise": "it computes one latent frame after another anyway (variant default)",
    }

    def contradiction(self, config: Mapping[str, Any]) -> str:
        return contradiction_of_levels(config)

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        return Geometry(config["scale_factor_spatial"], config["z_dim"], config["scale_factor_temporal"])

    def image_channels(self, config: Mapping[str, Any]) -> int:
        channels: int = config["in_channels"] // _patch(config) ** 2
        return channels

    def chunks(self, spec: VaeSpec, case: Case) -> tuple[int, ...]:
        count = self.latent_frames(spec, case.axes["frames"])
        return (1, *[_CHUNK if case.operation == "encode" else 1] * (count - 1))

    def chunk_note(self, spec: VaeSpec, case: Case) -> str:
        return "" if case.axes["frames"] == 1 else f"chunks of {_CHUNK} frames"

    def describe_chunks(self, spec: VaeSpec) -> str:
        return f"chunks of {_CHUNK} frames after the first one"

    def input_of_pass(self, spec: VaeSpec, case: Case) -> tuple[int, int]:
        if case.operation == "encode":  # the encoder's pixels are patches of the image
            return spec.config["in_channels"], _patch(spec.config)
        return super().input_of_pass(spec, case)

    def set_tile(self, module: Any, spec: VaeSpec, case: Case) -> None:
        """Set tiles. When encoding, diffusers counts their sides in patches: by itself it takes larger tiles there."""
        super().set_tile(module, spec, case)
        unit = _patch(spec.config) if case.operation == "encode" else 1
        for knob in ("min_height", "min_width", "stride_height", "stride_width"):
            name = f"tile_sample_{knob}"
            setattr(module, name, getattr(module, name) // unit)

    def set_up(self, module: Any, spec: VaeSpec, case: Case) -> None:
        super().set_up(module, spec, case)
        module.clear_cache()  # a call that failed leaves its caches behind


def _patch(config: Mapping[str, Any]) -> int:
    return config["patch_size"] or 1


WAN = Wan()
