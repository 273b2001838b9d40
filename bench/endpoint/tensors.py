"""Converts tensors between wire and model: bytes, Flux's packing, scaling, and the forms of a decoded sample.

`from_bytes` and `to_bytes` run on codec threads, so they do no more than copy the bytes once; the others run
on the device's thread, on the tensor's device.
"""

from __future__ import annotations

import torch

from bench.endpoint.request_format import Form, Scaling
from bench.endpoint.shapes import Layout
from bench.wire.messages import RefusedError


def from_bytes(payload: bytes, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    """Return a CPU tensor from little-endian C-order bytes. Their number must be right."""
    kind: torch.dtype = getattr(torch, dtype)
    # torch needs writable memory, which `bytes` is not
    return torch.frombuffer(bytearray(payload), dtype=kind).reshape(shape)


def to_bytes(tensor: torch.Tensor) -> bytes:
    """Return the bytes of a contiguous CPU tensor. They are viewed as integers, because NumPy has no bfloat16."""
    return tensor.view(torch.uint8).numpy().tobytes()


def name_of(dtype: torch.dtype) -> str:
    """Return `float16` for `torch.float16`, as on the wire."""
    return str(dtype).removeprefix("torch.")


def check_finite(values: torch.Tensor, name: str) -> None:
    """Raises RefusedError (422) if any value is NaN or infinite, as sent or after the cast to the model's precision."""
    if not torch.isfinite(values).all().item():
        raise RefusedError(
            422,
            f"The {name} contains values that are NaN, infinite, or too large for the model's {name_of(values.dtype)}.",
            "not_finite",
        )


def laid_out(latent: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return the latent as the model takes it, [B, C, H, W] or [B, C, F, H, W].

    Packed latents are unpacked as FluxPipeline._unpack_latents and Flux2Pipeline._unpatchify_latents do.
    """
    if layout.form == "one_frame":
        return latent[:, :, 0]
    if layout.form == "packed":
        batch, _, channels = latent.shape
        latent = latent.transpose(1, 2).reshape(batch, channels, layout.rows // 2, layout.columns // 2)
    if layout.form in {"packed", "patches"}:
        return torch.nn.functional.pixel_shuffle(latent, 2)
    return latent


def from_wire(latent: torch.Tensor, scaling: Scaling) -> torch.Tensor:
    """Return the latent for the model: `z / factor + shift`, each if given, in the latent's precision."""
    if scaling.factor is not None:
        latent = latent / scaling.factor
    return latent if scaling.shift is None else latent + scaling.shift


def to_wire(latent: torch.Tensor, scaling: Scaling) -> torch.Tensor:
    """Return the latent for the client: `(z - shift) * factor`, each if given, in the latent's precision."""
    if scaling.shift is not None:
        latent = latent - scaling.shift
    return latent if scaling.factor is None else latent * scaling.factor


def from_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """Convert uint8 [B, H, W, 3] to float32 [B, 3, H, W] in [-1, 1], bit for bit as diffusers' VaeImageProcessor does.

    The divisor is a tensor, because CUDA replaces division by a number with multiplication by its reciprocal, which
    can differ in the last bit.
    """
    divisor = torch.tensor(255.0, device=pixels.device)
    return 2.0 * (pixels.permute(0, 3, 1, 2).to(torch.float32) / divisor) - 1.0


def rendered(sample: torch.Tensor, form: Form) -> torch.Tensor:
    """Return a decoded sample in the form that the client wants: images on the sample's device, videos in host memory.

    All forms but `raw` have one image per frame, video after video.

    Denormalised bit for bit as diffusers' VaeImageProcessor does: `x * 0.5 + 0.5` clamped to [0, 1] in the model's
    precision, then float32, then times 255 and rounded. NaN (an overflow in the VAE) becomes black in every form
    except `raw`.
    """
    if form == "raw":
        return sample.contiguous()
    if sample.ndim == 5:  # frame by frame: in float32 a whole video could take more memory than decoding it
        frames = (video[None, :, index] for video in sample for index in range(video.shape[1]))
        return torch.cat([rendered(frame, form).cpu() for frame in frames])
    unit = torch.nan_to_num((sample * 0.5 + 0.5).clamp(0, 1), nan=0.0).to(torch.float32)
    if form == "unit":
        return unit.contiguous()
    return (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
