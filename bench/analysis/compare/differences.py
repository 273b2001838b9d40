"""Differences between two sides besides the machine: kinds of record, software, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.core.units import one_line
from bench.record import Environment, GpuSettings, MeasureSettings, Record

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting whose values differ between the sides, or inside one: all values of each side, as text."""

    name: str
    base: tuple[str, ...]
    head: tuple[str, ...]

    @property
    def is_inside_a_side(self) -> bool:
        """Whether one side alone has several values."""
        return max(len(self.base), len(self.head)) > 1

    @property
    def text(self) -> str:
        """`torch: base 2.12.0, head 2.13.0`."""
        return one_line(f"{self.name}: base {' and '.join(self.base)}, head {' and '.join(self.head)}")


def card_differences(base: Sequence[Record], head: Sequence[Record]) -> tuple[Difference, ...]:
    """The difference between cards of one name, if every record says which card it was measured on."""
    sides = [{record.device.identity for record in records} for records in (base, head)]
    if any(None in cards for cards in sides) or sides[0] == sides[1]:
        return ()
    base_cards, head_cards = (tuple(sorted(card for card in cards if card is not None)) for cards in sides)
    return (Difference("card", base_cards, head_cards),)


def software_differences(base: Sequence[Record], head: Sequence[Record]) -> tuple[Difference, ...]:
    """The differences of software and settings between the sides, or inside one."""
    differences: list[Difference] = []
    for group, facets in _FACETS.items():
        base_values, head_values = _values(facets(base)), _values(facets(head))
        if bool(base_values) != bool(head_values):
            known = [("known",) if values else ("not known",) for values in (base_values, head_values)]
            differences.append(Difference(group, *known))
            continue
        for name in dict.fromkeys([*base_values, *head_values]):
            of_base, of_head = (tuple(values.get(name, ("none",))) for values in (base_values, head_values))
            difference = Difference(name, of_base, of_head)
            if of_base != of_head or difference.is_inside_a_side:
                differences.append(difference)
    return tuple(differences)


def _values(facets: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """All values of each facet, sorted; `none` is among them if some record lacks it."""
    names = dict.fromkeys(name for values in facets for name in values)
    return {name: sorted({values.get(name, "none") for values in facets}) for name in names}


def _settings(records: Sequence[Record]) -> list[dict[str, str]]:
    return [
        {f"measure.{name}": _word(getattr(settings, name)) for name in MeasureSettings.model_fields}
        for settings in _distinct(record.measure for record in records)
    ]


#: The groups of settings that may differ. If only one side has any of a group, the difference is named after the group.
_FACETS: dict[str, Callable[[Sequence[Record]], Sequence[Mapping[str, str]]]] = {
    "kind of record": lambda records: [{"kind of record": kind} for kind in {record.kind for record in records}],
    "software": lambda records: list(map(_environment, _distinct(record.environment for record in records))),
    "measure settings": _settings,
}


def _distinct(values: Iterable[_T | None]) -> list[_T]:
    """The values that are not None, each once. They need not be hashable, and most are the same object."""
    distinct: list[_T] = []
    for value in {id(value): value for value in values if value is not None}.values():
        if value not in distinct:
            distinct.append(value)
    return distinct


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
