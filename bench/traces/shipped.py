"""The traces of the zoo's image VAEs that come with the program, valid for every size. Does not load torch."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import BenchError, printable
from bench.record import Case
from bench.traces import tape
from bench.traces.events import Trace
from bench.traces.tape import Architecture
from bench.workloads import models
from bench.workloads.vae_classes.vae_class import VaeSpec


class ShippedTraces(msgspec.Struct, frozen=True):
    """A file of traces, and what it was captured from.

    Attributes:
        model: key of the model. Others with the same architecture have the same traces.
        torch, diffusers: their versions.
        config: the model's architecture, as its workload describes it.
        architecture: what a call depends on, with the templates of its passes.
    """

    model: str
    torch: str
    diffusers: str
    config: dict[str, Any]
    architecture: Architecture


def path_of(model: str) -> Path:
    """The file of a model's traces."""
    return Path(__file__).with_name("data") / f"{model}.json"


def architecture_of(model: str) -> dict[str, Any]:
    """The architecture of a model, as its workload describes it."""
    return dict(models.workload(model).architecture(model))


@cache
def of_model(model: str) -> ShippedTraces | None:
    """The traces of a model's architecture; None if they do not come with the program.

    Raises BenchError for a broken file.
    """
    wanted = architecture_of(model)
    alike = (key for key in models.zoo() if path_of(key).is_file() and architecture_of(key) == wanted)
    traces = next(map(_read, alike), None)
    # A file that is older than a change of its model's architecture is of no use.
    return traces if traces is not None and traces.config == wanted else None


@cache
def _read(model: str) -> ShippedTraces:
    try:
        return msgspec.json.decode(path_of(model).read_bytes(), type=ShippedTraces)
    except (msgspec.MsgspecError, OSError, ValueError) as error:
        raise _broken(model, error) from None


def _broken(model: str, error: Exception) -> BenchError:
    reason = printable(f"{type(error).__name__}: {error}", 100)
    return BenchError(f"Can't read {path_of(model).name}, which came with the program ({reason}). Install it again.")


@lru_cache(maxsize=256)
def trace_of(case: Case) -> Trace | None:
    """The trace of a case; None if it has to be captured, as for another model or parts of latent pixels.

    Raises BenchError for a broken file.
    """
    traces = of_model(case.model)
    spec = models.get(case.model)
    if traces is None or not isinstance(spec, VaeSpec) or not tape.can_trace(case, spec, traces.architecture):
        return None
    try:
        return tape.trace_of(case, spec, traces.architecture)
    except (LookupError, TypeError, ValueError) as error:
        raise _broken(traces.model, error) from None
