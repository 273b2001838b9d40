"""Split cases of several stages, so that each stage is compared as well as the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.analysis.compare.outcomes import Pair
from bench.record import Record, grouped
from bench.record.metrics import OF_A_STAGE, of_stages
from bench.workloads.labels import label_of


def apart(pairs: Iterable[Pair], metric: str) -> Iterator[Pair]:
    """Yield each pair, and after it a pair for each stage that both sides have, if stages have the metric.

    If the sides have different stages, the whole call is left out: it is not the same call.
    """
    for pair in pairs:
        if metric not in OF_A_STAGE:
            yield pair
            continue
        base_names, head_names = _names(pair.base), _names(pair.head)
        if base_names == head_names or not (base_names and head_names):
            yield pair
        if max(len(base_names), len(head_names)) < 2:
            continue
        base, head = _by_stage(pair.base), _by_stage(pair.head)
        yield from (Pair(pair.case, records, head[name], name) for name, records in base.items() if name in head)


def unlike(pair: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The stages that only the base has, and those that only the head has; none if a side was not measured."""
    base, head = (_names(records) for records in (pair.base, pair.head))
    if not base or not head:
        return (), ()
    return tuple(name for name in base if name not in head), tuple(name for name in head if name not in base)


def notes(pairs: Iterable[Pair]) -> list[str]:
    """A note on each set of stages that only one side has, with how many cases that affects."""
    return [
        f"{_cases(alike)}: the sides have different stages ({'; '.join(_one_sided(unlike(alike[0])))}), so whole calls "
        "are not compared."
        for alike in grouped([pair for pair in pairs if any(unlike(pair))], unlike)
    ]


def _cases(pairs: Sequence[Pair]) -> str:
    more = f" and {len(pairs) - 1} more" if len(pairs) > 1 else ""
    return f"{label_of(pairs[0].case)}{more}"


def _one_sided(stages: tuple[tuple[str, ...], tuple[str, ...]]) -> Iterator[str]:
    for side, names in zip(("base", "head"), stages, strict=True):
        if names:
            yield f"only on the {side} side: {', '.join(names)}"


def _names(records: Sequence[Record]) -> dict[str, None]:
    """The names of the measured stages, in order."""
    return {stage.name: None for record in records for stage in record.stages}


def _by_stage(records: Sequence[Record]) -> dict[str, tuple[Record, ...]]:
    """The records of each stage alone, by its name."""
    by_stage: dict[str, tuple[Record, ...]] = {}
    for record in records:
        for name, alone in of_stages(record, even_if_one=True).items():
            by_stage[name] = (*by_stage.get(name, ()), alone)
    return by_stage
