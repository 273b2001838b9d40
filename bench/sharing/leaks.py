"""What results may say of a person or a private machine: looked for again before anything becomes public.

Records hold no host or user names by design. An error's text, the path of a checkpoint or an older line may.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from platform import node
from typing import Any, Literal

from bench.errors import printable
from bench.record import Record, Remote

Kind = Literal["name", "endpoint", "token"]

#: Paths: of a user (Linux, macOS, Windows), or absolute ones of two and more folders.
_PATH = re.compile(r"(?:(?<![\w./:-])/(?:[\w.@+-]+/)+[\w.@+-]+|\b[A-Za-z]:\\[^\s\"']+|(?<!\w)~/[\w./-]+)")
#: Folders whose content is the same on every machine.
_OF_THE_SYSTEM = re.compile(r"/(?:usr|lib|lib64|opt|etc|proc|sys|dev|bin|sbin|run|nix|snap|app|workspace)/")
#: Secrets of services, as they begin.
_TOKEN = re.compile(r"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16})")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}\b")
_URL = re.compile(r"\b(?:https?|wss?)://[^\s\"'<>]+")
#: Names of users and hosts that distinguish nobody.
_NOBODY = {
    "root",
    "user",
    "users",
    "ubuntu",
    "debian",
    "admin",
    "runner",
    "localhost",
    "jovyan",
    "colab",
    "gpu",
    "cuda",
}
#: Names shorter than this are words of other things.
_LEAST_NAME = 3
#: URLs that name no private place.
_PUBLIC = re.compile(r"https?://(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|(?:[\w-]+\.)*(?:pytorch\.org|nvidia\.com))\b")
_PUBLIC_PAGES = re.compile(r"https?://(?:www\.)?(?:github\.com|huggingface\.co)/")


@dataclass(frozen=True, slots=True)
class Leak:
    """A text that says too much, the field that it is in, and its kind. A secret is never repeated."""

    kind: Kind
    where: str
    field: str
    text: str

    def __str__(self) -> str:
        shown = "a token" if self.kind == "token" else repr(printable(self.text, 80))
        return f"{self.where}: `{self.field}` has {shown}"


def names_here() -> frozenset[str]:
    """The names of this user, this host and the user's folder, if they distinguish anybody."""
    names = {node(), node().partition(".")[0]}
    with suppress(OSError, KeyError, RuntimeError):  # a container's user may have no entry
        names |= {getuser(), Path.home().name}
    return frozenset(name for name in names if len(name) >= _LEAST_NAME and name.lower() not in _NOBODY)


def of_records(records: Iterable[tuple[Record, str]], names: Iterable[str]) -> Iterator[Leak]:
    """The leaks of records, each given with its file and line; `names` are those of users and hosts."""
    pattern = _pattern(names)
    for record, where in records:
        remote = record.remote
        if remote is not None and not remote.endpoint.is_loopback:
            yield Leak("endpoint", where, "remote.endpoint.url", remote.endpoint.url)
        data = record.model_dump(mode="json")
        yield from _of_value(data, where, pattern, urls=remote is None or not _knows(remote))


def of_json(content: bytes, where: str, names: Iterable[str]) -> Iterator[Leak]:
    """The leaks of a JSON file."""
    yield from _of_value(json.loads(content), where, _pattern(names), urls=True)


def _knows(remote: Remote) -> bool:
    """Whether the record's endpoint was named as a leak already, so that its address is not named for each field."""
    return not remote.endpoint.is_loopback


def _pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    escaped = sorted(map(re.escape, names))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(escaped)})(?![A-Za-z0-9])", re.IGNORECASE) if escaped else None


def _of_value(
    value: Any, where: str, pattern: re.Pattern[str] | None, *, urls: bool, field: str = ""
) -> Iterator[Leak]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _of_value(inner, where, pattern, urls=urls, field=f"{field}.{name}" if field else str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _of_value(inner, where, pattern, urls=urls, field=field)
    elif isinstance(value, str):
        yield from _of_text(value, where, field, pattern, urls=urls)


def _of_text(text: str, where: str, field: str, pattern: re.Pattern[str] | None, *, urls: bool) -> Iterator[Leak]:
    if _TOKEN.search(text):
        yield Leak("token", where, field, "")
        return
    without_urls = _URL.sub(" ", text)
    for address in _URL.findall(text) if urls else ():
        if not _PUBLIC.match(address) and not _PUBLIC_PAGES.match(address):
            yield Leak("endpoint", where, field, address)
    paths = [path for path in _PATH.findall(without_urls) if not _OF_THE_SYSTEM.match(path)]
    persons = [*_EMAIL.findall(without_urls), *(pattern.findall(without_urls) if pattern else [])]
    yield from (Leak("name", where, field, name) for name in dict.fromkeys([*paths, *persons]))
