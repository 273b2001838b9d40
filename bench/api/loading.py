"""`bench.load`: results as a DataFrame."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench import store
from bench.api.argument_types import Paths
from bench.api.arguments import named_errors, warn
from bench.report.export import frame

if TYPE_CHECKING:
    import pandas as pd


def load(results: Paths | None = None, *, all_runs: bool = False) -> pd.DataFrame:
    """The records of results files and folders, a row each.

    `bench export --columns` lists the columns. Times are in seconds and memory in bytes. The column `kind` says
    whether a row was measured, published or predicted.

    Args:
        results: files and folders; by default results/ if it exists, and the docs' published figures.
        all_runs: give every record. Otherwise a case that was run several times has the record of its latest finished
            run, as in the pages of `bench report`.

    Raises ResultsError, a BenchError, if a path does not exist or has no usable line. Lines that can't be used and runs
    that did not finish are Python warnings.
    """
    paths = [Path(path) for path in paths_of(results)] or store.usual_folders()
    with named_errors():
        records, notes = store.read_all(paths) if all_runs else store.read_latest(paths)
        ceilings, more = store.read_ceilings(paths)
    warn([*notes, *more])
    return frame.of_records(records, ceilings)


def paths_of(results: Paths | None) -> list[str | os.PathLike[str]]:
    """One path, or each of several; none for None."""
    if results is None:
        return []
    return [results] if isinstance(results, (str, os.PathLike)) else list(results)
