"""A search of the final bytes for what should not be in them. It shares no code with what removes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.sharing.privacy.own_names import OwnName

_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
#: What no bundle holds, whoever made it.
_FOREIGN = (
    (re.compile(rb"\bGPU-[0-9a-f]{8}-[0-9a-f]{4}-", re.I), "a GPU's UUID"),
    (re.compile(rb"\bhf_[A-Za-z0-9]{20,}"), "a token"),
    (re.compile(rb"://[^\s/\"'@]+:[^\s/\"'@]+@"), "a URL with a password"),
    (re.compile(rb"(?:/home/|/Users/|\\Users\\)[\w.-]"), "a home folder"),
)


@dataclass(frozen=True, slots=True)
class Leak:
    """A place in a file that still holds what identifies; `what` does not quote it."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what}"


def leaks(files: Mapping[str, bytes], names: Sequence[OwnName]) -> list[Leak]:
    """Where the names, or what no bundle may hold, are in these files or in their names; each kind once a file."""
    left = []
    for name, content in files.items():
        lowered = content.lower()
        for own in names:
            place = next(_places(own, content, lowered), None)
            if place is None and next(_places(own, name.encode(), name.lower().encode()), None) is not None:
                place = 0
            if place is not None:
                left.append(Leak(name, content.count(b"\n", 0, place) + 1, f"this machine's {own.marker}"))
        for pattern, what in _FOREIGN:
            match = pattern.search(content)
            if match:
                left.append(Leak(name, content.count(b"\n", 0, match.start()) + 1, what))
    return list(dict.fromkeys(left))


def _places(own: OwnName, content: bytes, lowered: bytes) -> Iterator[int]:
    """Where a name begins in a file, in any of the ways that files spell it."""
    for spelling in own.spellings:
        wanted = spelling.encode(errors="surrogateescape")
        text, wanted = (lowered, wanted.lower()) if own.ignores_case else (content, wanted)
        place = text.find(wanted)
        while place >= 0:
            if _counts(own, text, place, place + len(wanted)):
                yield place
            place = text.find(wanted, place + 1)


def _counts(own: OwnName, text: bytes, begin: int, end: int) -> bool:
    before, after = text[begin - 1 : begin] if begin else b"", text[end : end + 1]
    if before == b"<" and after == b">":  # a marker: somebody may be called `user`
        return False
    starts, ends = before == b"" or before[0] not in _LETTERS, after == b"" or after[0] not in _LETTERS
    if own.where == "in paths":
        if text[max(0, begin - 9) : begin].endswith((b"results/", b"measured/", b"logs/")):  # a device's folder
            return False
        is_whole = ends and after not in {b"-", b"_", b"."}  # not the beginning of a file's name
        return (before in {b"/", b"\\", b"@"} and is_whole) or (starts and after == b"@")
    if own.where == "as a word":
        return starts and ends
    return ends or own.marker not in {"<home>", "<folder>"}
