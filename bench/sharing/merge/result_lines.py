"""The lines of results files that are merged: which record each has and where it is, without keeping its text.

The texts of 100,000 records would take 330 MB. The text of a line is read again when it is needed.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from bench.core.garbage import uncollected
from bench.errors import ResultsError
from bench.record import Case, Device, Kind, Record, Run
from bench.store.line import TornLineError
from bench.store.migrations import NewerLineError
from bench.store.stand_in import record_stand_in
from bench.store.unbuilt import UnbuiltRecord, unbuilt_record

#: (case id, device, identity, VRAM limit, kind, run): `Record.key`.
Key = tuple[str, str, str | None, int | None, str, str]
#: How the last field of a line begins. No text in a line can hold it, because its quotes would be escaped.
_RECORDED_AT = b'"recorded_at":"'


class Line(msgspec.Struct, frozen=True, gc=False):
    """A good line: its place, its record's key and what else decides where it goes. A dataclass takes longer to make.

    `file` is the place of its file among those that are merged, `begin` and `size` are in bytes, without the newline.
    """

    file: int
    number: int
    begin: int
    size: int
    digest: bytes
    key: Key
    kind: Kind
    case: Case
    device: Device
    run: Run
    vram_limit_bytes: int | None
    recorded_at: str
    is_remote: bool


@dataclass(frozen=True, slots=True)
class LinesFile:
    """A results file that is merged.

    Attributes:
        path: where it can be read again.
        name: what messages call it.
        sha256: of its whole content.
        bad: a message for each line that can't be used.
        stand_in: what stood in for the device of one of its records; None if all devices were real.
        data: its content, if it is not read from `path`.
    """

    path: Path
    name: str
    sha256: str
    size_bytes: int
    lines: tuple[Line, ...]
    bad: tuple[str, ...] = ()
    has_newer_lines: bool = False
    stand_in: str | None = None
    data: bytes | None = None

    def texts(self, lines: Iterable[Line]) -> list[bytes]:
        """The texts of some of its lines, in the order given. Raises ResultsError if the file has changed."""
        try:
            with self._open() as file:
                texts = [_at(file, line) for line in lines]
        except OSError as error:
            raise ResultsError(f"Can't read {self.path}: {error.strerror}.") from None
        if None in texts:
            raise ResultsError(f"{self.path} changed while it was merged. Run the same command again.")
        return [text for text in texts if text is not None]

    def _open(self) -> BinaryIO:
        return self.path.open("rb") if self.data is None else io.BytesIO(self.data)


def _at(file: BinaryIO, line: Line) -> bytes | None:
    file.seek(line.begin)
    text = file.read(line.size)
    return text if _digest(text) == line.digest else None


def read_lines(number: int, path: Path, name: str, data: bytes | None = None) -> LinesFile:
    """Read and check a file, of which no line is kept. `number` is its place among those that are merged.

    Raises ResultsError if it can't be read.
    """
    try:
        if data is None and not path.is_file():
            raise ResultsError(f"{path} is not a regular file. Write the results to a file, then merge it.")
        with path.open("rb") if data is None else io.BytesIO(data) as file, uncollected(freeze=False):
            reader = _Reader(number, name)
            reader.read(file)
    except OSError as error:
        raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
    return LinesFile(
        path,
        name,
        reader.sha256.hexdigest(),
        reader.end,
        tuple(reader.lines),
        tuple(reader.bad),
        reader.has_newer_lines,
        reader.stand_in,
        data,
    )


class _Reader:
    """Reads one file line by line."""

    def __init__(self, number: int, where: str) -> None:
        self.lines: list[Line] = []
        self.bad: list[str] = []
        self.sha256 = hashlib.sha256()
        self.end = 0
        self.has_newer_lines = False
        self.stand_in: str | None = None
        self._number, self._where = number, where

    def read(self, file: BinaryIO) -> None:
        for number, raw in enumerate(file, start=1):
            self.sha256.update(raw)
            begin, self.end = self.end, self.end + len(raw)
            if raw.isspace():
                continue
            text = raw.removesuffix(b"\n")
            try:
                self._add(text, number, begin)
            except TornLineError as error:
                torn = f"{self._where}: the last line is incomplete ({len(text)} bytes)."
                self.bad.append(str(error) if raw.endswith(b"\n") else torn)
            except ResultsError as error:
                self.has_newer_lines |= isinstance(error, NewerLineError)
                self.bad.append(str(error))

    def _add(self, text: bytes, number: int, begin: int) -> None:
        record = unbuilt_record(text, f"{self._where}, line {number}")
        if isinstance(record, UnbuiltRecord):
            moment, stand_in, is_remote = _moment(text), record.stand_in, False
        else:
            moment, stand_in, is_remote = record.recorded_at, record_stand_in(record), record.remote is not None
        self.stand_in = self.stand_in or stand_in
        self.lines.append(
            Line(
                self._number,
                number,
                begin,
                len(text),
                _digest(text),
                record.key,
                record.kind,
                record.case,
                record.device,
                record.run,
                record.vram_limit_bytes,
                moment,
                is_remote,
            )
        )


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def _moment(text: bytes) -> str:
    """When the record of a line as this program writes it was made."""
    begin = text.rindex(_RECORDED_AT) + len(_RECORDED_AT)
    return text[begin : text.index(b'"', begin)].decode()


def record_in(files: Sequence[LinesFile], line: Line) -> Record:
    """The whole record of a line. Raises ResultsError if its file has changed."""
    file = files[line.file]
    (text,) = file.texts([line])
    record = unbuilt_record(text, f"{file.name}, line {line.number}")
    return record.build() if isinstance(record, UnbuiltRecord) else record
