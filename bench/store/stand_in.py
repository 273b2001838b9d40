"""Keeps figures of a stand-in for a device (the tests' torch.cuda on a CPU) out of results and reports."""

from __future__ import annotations

from pathlib import Path

from bench.errors import ResultsError
from bench.record import Environment

#: The name of the folder in which measurements are kept.
_KEPT = "results"
LEFT_OUT = "left out, because a stand-in took the device's place and the figures are of no device"


def held_by_stand_in(environment: Environment | None) -> bool:
    """Whether a stand-in took the device's place."""
    return environment is not None and environment.stand_in is not None


def refuse_stand_in(folder: Path, environment: Environment | None) -> None:
    """Raise ResultsError if figures of a stand-in are about to go into a folder named `results`, or below one."""
    if environment is not None and environment.stand_in is not None and _KEPT in folder.resolve().parts:
        raise ResultsError(
            f"{folder}: the device is a stand-in ({environment.stand_in}), whose figures must not lie among measured "
            f"ones. Choose another folder with --out, outside any named {_KEPT!r}."
        )
