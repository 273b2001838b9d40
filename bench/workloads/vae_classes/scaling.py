"""How a pipeline's latents relate to a decoder's, read from the module itself. Imported only where torch is loaded."""

from __future__ import annotations

from typing import Any

import torch


def keeps_patches(module: Any) -> bool:
    """Whether the model's pipeline keeps latents as patches of 2x2, normalised by a BatchNorm (FLUX.2)."""
    return getattr(module, "bn", None) is not None


def unscaled(module: Any, latents: torch.Tensor, shift: float | None = None) -> torch.Tensor:
    """A pipeline's latents as `decode` takes them, by the module's own values: `z * deviation / factor + mean + shift`.

    Values that the module lacks are left out. `shift` replaces its own. Latents are [batch, channels, (frames,) height,
    width]; mean and deviation are one value a channel. Source: what diffusers' pipelines do before `vae.decode`
    (stable_diffusion_xl, flux, flux2, wan, ltx, mochi).
    """
    if keeps_patches(module):
        return _from_patches(_undo_normalisation(module, _patches(latents)))
    mean, deviation = _per_channel(module, "latents_mean", latents), _per_channel(module, "latents_std", latents)
    has_both = mean is not None and deviation is not None
    if deviation is not None and has_both:
        latents = latents * deviation
    factor = module.config.get("scaling_factor")
    if factor is not None:
        latents = latents / factor
    if mean is not None and has_both:
        latents = latents + mean
    shift = module.config.get("shift_factor") if shift is None else shift
    return latents if shift is None else latents + shift


def scaled(module: Any, latents: torch.Tensor) -> torch.Tensor:
    """What `encode` makes as a pipeline's latents: the inverse of `unscaled`."""
    if keeps_patches(module):
        return _from_patches(_normalised(module, _patches(latents)))
    mean, deviation = _per_channel(module, "latents_mean", latents), _per_channel(module, "latents_std", latents)
    shift, factor = module.config.get("shift_factor"), module.config.get("scaling_factor")
    latents = latents if shift is None else latents - shift
    if mean is not None and deviation is not None:
        latents = (latents - mean) / deviation
    return latents if factor is None else latents * factor


def _per_channel(module: Any, name: str, latents: torch.Tensor) -> torch.Tensor | None:
    """A value per channel, from the module's configuration or its buffer (LTX); None if it has none."""
    values = module.config.get(name)
    if values is None:
        values = dict(module.named_buffers(recurse=False)).get(name)
    if values is None:
        return None
    return torch.as_tensor(values).to(latents).view(1, -1, *[1] * (latents.ndim - 2))


def _undo_normalisation(module: Any, patches: torch.Tensor) -> torch.Tensor:
    """`patches * deviation + mean`, by the running statistics of the module's BatchNorm."""
    norm = module.bn
    mean = norm.running_mean.view(1, -1, 1, 1).to(patches)
    deviation = torch.sqrt(norm.running_var.view(1, -1, 1, 1) + module.config.batch_norm_eps).to(patches)
    normal: torch.Tensor = patches * deviation + mean
    return normal


def _normalised(module: Any, patches: torch.Tensor) -> torch.Tensor:
    """`(patches - mean) / deviation`, by the running statistics of the module's BatchNorm."""
    norm = module.bn
    mean = norm.running_mean.view(1, -1, 1, 1).to(patches)
    deviation = torch.sqrt(norm.running_var.view(1, -1, 1, 1) + module.config.batch_norm_eps).to(patches)
    normal: torch.Tensor = (patches - mean) / deviation
    return normal


def _patches(latents: torch.Tensor) -> torch.Tensor:
    """[B, C, H, W] -> [B, 4 * C, H / 2, W / 2]."""
    return torch.nn.functional.pixel_unshuffle(latents, 2)


def _from_patches(patches: torch.Tensor) -> torch.Tensor:
    """[B, 4 * C, H, W] -> [B, C, 2 * H, 2 * W]."""
    return torch.nn.functional.pixel_shuffle(patches, 2)
