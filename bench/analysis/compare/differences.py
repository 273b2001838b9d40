"""What else differs between two sides: kinds of record, software, settings. Imports `record` and `units`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.core.units import one_line
from bench.record import Environment, GpuSettings, MeasureSettings, Record

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the sides do not have in common: every value that each side has of it, as text."""

    name: str
    base: tuple[str, ...]
    head: tuple[str, ...]

    @property
    def inside(self) -> bool:
        """Whether it already differs inside a side."""
        return max(len(self.base), len(self.head)) > 1

    @property
    def told(self) -> str:
        """In words: `torch: base 2.12.0, head 2.13.0`."""
        return one_line(f"{self.name}: base {' and '.join(self.base)}, head {' and '.join(self.head)}")


def card_differences(base: Sequence[Record], head: Sequence[Record]) -> tuple[Difference, ...]:
    """Whether other cards of one name were measured, where every record says which card it is of."""
    sides = [{record.device.identity for record in records} for records in (base, head)]
    if any(None in cards for cards in sides) or sides[0] == sides[1]:
        return ()
    told = [tuple(sorted(card for card in cards if card is not None)) for cards in sides]
    return (Difference("card", *told),)


def software_differences(base: Sequence[Record], head: Sequence[Record]) -> tuple[Difference, ...]:
    """What differs between or inside the records of both sides, machine apart."""
    found: list[Difference] = []
    for group, facets in _FACETS.items():
        of_base, of_head = _values(facets(base)), _values(facets(head))
        if bool(of_base) != bool(of_head):
            told_of = (("known",) if one else ("not known",) for one in (of_base, of_head))
            found.append(Difference(group, *told_of))
            continue
        names = dict.fromkeys([*of_base, *of_head])
        both = [Difference(name, *(tuple(one.get(name, ("none",))) for one in (of_base, of_head))) for name in names]
        found += [one for one in both if one.base != one.head or one.inside]
    return tuple(found)


def _values(facets: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """All values of each facet, sorted; `none` among them where one of them does not have it."""
    names = dict.fromkeys(name for one in facets for name in one)
    return {name: sorted({one.get(name, "none") for one in facets}) for name in names}


def _kinds(records: Sequence[Record]) -> list[dict[str, str]]:
    return [{"kind of record": kind} for kind in {record.kind for record in records}]


def _environments(records: Sequence[Record]) -> list[dict[str, str]]:
    return [_environment(one) for one in _distinct(record.environment for record in records)]


def _settings(records: Sequence[Record]) -> list[dict[str, str]]:
    return [
        {f"measure.{name}": _word(getattr(one, name)) for name in MeasureSettings.model_fields}
        for one in _distinct(record.measure for record in records)
    ]


#: What may differ, by what it is told of where only one side has it at all.
_FACETS: dict[str, Callable[[Sequence[Record]], Sequence[Mapping[str, str]]]] = {
    "kind of record": _kinds,
    "software": _environments,
    "measure settings": _settings,
}


def _distinct(values: Iterable[_T | None]) -> list[_T]:
    """Those that are there, each once; they need not be hashable, and most are one and the same object."""
    found: list[_T] = []
    for value in values:
        if value is not None and not any(value is one or value == one for one in found):
            found.append(value)
    return found


def _environment(environment: Environment) -> dict[str, str]:
    names = ("project_commit", "python", "os", "driver", "cuda", "cudnn", "threads")
    facets = {name.replace("_", " "): _word(getattr(environment, name)) for name in names}
    for name, package in environment.packages.items():
        facets[name] = f"{package.version} ({package.commit})" if package.commit else package.version
    facets |= {f"${name}": value for name, value in environment.variables.items()}
    if environment.gpu is not None:
        settings = [name for name in GpuSettings.model_fields if name != "neighbours"]
        facets |= {f"gpu {name.replace('_', ' ')}": _word(getattr(environment.gpu, name)) for name in settings}
    return facets


def _word(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
