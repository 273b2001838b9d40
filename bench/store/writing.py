"""Writes results files: a run's line by line, durably; published and predicted records as one file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bench.errors import ResultsError
from bench.record import Kind, Record
from bench.store.disk import append_bytes, reported, write_whole
from bench.store.reading import read_file
from bench.store.stand_in import record_stand_in, refuse_stand_in


class RunFile:
    """The file that a run appends to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def repair(self) -> None:
        """Move a torn end to `NAME.torn`, so that the next line starts on its own. Bad lines stay as they are.

        Raises ResultsError for a file with lines of a newer schema version.
        """
        if not self.path.exists():
            return
        held = read_file(self.path)
        if held.has_newer_lines:
            raise ResultsError(f"{self.path} has lines of a newer schema version. Update Hybrid Bench to continue it.")
        good = held.good_bytes
        with reported(self.path), self.path.open("r+b") as file:
            file.seek(good)
            tail = file.read()
            if tail.strip():
                with self.path.with_name(f"{self.path.name}.torn").open("ab") as aside:
                    aside.write(tail + b"\n")
            file.truncate(good)
            if good:
                file.seek(good - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())

    def append(self, *records: Record) -> None:
        """Write one line per record, all at once, and flush them to the disk. On failure the file is unchanged.

        Raises ResultsError (disk full, read-only folder, ...).
        """
        for record in records:
            refuse_stand_in(self.path.parent, record_stand_in(record))
        lines = b"".join(record.to_json().encode() + b"\n" for record in records)
        with reported(self.path):
            if self.path.exists():
                append_bytes(self.path, lines)
            else:  # the first line creates the file, so that no file lacks a record
                write_whole(self.path, lines)


def replace(path: Path, records: Iterable[Record], kind: Kind) -> None:
    """Write published or predicted records as one file, in place of an older file of that kind.

    Raises ResultsError if the file holds anything else.
    """
    if path.exists():
        held = read_file(path)
        if held.warnings or any(record.kind != kind for record in held.records):
            raise ResultsError(f"{path} holds lines that are not {kind} records. Choose another file with --out.")
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, b"".join(record.to_json().encode() + b"\n" for record in records))
