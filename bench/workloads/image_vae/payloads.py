"""The payload of a request for an image VAE's case: shapes of latents and images, and transports."""

from __future__ import annotations

from dataclasses import dataclass

from bench.record import Case, Transport
from bench.workloads.base import Payload, Shape
from bench.workloads.image_vae import zoo

#: An endpoint tiles images whose longer side is *above* this (px), with the zoo's tile size.
SERVED_UNTILED_PX = 2048
#: The transports of each operation. The first is the default of diffusers' own functions: an image file is sent or
#: received instead of a tensor.
TRANSPORTS: dict[str, tuple[Transport, ...]] = {"encode": ("png", "pt"), "decode": ("jpg", "png", "pt", "pt-partial")}


@dataclass(frozen=True, slots=True)
class Geometry:
    """The relation of a model's images and latents: `factor` image pixels per latent pixel along a side."""

    factor: int
    channels: int


def geometry(model: str) -> Geometry:
    """The geometry of a zoo model. Raises ConfigError for an unknown one."""
    spec = zoo.get(model)
    return Geometry(spec.spatial_factor, spec.latent_channels)


def payload(case: Case) -> Payload:
    """The tensor shapes of a case (NCHW) and the scaling that a client asks for."""
    spec = zoo.get(case.model)
    scaling = {"scaling_factor": spec.scaling_factor}
    if spec.shift_factor is not None:
        scaling["shift_factor"] = spec.shift_factor
    return Payload(latent_shape(case), image_shape(case), case.operation == "encode", scaling)


def image_shape(case: Case) -> Shape:
    """(batch, image channels, height, width)"""
    return (case.axes["batch"], zoo.get(case.model).image_channels, case.axes["height"], case.axes["width"])


def latent_shape(case: Case) -> Shape:
    """(batch, latent channels, height / f, width / f)"""
    spec = zoo.get(case.model)
    factor = spec.spatial_factor
    return (case.axes["batch"], spec.latent_channels, case.axes["height"] // factor, case.axes["width"] // factor)
