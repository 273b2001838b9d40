"""How long the cases of a sweep take on a card: drawn from published times and from what cases took here besides calls.

A case's calls take what the stopping rule of the docs' sweep makes of the published time, if each call takes the same.
The rest of a case (loading the weights when the model changes, cleaning up) is drawn from the records measured on this
CPU. A published out-of-memory case takes the rest and a new worker, because nobody published how long it took.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.record import MeasureSettings, Record
from bench.run import stopping

from .driver_model import Group

#: A card with fewer published cases than this has no sweep of its own here.
_FEWEST_CASES = 16


@dataclass(frozen=True, slots=True)
class Durations:
    """What to draw from, in seconds.

    Attributes:
        calls_s: of each card, the seconds of all calls of each published case; None for out of memory.
        rest_s: what else measured cases took.
    """

    calls_s: dict[str, tuple[float | None, ...]]
    rest_s: tuple[float, ...]

    @property
    def cards(self) -> tuple[str, ...]:
        """The names of the cards, in the order of their names."""
        return tuple(sorted(self.calls_s))

    def sweep(self, card: str, cases: int, restart_s: float, moments: random.Random) -> tuple[Group, ...]:
        """A sweep of that many cases on a card, each a group of its own. `restart_s`: what a new worker takes."""

        def case_s() -> float:
            calls_s = moments.choice(self.calls_s[card])
            return moments.choice(self.rest_s) + (restart_s if calls_s is None else calls_s)

        return tuple((case_s(),) for _ in range(cases))


def of_records(published: Sequence[Record], measured: Sequence[Record], settings: MeasureSettings) -> Durations:
    """Make durations from published records of whole cards, and from measured ones with the time of each call.

    Raises ValueError if no card has enough published cases, or no measured record says how long its case took.
    """
    calls_s: dict[str, list[float | None]] = {}
    for record in published:
        if record.kind == "published" and (record.timing or record.outcome.status == "out_of_memory"):
            seconds = _calls_s(record.timing.median_s, settings) if record.timing else None
            calls_s.setdefault(record.device.name, []).append(seconds)
    whole = {name: tuple(times) for name, times in calls_s.items() if len(times) >= _FEWEST_CASES}
    rest_s = tuple(rest for record in measured if (rest := _rest_s(record)) is not None)
    if not whole or not rest_s:
        raise ValueError("no card has enough published cases, or no measured record says how long its case took")
    return Durations(whole, rest_s)


def _calls_s(call_s: float, settings: MeasureSettings) -> float:
    """The first call, and as many as the stopping rule asks for if all take the same."""
    return call_s + sum(stopping.sample(lambda: call_s, settings).seconds)


def _rest_s(record: Record) -> float | None:
    """What a measured case took besides its calls; None if its record does not say."""
    timing = record.timing
    if record.kind != "measured" or record.remote or record.wall_s is None or timing is None or not timing.samples_s:
        return None
    return max(0.0, record.wall_s - (timing.first_call_s or 0.0) - sum(timing.samples_s))


def results_of(root: Path) -> tuple[list[Path], list[Path]]:
    """The folders of published and of measured records in a checkout."""
    return [root / "results" / "published"], sorted((root / "results").glob("cpu-*"))
