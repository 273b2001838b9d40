"""The fitted figures that come with the program, so that nothing is fitted, nor scipy loaded, to predict.

`make time-model` writes them from the published times that come with the program as well. They hold for exactly those
times: with others, such as a user's own measurements, the model is fitted again (`clock.fitted`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.analysis.speed.clock import Clock
from bench.errors import BenchError

#: The file of the figures.
PATH = Path(__file__).with_name("fitted.json")


@dataclass(frozen=True, slots=True)
class ShippedClock:
    """The model, and a digest of the times that it was fitted on (`observation.digest`)."""

    times: str
    clock: Clock


@cache
def load() -> ShippedClock:
    """The model that comes with the program. Raises BenchError for a broken file."""
    try:
        return _adapter().validate_json(PATH.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
        raise BenchError(f"Can't read {PATH.name}, which came with the program ({why}). Install it again.") from None


def to_json(shipped: ShippedClock) -> bytes:
    """The content of the file."""
    return _adapter().dump_json(shipped, indent=1) + b"\n"


@cache
def _adapter() -> TypeAdapter[ShippedClock]:
    return TypeAdapter(ShippedClock)
