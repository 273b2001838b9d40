"""Keeps figures of a stand-in for a device (the tests' CUDA on a CPU) out of results and reports."""

from __future__ import annotations

from pathlib import Path

from bench.errors import ResultsError
from bench.record import EndpointFacts, Environment, Record

#: The name of the folder in which measurements are kept.
_KEPT = "results"
LEFT_OUT = "left out, because a stand-in took the device's place and the figures are of no device"


def stand_in_of(environment: Environment | None, endpoint: EndpointFacts | None = None) -> str | None:
    """What took the device's place here or, for figures of an endpoint, on its server; None if the device was real."""
    here = environment.stand_in if environment else None
    return here or (endpoint.stand_in if endpoint else None)


def record_stand_in(record: Record) -> str | None:
    """What took the place of the device that the record's figures are of; None if the device was real."""
    return stand_in_of(record.environment, record.remote.endpoint if record.remote else None)


def refuse_stand_in(folder: Path, stand_in: str | None) -> None:
    """Raise ResultsError if figures of a stand-in are about to go into a folder named `results`, or below one."""
    if stand_in is not None and _KEPT in folder.resolve().parts:
        raise ResultsError(
            f"{folder}: the device is a stand-in ({stand_in}), whose figures must not lie among measured ones. Choose "
            f"another folder with --out, outside any named {_KEPT!r}."
        )
