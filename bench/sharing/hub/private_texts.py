"""What results may say of a person or a private machine: looked for before anything becomes public.

Records hold no host or user names by design. An error's text, the path of a checkpoint or an older line may. What
`bench contribute` would replace by a marker is what a push refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.errors import printable
from bench.record import Record
from bench.sharing.privacy import MARKER, OwnName, Remover, names_of_this_machine, ordinary_words

Kind = Literal["token", "endpoint", "name"]

_SECRETS, _ADDRESS = {"<secret>", "<token>"}, "<address>"


@dataclass(frozen=True, slots=True)
class Leak:
    """A text that says too much, its file and field, and its kind. A secret is not repeated."""

    kind: Kind
    where: str
    field: str
    text: str

    def __str__(self) -> str:
        shown = "a token or another secret" if self.kind == "token" else repr(printable(self.text, 80))
        return f"{self.where}: `{self.field}` has {shown}"


def names_here(records: Iterable[Record]) -> tuple[OwnName, ...]:
    """The names of this machine and its user; words of these records' hardware count only in paths."""
    hardware = {(record.device.name, record.environment.host_cpu if record.environment else "") for record in records}
    return names_of_this_machine(ordinary_words(*(text for pair in hardware for text in pair)))


@dataclass(slots=True)
class Search:
    """A search for these names, and for shapes of secrets, addresses and paths. Equal texts are searched once."""

    names: Sequence[OwnName]
    _remover: Remover = field(init=False)
    _known: dict[str, Kind | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compile the names."""
        self._remover = Remover(self.names)

    def of_record(self, record: Record, where: str) -> Iterator[Leak]:
        """The leaks of a record of a file."""
        remote = record.remote
        if remote is not None and not remote.endpoint.is_loopback:
            yield Leak("endpoint", where, "remote.endpoint.url", remote.endpoint.url)
        yield from self._of_value(record.model_dump(mode="json"), where, "")

    def of_json(self, content: bytes, where: str) -> Iterator[Leak]:
        """The leaks of a JSON file."""
        yield from self._of_value(json.loads(content), where, "")

    def _of_value(self, value: Any, where: str, name: str) -> Iterator[Leak]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from self._of_value(inner, where, f"{name}.{key}" if name else str(key))
        elif isinstance(value, list | tuple):
            for inner in value:
                yield from self._of_value(inner, where, name)
        elif isinstance(value, str):
            kind = self._kind(value)
            if kind is not None:
                yield Leak(kind, where, name, value)

    def _kind(self, text: str) -> Kind | None:
        if text not in self._known:
            self._known[text] = self._searched(text)
        return self._known[text]

    def _searched(self, text: str) -> Kind | None:
        """The kind of leak in a text, the worst of several; None if there is none."""
        cleaned = json.loads(self._remover.file("x.json", json.dumps(text).encode()))
        if cleaned == text:
            return None
        markers = set(MARKER.findall(cleaned)) - set(MARKER.findall(text))
        if markers & _SECRETS:
            return "token"
        return "endpoint" if _ADDRESS in markers or "://<host>" in cleaned else "name"
