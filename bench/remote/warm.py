"""Warms up this process before the first case: diffusers' lazy modules, Pillow's codecs, both clients' connections."""

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
from bench.remote.image_body import ImageBody
from bench.remote.payloads import bytes_of
from bench.remote.payloads.echo import serving
from bench.remote.request_body import make
from bench.wire.address import Endpoints, Redactor, parse
from bench.workloads import models

_SIDE = 64
_WITHIN_S = 10.0


@cache
def warm() -> None:
    """Send a small payload of each kind to an echo on this machine, and read a valid answer; once per process.

    Errors are ignored, because the cases will meet and report them.
    """
    axes = models.square("tiny", _SIDE)
    with serving() as url:
        address = parse(url)
        proxies.spare(address)
        client = Client(address, None, Redactor(Endpoints(address), None), kept=False)
        kind = models.workload("tiny")
        for operation in kind.operations:
            for transport in kind.transports(operation):
                payload = make(Case(model="tiny", operation=operation, axes=axes, dtype="float32", transport=transport))
                with contextlib.suppress(Exception):  # the echo's answer is not an image
                    payload.through_diffusers(address)
                with contextlib.suppress(Exception):
                    client.post(payload.post(address), time.monotonic() + _WITHIN_S, 2**20)
                with contextlib.suppress(Exception):
                    payload.result(*_answer(payload))
        client.close()


def _answer(payload: ImageBody) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a valid answer."""
    transport = payload.case.transport
    if payload.case.operation == "decode" and transport in FILE_TRANSPORTS:
        buffer = io.BytesIO()
        Image.new("RGB", (_SIDE, _SIDE)).save(buffer, "JPEG" if transport == "jpg" else "PNG")
        return buffer.getvalue(), {}
    partial = transport == "pt-partial"
    values = torch.zeros(payload.shape, dtype=torch.uint8 if partial else torch.float32)
    return bytes_of(values), {"shape": str(list(values.shape)), "dtype": "uint8" if partial else "float32"}
