"""Which file of the merged folder each record goes to: one file for each run, in its device's folder.

Pure. A run is recognised by its id and its plan; one that is in the folder already is extended where it is. Two runs of
one id on different cards are two runs, unless a file holds both: a cluster's run names the card of each record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from bench.record import grouped
from bench.sharing.merge.result_lines import Key, Line, LinesFile

#: A card, as far as records tell cards apart.
_Card = tuple[str, str | None]
#: Whether the records of two lines were measured in one setting, so that one run may continue the other.
Alike = Callable[[Line, Line], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """The records of one run that belong in one file.

    Attributes:
        keys: of its records.
        first: the line that was recorded first.
        order: what parts are sorted by, whatever the order of files.
        is_finished: whether it has every case of its plan.
        identities: of its cards.
    """

    keys: tuple[Key, ...]
    first: Line
    order: tuple[str, str, str, bytes]
    is_finished: bool
    identities: frozenset[str]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Part:
        """The part with these lines."""
        first = min(lines, key=lambda line: (line.run.started_at, line.recorded_at, line.digest))
        return cls(
            keys=tuple(line.key for line in lines),
            first=first,
            order=(first.run.started_at, first.run.id, first.run.plan, min(line.digest for line in lines)),
            is_finished=len({line.key[:-1] for line in lines}) >= max(line.run.cases for line in lines),
            identities=frozenset(line.device.identity for line in lines if line.device.identity is not None),
        )

    @property
    def folder(self) -> str:
        """The device's slug. A page's figures, and predictions, are of several devices: their kind."""
        return self.first.device.slug if self.first.kind == "measured" else self.first.kind


def parts_of(files: Sequence[LinesFile], chosen: Mapping[Key, Line]) -> list[Part]:
    """The parts that these lines make, in their order."""
    cards: dict[tuple[str, ...], _Cards] = {}
    for file in files:
        for group in grouped(file.lines, _run_of):
            cards.setdefault(_run_of(group[0]), _Cards()).join({_card_of(line) for line in group})
    groups = grouped(chosen.values(), lambda line: (_run_of(line), cards[_run_of(line)].set_of(_card_of(line))))
    return sorted(map(Part.of, groups), key=lambda part: part.order)


def _run_of(line: Line) -> tuple[str, ...]:
    """The run of a line. Of what was not measured, all devices belong to one run."""
    place = line.device.slug if line.kind == "measured" else ""
    return line.kind, line.run.id, line.run.plan, place


def _card_of(line: Line) -> _Card:
    """The card of a line, where cards tell runs apart."""
    return (line.device.name, line.device.identity) if line.kind == "measured" else ("", None)


@dataclass(slots=True)
class _Cards:
    """The cards of one run, in sets that a file holds together."""

    sets: list[set[_Card]] = field(default_factory=list)

    def join(self, cards: set[_Card]) -> None:
        touching = [known for known in self.sets if known & cards]
        self.sets = [*(known for known in self.sets if not known & cards), cards.union(*touching)]

    def set_of(self, card: _Card) -> int:
        return next(number for number, known in enumerate(self.sets) if card in known)


def together(parts: Sequence[Part], is_alike: Alike) -> list[list[Part]]:
    """The parts in groups that share a file: unfinished runs of one plan, each of which `bench run` would continue.

    Such runs together count as one, which is finished when together they have all cases.
    """
    groups: list[list[Part]] = []
    unfinished: dict[tuple[object, ...], list[list[Part]]] = {}
    for part in parts:
        first, group = part.first, [part]
        if not (part.is_finished or first.is_remote or first.kind != "measured"):
            sort = (first.run.plan, first.run.sweep, first.device.name, first.vram_limit_bytes)
            alike = unfinished.setdefault(sort, [])
            known = next((group for group in alike if _continues(part, group, is_alike)), None)
            if known is not None:
                known.append(part)
                continue
            alike.append(group)
        groups.append(group)
    return groups


def _continues(part: Part, group: Sequence[Part], is_alike: Alike) -> bool:
    cards = frozenset[str]().union(*(known.identities for known in group))
    if len(cards | part.identities) > 1 and not cards & part.identities:
        return False
    return is_alike(part.first, group[0].first)


def targets(
    groups: Sequence[Sequence[Part]], held: Mapping[str, Collection[Key]], taken: Collection[str]
) -> dict[Key, str]:
    """The file of each record, as a path below the folder.

    `held` are the keys of each file that is there, which stay where they are; `taken` are all names that are taken.
    """
    at = {key: name for name, keys in held.items() for key in keys}
    names = {name.casefold() for name in taken}
    placed: dict[Key, str] = {}
    for group in groups:
        keys = [key for part in group for key in part.keys]
        counts: dict[str, int] = {}
        for key in keys:
            if key in at:
                counts[at[key]] = counts.get(at[key], 0) + 1
        name = min(counts, key=lambda name: (-counts[name], name)) if counts else _free_name(group[0], names)
        names.add(name.casefold())
        placed |= {key: at.get(key, name) for key in keys}
    return placed


def _free_name(part: Part, taken: Collection[str]) -> str:
    """`SLUG/RUN.jsonl`, with a number appended if that is taken."""
    stem, number = part.first.run.stem, 1
    name = str(PurePosixPath(part.folder, f"{stem}.jsonl"))
    while name.casefold() in taken:
        number += 1
        name = str(PurePosixPath(part.folder, f"{stem}-{number}.jsonl"))
    return name
