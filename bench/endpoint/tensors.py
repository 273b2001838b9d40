"""Tensors between bytes and the device: views of a body, Flux's packing, scaling, and what a decoded sample becomes.

`from_bytes`, `pixels` and `to_bytes` run on codec threads, so they copy and compute nothing but one copy of the bytes;
the others run where the tensor lies, on the device's thread. Loads torch; must not import the web stack.
"""

from __future__ import annotations

import numpy as np
import torch

from bench.endpoint.request_format import Form, Scaling
from bench.endpoint.shapes import Packed
from bench.wire.messages import RefusedError


def from_bytes(payload: bytes, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    """A CPU tensor of little-endian C-order bytes, whose number has been checked."""
    kind: torch.dtype = getattr(torch, dtype)
    # torch wants memory that it may write to, which bytes are not
    return torch.frombuffer(bytearray(payload), dtype=kind).reshape(shape)


def to_bytes(tensor: torch.Tensor) -> bytes:
    """The bytes of a contiguous CPU tensor. NumPy has no bfloat16, so they are looked at as integers."""
    return tensor.view(torch.uint8).numpy().tobytes()


def dtype_name(tensor: torch.Tensor) -> str:
    """`float16`, as the wire spells it."""
    return name_of(tensor.dtype)


def name_of(dtype: torch.dtype) -> str:
    """`float16` for `torch.float16`."""
    return str(dtype).removeprefix("torch.")


def check_finite(values: torch.Tensor, what: str) -> None:
    """Raises RefusedError (422) if any value is NaN or infinite, as sent or by the cast to the model's precision."""
    if not torch.isfinite(values).all().item():
        raise RefusedError(
            422,
            f"{what} holds values that are NaN or infinite, or too large for the model's {dtype_name(values)}.",
            "not_finite",
        )


def unpack(latent: torch.Tensor, packed: Packed) -> torch.Tensor:
    """[B, rows * columns, 4 * C] -> [B, C, 2 * rows, 2 * columns], as diffusers' FluxPipeline._unpack_latents does."""
    batch, _, channels = latent.shape
    patches = latent.view(batch, packed.rows, packed.columns, channels // 4, 2, 2)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels // 4, 2 * packed.rows, 2 * packed.columns)


def from_wire(latent: torch.Tensor, scaling: Scaling) -> torch.Tensor:
    """The latent as the model takes it: `z / factor + shift`, each where given, in the latent's precision."""
    if scaling.factor is not None:
        latent = latent / scaling.factor
    return latent if scaling.shift is None else latent + scaling.shift


def to_wire(latent: torch.Tensor, scaling: Scaling) -> torch.Tensor:
    """The latent as the client asked for it: `(z - shift) * factor`, each where given, in the latent's precision."""
    if scaling.shift is not None:
        latent = latent - scaling.shift
    return latent if scaling.factor is None else latent * scaling.factor


def from_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in [-1, 1], to the bit what diffusers' VaeImageProcessor computes.

    The divisor is a tensor: by a plain number, CUDA multiplies with the reciprocal, whose last bit can differ.
    """
    divisor = torch.tensor(255.0, device=pixels.device)
    return 2.0 * (pixels.permute(0, 3, 1, 2).to(torch.float32) / divisor) - 1.0


def rendered(sample: torch.Tensor, form: Form) -> torch.Tensor:
    """A decoded sample in the form that the client wants, where the sample lies.

    Denormalised as diffusers' VaeImageProcessor does, to the bit: `x * 0.5 + 0.5` clamped to [0, 1] in the model's
    precision, then float32, then times 255 and rounded. A value that is NaN (an overflow in the VAE) becomes black in
    every form but `raw`.
    """
    if form == "raw":
        return sample.contiguous()
    unit = torch.nan_to_num((sample * 0.5 + 0.5).clamp(0, 1), nan=0.0).to(torch.float32)
    if form == "unit":
        return unit.contiguous()
    return (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def pixels(images: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 [B, H, W, 3] on the CPU as an array, without a copy."""
    array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = images.numpy()
    return array
