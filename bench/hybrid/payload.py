"""What one request carries, where nobody measured it: bytes both ways, and the work on files at both ends. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.config import Files
from bench.record import FILE_TRANSPORTS, Case, Transport
from bench.units import ITEM_BYTES
from bench.workloads import models

#: What diffusers' own functions use unless told otherwise: an image file is sent, and a small one comes back.
USUAL: Mapping[str, Transport] = MappingProxyType({"encode": "png", "decode": "jpg"})


@dataclass(frozen=True, slots=True)
class Payload:
    """One request and its answer.

    Attributes:
        sent_bytes, received_bytes: of the bodies.
        client_s, server_s: seconds in which each end writes or reads an image file.
    """

    sent_bytes: int
    received_bytes: int
    client_s: float
    server_s: float


def payload(case: Case, transport: Transport, files: Files) -> Payload:
    """What a request of that case carries over that transport; tensors travel in the case's own precision."""
    spec = models.get(case.model)
    pixels = case.batch * case.frames * case.width * case.height
    item = ITEM_BYTES[case.dtype]
    latent = pixels // spec.spatial_factor**2 * spec.latent_channels * item
    if transport not in FILE_TRANSPORTS:
        image = pixels * 3 * (1 if transport == "pt-partial" else item)
        sent, received = (image, latent) if case.operation == "encode" else (latent, image)
        return Payload(sent, received, 0.0, 0.0)
    kind = files.png if transport == "png" else files.jpg
    image = round(pixels * kind.bytes_per_pixel)
    write_s, read_s = pixels / 1e6 * kind.write_s_per_mpx, pixels / 1e6 * kind.read_s_per_mpx
    if case.operation == "encode":
        return Payload(image, latent, write_s, read_s)
    return Payload(latent, image, read_s, write_s)
