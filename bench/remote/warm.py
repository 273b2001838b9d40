"""Gets this process's own start-up over with before the first case: modules that diffusers loads when first needed,
Pillow's codecs, both clients' first connection. Loads torch and diffusers.
"""

from __future__ import annotations

import contextlib
import io
import time
from functools import cache

import torch
from PIL import Image

from bench.record import FILE_TRANSPORTS, Case
from bench.remote import proxies
from bench.remote.http import Client
from bench.remote.payloads import bytes_of
from bench.remote.payloads.echo import Echo
from bench.remote.request_body import Payload, make
from bench.wire.address import Discretion, Endpoints, parse
from bench.workloads import models

_SIDE = 64
_WITHIN_S = 10.0


@cache
def warm() -> None:
    """Send a small payload each way to an echo on this machine, and read a good answer of each kind; once a process.

    What goes wrong here will go wrong in the cases too, and is told there.
    """
    with Echo() as echo:
        address = parse(echo.url)
        proxies.spare(address)
        client = Client(address, None, Discretion(Endpoints(address), None), kept=False)
        for operation, transports in ((name, models.transports(name)) for name in models.workload("tiny").operations):
            for transport in transports:
                payload = make(
                    Case(
                        model="tiny",
                        operation=operation,
                        axes=models.square("tiny", _SIDE),
                        dtype="float32",
                        transport=transport,
                    )
                )
                with contextlib.suppress(Exception):  # the echo's answer is no image
                    payload.through_diffusers(address)
                with contextlib.suppress(Exception):
                    client.post(payload.post(address), time.monotonic() + _WITHIN_S, 2**20)
                with contextlib.suppress(Exception):
                    payload.result(*_answer(payload))
        client.close()


def _answer(payload: Payload) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a good answer."""
    transport = payload.case.transport
    if payload.case.operation == "decode" and transport in FILE_TRANSPORTS:
        buffer = io.BytesIO()
        Image.new("RGB", (_SIDE, _SIDE)).save(buffer, "JPEG" if transport == "jpg" else "PNG")
        return buffer.getvalue(), {}
    partial = transport == "pt-partial"
    values = torch.zeros(payload.shape, dtype=torch.uint8 if partial else torch.float32)
    return bytes_of(values), {"shape": str(list(values.shape)), "dtype": "uint8" if partial else "float32"}
