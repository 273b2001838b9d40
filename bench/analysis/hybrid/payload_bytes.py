"""The size of a request that was not measured: bytes both ways, and the work on image files at both ends. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from bench.config import Files
from bench.core.units import ITEM_BYTES
from bench.record import FILE_TRANSPORTS, Case, Transport
from bench.workloads import models


@dataclass(frozen=True, slots=True)
class Payload:
    """One request and its answer.

    Attributes:
        sent_bytes, received_bytes: sizes of the bodies.
        client_s, server_s: seconds that each end takes to write or read an image file.
    """

    sent_bytes: int
    received_bytes: int
    client_s: float
    server_s: float


def payload(case: Case, transport: Transport, files: Files) -> Payload | None:
    """The payload of one request for a case; tensors travel in the case's own precision.

    None if no endpoint serves the case.
    """
    carried = models.workload(case.model).payload(case)
    if carried is None:
        return None
    pixels, item = carried.pixels, ITEM_BYTES[case.dtype]
    tensor = prod(carried.tensor) * item
    if transport not in FILE_TRANSPORTS:
        image = pixels * 3 * (1 if transport == "pt-partial" else item)
        sent, received = (image, tensor) if carried.sends_images else (tensor, image)
        return Payload(sent, received, 0.0, 0.0)
    kind = files.png if transport == "png" else files.jpg
    image = round(pixels * kind.bytes_per_pixel)
    write_s, read_s = pixels / 1e6 * kind.write_s_per_mpx, pixels / 1e6 * kind.read_s_per_mpx
    if carried.sends_images:
        return Payload(image, tensor, write_s, read_s)
    return Payload(tensor, image, read_s, write_s)
