"""The verdicts as JSON: one line for each card, model, network and question, so that a diff shows what changed.

`reports/index.html` reads the same JSON. A card's figures of a way are an array: index of the way, index of the
verdict, peak in MiB, least and most time in ms, index of the peak's kind and of the time's kind, cost per 1,000. What
is not known is null, and at the end of the array left out; left-out kinds are predicted. `verdict_reading` reads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from bench.analysis.verdicts.questions import (
    VERDICTS,
    Card,
    Figures,
    Model,
    OnCard,
    Question,
    Remote,
    Verdicts,
    Way,
    three_digits,
)
from bench.core.units import MIB
from bench.record import Kind

VERSION = 1
#: The kinds by their index.
KINDS: tuple[Kind, ...] = ("measured", "published", "predicted", "simulated")
PREDICTED = KINDS.index("predicted")
#: What the figures of a way are if they are left out.
_LEFT_OUT: tuple[int | None, ...] = (None, None, None, None, None, PREDICTED, PREDICTED, None)
#: A card's answer always has two parts, and figures a way and its verdict.
_ALWAYS = 2
_Json = dict[str, Any]


def to_json(verdicts: Verdicts) -> str:
    """The content of the file."""
    parts = [f"{_dump(key)}:{_dump(value)}" for key, value in head_of(verdicts).items()]
    parts += [
        _dump(key) + ":[\n" + ",\n".join(map(_dump, values)) + "\n]" for key, values in lists_of(verdicts).items()
    ]
    return "{" + ",\n".join(parts) + "}\n"


def head_of(verdicts: Verdicts) -> _Json:
    """What the file says of the verdicts as a whole."""
    errors = verdicts.errors
    return {
        "version": VERSION,
        "kinds": KINDS,
        "verdicts": VERDICTS,
        "currency": verdicts.currency,
        "errors": errors and {"median": _digits(errors.median), "worst": _digits(errors.worst)},
    }


def lists_of(verdicts: Verdicts) -> dict[str, Iterable[_Json]]:
    """The lists of the file, whose items are lines."""
    networks = list(verdicts.networks)
    return {
        "cards": map(_card, verdicts.cards),
        "models": map(_model, verdicts.models),
        "networks": ({"key": key, "title": title} for key, title in verdicts.networks.items()),
        "questions": (_question(question, networks) for question in verdicts.questions),
    }


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _card(card: Card) -> _Json:
    return {
        "name": card.name,
        "memory_bytes": card.memory_bytes,
        "assumed": card.is_memory_assumed,
        "is_device": card.is_device,
        "had": card.had,
    }


def _model(model: Model) -> _Json:
    return {"key": model.key, "title": model.title, "aliases": model.aliases, "kind": model.kind, "unit": model.unit}


def _question(question: Question, networks: Sequence[str]) -> _Json:
    return {
        "model": question.model,
        "operation": question.operation,
        "width": question.width,
        "height": question.height,
        "frames": question.frames,
        "dtype": question.dtype,
        "risk": question.risk,
        "ways": [_way(way) for way in question.ways],
        "remote": {key: _remote(question.remote[key]) for key in networks if key in question.remote},
        "cards": [_on_card(answer) for answer in question.cards],
    }


def _way(way: Way) -> _Json:
    return {
        "key": way.key,
        "title": way.title,
        "tile": way.tile and way.tile.model_dump(),
        "dtype": way.dtype,
        "variant": way.variant,
    }


def _remote(remote: Remote) -> _Json:
    return {
        "low_s": _digits(remote.least_s),
        "high_s": _digits(remote.most_s),
        "kind": remote.kind,
        "by": remote.by,
        "cost_per_1000": _digits(remote.cost_per_1000),
        "endpoint": remote.endpoint,
        "note": remote.note,
    }


def _on_card(answer: OnCard) -> list[object] | int:
    """`[best, [figures, ...], here]`, or 0 if nothing is known.

    `best` is one number if it is the same over all networks. `here` is left out if it is that number.
    """
    if not answer.ways:
        return 0
    best = answer.best[0] if len(set(answer.best)) == 1 else list(answer.best)
    here = [] if best == answer.here else [answer.here]
    return [best, [_figures(figures) for figures in answer.ways], *here]


def _figures(figures: Figures) -> list[object]:
    values: list[object] = [
        figures.way,
        VERDICTS.index(figures.verdict),
        None if figures.peak_bytes is None else math.ceil(figures.peak_bytes / MIB),
        _ms(figures.least_s),
        _ms(figures.most_s),
        KINDS.index(figures.peak_kind),
        KINDS.index(figures.time_kind),
        _digits(figures.cost_per_1000),
    ]
    while len(values) > _ALWAYS and values[-1] == _LEFT_OUT[len(values) - 1]:
        values.pop()
    return values


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else _digits(seconds * 1e3)


def _digits(value: float | None) -> float | None:
    """The value with three digits, as an integer if it is one."""
    short = three_digits(value)
    return int(short) if short is not None and short.is_integer() else short
