"""What a request of an image VAE's case carries: shapes of latents and images, and the ways in which they travel."""

from __future__ import annotations

from dataclasses import dataclass

from bench.record import Case, Transport
from bench.workloads.base import Payload, Shape
from bench.workloads.image_vae import zoo

#: An endpoint computes images *above* this side (px) in tiles of the zoo's size, others at once.
SERVED_UNTILED_PX = 2048
#: Which ways of a payload there are for each operation. The first is what diffusers' own functions use unless told
#: otherwise: an image file is sent, and a small one comes back.
TRANSPORTS: dict[str, tuple[Transport, ...]] = {
    "encode": ("png", "pt"),
    "decode": ("jpg", "png", "pt", "pt-partial"),
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """How images and latents of a model relate: `factor` image pixels to a latent pixel along a side."""

    factor: int
    channels: int


def geometry(model: str) -> Geometry:
    """Of a model of the zoo. Raises ConfigError for one that there is not."""
    spec = zoo.get(model)
    return Geometry(spec.spatial_factor, spec.latent_channels)


def payload(case: Case) -> Payload:
    """The tensors of a case, in the order of torch's image layout (NCHW), and the scaling that a client asks for."""
    spec = zoo.get(case.model)
    scaling = {"scaling_factor": spec.scaling_factor}
    if spec.shift_factor is not None:
        scaling["shift_factor"] = spec.shift_factor
    return Payload(latent_shape(case), image_shape(case), case.operation == "encode", scaling)


def image_shape(case: Case) -> Shape:
    """(batch, 3, height, width)"""
    return (case.axes["batch"], 3, case.axes["height"], case.axes["width"])


def latent_shape(case: Case) -> Shape:
    """(batch, latent channels, height / f, width / f)"""
    spec = zoo.get(case.model)
    factor = spec.spatial_factor
    return (case.axes["batch"], spec.latent_channels, case.axes["height"] // factor, case.axes["width"] // factor)
