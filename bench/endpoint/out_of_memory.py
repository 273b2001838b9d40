"""Turns out-of-memory of any kind into a refusal, once the memory of the failed computation is freed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import torch

from bench.core.units import format_bytes
from bench.device.base import Held
from bench.record import Failed
from bench.run.outcome import of_exception
from bench.wire.messages import RefusedError

_NO_MEMORY = 507
T = TypeVar("T")


def guarded(held: Held, less: str, compute: Callable[[], T]) -> T:
    """Return what `compute` returns, without recording gradients. `less`: what would need less memory, in words.

    Raises RefusedError (507) if it ran out of memory; refusals of its own are passed on.
    """
    refusals = held.state().refusals
    try:
        with torch.inference_mode():
            return compute()
    except RefusedError as error:
        refusal = RefusedError(error.status, error.message, error.reason)
    except (RuntimeError, MemoryError) as error:
        now = held.state()
        outcome = of_exception(error, "run", dataclasses.replace(now, refusals=now.refusals - refusals))
        if isinstance(outcome, Failed):
            raise
        requested = f" (requested {format_bytes(outcome.requested_bytes)})" if outcome.requested_bytes else ""
        text = f"The {outcome.where} is out of memory{requested}. Send {less}, or a smaller batch."
        refusal = RefusedError(_NO_MEMORY, text, "out_of_memory")
    # only after the handlers does the traceback release the tensors of the failed frames
    if refusal.status == _NO_MEMORY:
        held.meter.empty()
    raise refusal
