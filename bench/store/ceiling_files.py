"""A device's `ceilings.json`, beside its runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.record import CEILINGS_VERSION, Ceilings
from bench.store.beside import Beside

CEILINGS = "ceilings.json"
_FILE = Beside(
    name=CEILINGS,
    model=Ceilings,
    version=CEILINGS_VERSION,
    what="a device's ceilings",
    command="bench doctor --ceilings",
    kind=lambda found: found.device.name,
)


def write_ceilings(folder: Path, ceilings: Ceilings) -> Path:
    """Write a device's ceilings as `ceilings.json` in its results folder, in the place of older ones.

    Raises ResultsError.
    """
    return _FILE.write(folder, ceilings)


def read_ceilings(paths: Sequence[Path]) -> tuple[list[Ceilings], list[str]]:
    """The ceilings that lie in these folders or beside these results files, the newest of each device (by its name).

    A file that can't be read as such is left out with a warning; paths that do not exist hold none.
    """
    return _FILE.read(paths)
