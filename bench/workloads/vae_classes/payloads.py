"""The tensors of a VAE's case: shapes of latents and of images or videos, and what a request carries."""

from __future__ import annotations

from bench.record import Case
from bench.workloads.base import Payload, Shape
from bench.workloads.vae_classes.base import VaeSpec


def payload(spec: VaeSpec, case: Case) -> Payload:
    """The tensor shapes of a case and the scaling that a client asks for."""
    return Payload(latent_shape(spec, case), image_shape(spec, case), case.operation == "encode", spec.usual_scaling)


def image_shape(spec: VaeSpec, case: Case) -> Shape:
    """(batch, image channels, height, width), with frames before the height for a video."""
    frames = (case.axes["frames"],) if spec.geometry.is_video else ()
    return (case.axes["batch"], spec.image_channels, *frames, case.axes["height"], case.axes["width"])


def latent_shape(spec: VaeSpec, case: Case) -> Shape:
    """(batch, latent channels, height / f, width / f), with latent frames before the height for a video."""
    frames = (spec.vae_class.latent_frames(spec, case.axes["frames"]),) if spec.geometry.is_video else ()
    factor = spec.spatial_factor
    sides = (case.axes["height"] // factor, case.axes["width"] // factor)
    return (case.axes["batch"], spec.latent_channels, *frames, *sides)
