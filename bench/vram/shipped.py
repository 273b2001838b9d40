"""The traces of the zoo's image VAEs that come with the program, valid for every size. Does not load torch."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.record import Case
from bench.vram import autoencoder_kl
from bench.vram.autoencoder_kl import Architecture
from bench.vram.events import Trace


class ShippedTraces(msgspec.Struct, frozen=True):
    """A file of traces: the architecture of one model, and what it was captured with."""

    model: str
    torch: str
    diffusers: str
    architecture: Architecture


def path_of(model: str) -> Path:
    """The file of a model's traces."""
    return Path(__file__).with_name("traces") / f"{model}.json"


@cache
def of_model(model: str) -> ShippedTraces | None:
    """The traces of a model; None if they do not come with the program. Raises BenchError for a broken file."""
    path = path_of(model)
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=ShippedTraces)
    except (msgspec.MsgspecError, OSError) as error:
        raise BenchError(f"Can't read {path.name}, which came with the program ({error}). Install it again.") from None


@lru_cache(maxsize=256)
def trace_of(case: Case) -> Trace | None:
    """The trace of a case; None if it has to be captured, as for another model or parts of latent pixels."""
    traces = of_model(case.model)
    if traces is None or not autoencoder_kl.can_trace(case, traces.architecture):
        return None
    return autoencoder_kl.trace_of(case, traces.architecture)
