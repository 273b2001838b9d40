"""A device's `workspaces.json`, beside its runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.record import WORKSPACES_VERSION, Workspaces
from bench.store.beside import Beside

WORKSPACES = "workspaces.json"
_FILE = Beside(
    name=WORKSPACES,
    model=Workspaces,
    version=WORKSPACES_VERSION,
    what="a device's workspaces",
    command="bench calibrate",
    kind=lambda found: (found.device.name, found.cudnn),
)


def write_workspaces(folder: Path, workspaces: Workspaces) -> Path:
    """Write a device's workspaces as `workspaces.json` in its results folder, in the place of older ones.

    Raises ResultsError.
    """
    return _FILE.write(folder, workspaces)


def read_workspaces(paths: Sequence[Path]) -> tuple[list[Workspaces], list[str]]:
    """The workspaces in these folders or beside these results files, the newest of each device (by name) and cuDNN.

    A file that can't be read as such is left out with a warning; paths that do not exist hold none.
    """
    return _FILE.read(paths)
