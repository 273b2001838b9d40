"""Cases of several stages taken apart: each stage is compared as well as the whole. Imports `metrics` and `record`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.compare.outcomes import Pair
from bench.metrics import OF_A_STAGE, of_stages
from bench.record import Record


def apart(pairs: Iterable[Pair], metric: str) -> Iterator[Pair]:
    """Each pair, and after it one for each stage that both sides have, where the metric is of a stage."""
    for pair in pairs:
        yield pair
        if metric not in OF_A_STAGE:
            continue
        base, head = _by_stage(pair.base), _by_stage(pair.head)
        yield from (Pair(pair.case, records, head[name], name) for name, records in base.items() if name in head)


def _by_stage(records: Sequence[Record]) -> dict[str, tuple[Record, ...]]:
    """By the name of a stage the records of it alone."""
    found: dict[str, tuple[Record, ...]] = {}
    for record in records:
        for name, alone in of_stages(record).items():
            found[name] = (*found.get(name, ()), alone)
    return found
