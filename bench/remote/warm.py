"""Warms up this process before the first case: diffusers' lazy modules, Pillow's codecs, both clients' connections."""

from __future__ import annotations

import contextlib
import time
from functools import cache

from bench.record import Axes, Case
from bench.remote import proxies
from bench.remote.http import Client
from bench.remote.payloads.echo import serving
from bench.remote.request_body import make
from bench.wire.address import Endpoints, Redactor, parse
from bench.workloads import models
from bench.workloads.payloads import TextPayload

_SMALL_IMAGE, _SMALL_TEXT = "tiny", "tiny-clip-l"
#: Pixels of a side, or tokens.
_SIDE = 64
_WITHIN_S = 10.0


def warm(case: Case) -> None:
    """Send a small payload of each kind to an echo on this machine, and read a valid answer; once for a kind of model.

    Errors are ignored, because the cases will meet and report them.
    """
    is_text = isinstance(models.workload(case.model).payload(case), TextPayload)
    _warm(_SMALL_TEXT if is_text else _SMALL_IMAGE, "tokens" if is_text else "width")


@cache
def _warm(model: str, side: str) -> None:
    """Warm up with a small model whose cases have this axis."""
    axes = models.square(model, _SIDE) if side == "width" else Axes({side: _SIDE, "batch": 1})
    with serving() as url:
        address = parse(url)
        proxies.spare(address)
        client = Client(address, None, Redactor(Endpoints(address), None), kept=False)
        kind = models.workload(model)
        for operation in kind.operations:
            for transport in kind.transports(operation):
                payload = make(Case(model=model, operation=operation, axes=axes, dtype="float32", transport=transport))
                if payload.has_diffusers_client(None):
                    with contextlib.suppress(Exception):  # the echo's answer is not an image
                        payload.through_diffusers(address)
                with contextlib.suppress(Exception):
                    client.post(payload.post(address), time.monotonic() + _WITHIN_S, 2**20)
                with contextlib.suppress(Exception):
                    payload.result(*payload.valid_answer())
        client.close()
