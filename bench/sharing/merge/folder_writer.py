"""Writes merged files into a results folder, beside runs and other merges that may be writing there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import store
from bench.errors import ResultsError
from bench.sharing.merge.provenance import NAME
from bench.sharing.merge.result_lines import LinesFile
from bench.store.disk import reported

_AGAIN = "Run the same command again."


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other merges off a folder that exists. Raises ResultsError if there is one."""
    with store.claimed(folder / NAME) as is_free:
        if not is_free:
            raise ResultsError(
                f"Another command is merging into {folder}. Wait until it ends, then run this one again."
            )
        yield


@dataclass(frozen=True, slots=True)
class FolderWriter:
    """Writes files below a folder, each as a whole or not at all."""

    folder: Path

    def write(self, place: str, data: bytes) -> None:
        """Create or replace a file. Raises ResultsError."""
        path = self.folder / place
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            store.write_whole(path, data)

    def check(self, place: str, before: LinesFile | None) -> None:
        """Check that no run is writing a results file. Raises ResultsError."""
        if before is not None:
            with self._claimed(place):
                pass

    def replace(self, place: str, data: bytes, before: LinesFile | None) -> None:
        """Write a results file in the place of what it was `before`.

        Raises ResultsError if a run is writing it, or if it has changed since it was read.
        """
        path = self.folder / place
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._claimed(place):
            size = path.stat().st_size if path.exists() else None
            if size != (None if before is None else before.size_bytes):
                raise ResultsError(f"{path} changed while results were merged into it. {_AGAIN}")
            self.write(place, data)

    @contextmanager
    def _claimed(self, place: str) -> Iterator[None]:
        path = self.folder / place
        with store.claimed(path) as is_free:
            if not is_free:
                raise ResultsError(
                    f"A `bench run` is writing {path}. Wait until it ends, then run the same command again."
                )
            yield
