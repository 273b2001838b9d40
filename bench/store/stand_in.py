"""Keeps figures that were made with a stand-in for a device (the tests' CUDA on a CPU) out of results and reports."""

from __future__ import annotations

from pathlib import Path

from bench.errors import ResultsError
from bench.record import EndpointFacts, Environment, Record

#: The name of folders of measurements.
_RESULTS = "results"
LEFT_OUT = "left out: made with a stand-in for the device, so the figures describe no real device"


def stand_in_of(environment: Environment | None, endpoint: EndpointFacts | None = None) -> str | None:
    """The stand-in for the device here or, if there is an endpoint, on its server; None if the device was real."""
    local = environment.stand_in if environment else None
    return local or (endpoint.stand_in if endpoint else None)


def record_stand_in(record: Record) -> str | None:
    """The stand-in for the device that the record was made with; None if the device was real."""
    return stand_in_of(record.environment, record.remote.endpoint if record.remote else None)


def refuse_stand_in(folder: Path, stand_in: str | None) -> None:
    """Raise ResultsError if the folder is named `results`, or is inside such a folder, and there is a stand-in."""
    if stand_in is not None and _RESULTS in folder.resolve().parts:
        raise ResultsError(
            f"{folder}: figures of a stand-in ({stand_in}) must not be among measured ones. Choose a folder outside "
            f"any named {_RESULTS!r} with --out."
        )
