"""Replaces what identifies a person or a machine by markers, in text and in the strings of JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.sharing.privacy.own_names import SECRET, OwnName
from bench.sharing.privacy.shapes import PATHS, SHAPES

#: A key of JSON whose value is a secret, and the value.
_SECRET_VALUE = re.compile(
    r'("[\w-]{0,60}(?:token|secret|password|passwd|api[_-]?key|access[_-]?key|credentials?)"\s*:\s*)"(?:[^"\\]|\\.)+"',
    re.IGNORECASE,
)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
#: What stands where something was removed.
MARKER = re.compile(r"<(?:home|folder|user|host|address|mac|serial|secret|token|uuid|email|path|value)>")
#: A version or an address alone in a string. Of these only this machine's own addresses are replaced: `10.3.9.90`.
_DOTTED = re.compile(r"v?\d+(?:\.\d+){1,4}(?:[-+]\w+)?")


@dataclass(slots=True)
class Remover:
    """Replaces these names of a machine, and whatever has the shape of a secret, an address or a path.

    Replacing twice changes nothing more. `counts` has how often each marker stands in what was returned.
    """

    names: Sequence[OwnName]
    counts: Counter[str] = field(default_factory=Counter)
    _own: list[tuple[re.Pattern[str], str]] = field(init=False)
    _strings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compile the names."""
        self._own = [(_pattern(name), name.marker) for name in self.names]

    def file(self, name: str, content: bytes) -> bytes:
        """A file without what identifies: `.json` and `.jsonl` stay valid, and their numbers as they are."""
        text = content.decode("utf-8", errors="replace")
        if name.endswith(".jsonl"):
            text = "".join(self._json(line) for line in text.splitlines(keepends=True))
        else:
            text = self._json(text) if name.endswith(".json") else self._text(text)
        self.counts.update(MARKER.findall(text))
        return text.encode()

    def line(self, text: str) -> str:
        """A text without what identifies."""
        cleaned = self._text(text)
        self.counts.update(MARKER.findall(cleaned))
        return cleaned

    def _json(self, text: str) -> str:
        try:
            json.loads(text)
        except (ValueError, RecursionError):  # a torn line
            return self._text(text)
        return _STRING.sub(self._string, _SECRET_VALUE.sub(rf'\1"{SECRET}"', text))

    def _string(self, match: re.Match[str]) -> str:
        """A string of JSON, with its quotes. Files repeat most of theirs, so each is looked at once."""
        token = match[0]
        if token not in self._strings:
            text = json.loads(token)
            cleaned = self._named(text) if _DOTTED.fullmatch(text) else self._text(text)
            self._strings[token] = token if cleaned == text else json.dumps(cleaned)
        return self._strings[token]

    def _text(self, text: str) -> str:
        for shape, replace in SHAPES:
            text = shape.sub(replace, text)
        text = self._named(text)
        for shape, replace in PATHS:
            text = shape.sub(replace, text)
        return self._named(text)  # what is left of a path may be a name

    def _named(self, text: str) -> str:
        """With the names replaced, until nothing changes: what is beside a marker may have become a word."""
        before = None
        while text != before:
            before = text
            for pattern, marker in self._own:
                text = _outside_markers(pattern, marker, text)
        return text


def _outside_markers(pattern: re.Pattern[str], marker: str, text: str) -> str:
    """Replace outside of markers: somebody may be called `user`."""
    if not pattern.search(text):
        return text
    parts, last = [], 0
    for there in MARKER.finditer(text):
        parts += [pattern.sub(marker, text[last : there.start()]), there[0]]
        last = there.end()
    return "".join([*parts, pattern.sub(marker, text[last:])])


def _pattern(name: OwnName) -> re.Pattern[str]:
    literal = "|".join(map(re.escape, sorted(name.spellings, key=len, reverse=True)))
    literal = f"(?:{literal})"
    if name.where == "as a word":
        literal = rf"(?<![A-Za-z0-9]){literal}(?![A-Za-z0-9])"
    elif name.where == "in paths":
        folder = r"(?<!results/)(?<!measured/)(?<!logs/)"  # of a device
        literal = rf"(?<=[/\\@]){folder}{literal}(?![A-Za-z0-9._-])|(?<![A-Za-z0-9]){literal}(?=@)"
    elif name.marker in {"<home>", "<folder>"}:
        literal = rf"{literal}(?![A-Za-z0-9])"
    return re.compile(literal, re.IGNORECASE if name.ignores_case else 0)
