"""The verdicts out of the JSON that `verdict_json` writes. Its types are checked by msgspec while it is parsed."""

from __future__ import annotations

from typing import Annotated

import msgspec

from bench.analysis.verdicts.questions import (
    NOTHING,
    UNKNOWN,
    VERDICTS,
    Card,
    Figures,
    Had,
    Model,
    OnCard,
    Picture,
    Question,
    Remote,
    TimeErrors,
    Verdicts,
    Way,
)
from bench.analysis.verdicts.verdict_json import KINDS, PREDICTED, VERSION
from bench.core.garbage import uncollected
from bench.core.units import MIB
from bench.errors import BenchError, printable
from bench.record import Kind, Tile

_Amount = Annotated[float, msgspec.Meta(ge=0)]
_Whole = Annotated[int, msgspec.Meta(ge=0)]
_Size = Annotated[int, msgspec.Meta(gt=0)]
_KindIndex = Annotated[int, msgspec.Meta(ge=0, lt=len(KINDS))]
_VerdictIndex = Annotated[int, msgspec.Meta(ge=0, lt=len(VERDICTS))]
#: An error's text is bounded: it repeats what is in the file.
_LONGEST = 200


class _Version(msgspec.Struct):
    version: int


class _Errors(msgspec.Struct):
    median: _Amount
    worst: _Amount


class _Card(msgspec.Struct):
    name: str
    memory_bytes: _Whole | None
    assumed: bool
    is_device: bool
    had: Had | None


class _Model(msgspec.Struct):
    key: str
    title: str
    aliases: tuple[str, ...]
    kind: Picture
    unit: str


class _Network(msgspec.Struct):
    key: str
    title: str


class _Way(msgspec.Struct):
    key: str
    title: str
    tile: dict[str, int | None] | None
    dtype: str
    variant: str


class _Remote(msgspec.Struct):
    low_s: _Amount | None
    high_s: _Amount | None
    kind: Kind
    by: str
    cost_per_1000: _Amount | None
    endpoint: str
    note: str | None


class _Figures(msgspec.Struct, array_like=True):
    way: int
    verdict: _VerdictIndex
    peak_mib: _Whole | None = None
    least_ms: _Amount | None = None
    most_ms: _Amount | None = None
    peak_kind: _KindIndex = PREDICTED
    time_kind: _KindIndex = PREDICTED
    cost: _Amount | None = None


class _OnCard(msgspec.Struct, array_like=True):
    best: int | list[int]
    ways: list[_Figures]
    here: int | None = None


class _Question(msgspec.Struct):
    model: str
    operation: str
    width: _Size
    height: _Size
    frames: _Size | None
    dtype: str
    risk: str
    ways: list[_Way]
    remote: dict[str, _Remote]
    cards: list[int | _OnCard]


class _File(msgspec.Struct):
    cards: list[_Card]
    models: list[_Model]
    networks: list[_Network]
    errors: _Errors | None
    currency: str
    questions: list[_Question]


def from_json(text: str | bytes, name: str) -> Verdicts:
    """The verdicts in the content of the file `name`. Raises BenchError for a broken file or another version."""
    try:
        version = msgspec.json.decode(text, type=_Version).version
        if version == VERSION:
            with uncollected(freeze=False):  # tens of thousands of figures, which takes twice as long otherwise
                verdicts = _verdicts(msgspec.json.decode(text, type=_File))
                _check(verdicts)
                return verdicts
    except (ValueError, RecursionError) as error:  # the first is also msgspec's and pydantic's
        raise BenchError(
            f"Can't read the verdicts in {name} ({printable(str(error), _LONGEST)}). "
            "Write them again with `make predictions`."
        ) from None
    raise BenchError(
        f"{name} has version {version}, and only version {VERSION} can be read. Install the program again."
    )


def _verdicts(data: _File) -> Verdicts:
    networks = {network.key: network.title for network in data.networks}
    return Verdicts(
        cards=tuple(Card(card.name, card.memory_bytes, card.assumed, card.is_device, card.had) for card in data.cards),
        models=tuple(Model(model.key, model.title, model.aliases, model.kind, model.unit) for model in data.models),
        networks=networks,
        errors=None if data.errors is None else TimeErrors(data.errors.median, data.errors.worst),
        currency=data.currency,
        questions=tuple(_question(question, len(networks)) for question in data.questions),
    )


def _check(verdicts: Verdicts) -> None:
    """Raise ValueError if something is named that is not there."""
    models = {model.key for model in verdicts.models}
    if not verdicts.networks:
        raise ValueError("no networks")
    for question in verdicts.questions:
        ways = range(NOTHING, len(question.ways))
        answers = [answer for answer in question.cards if answer is not UNKNOWN]
        named = [place for answer in answers for place in (answer.here, *answer.best)]
        named += [figures.way for answer in answers for figures in answer.ways]
        if not all(place in ways for place in named):
            raise ValueError(f"{question.key} names a way that it does not have")
        if any(len(answer.best) != len(verdicts.networks) for answer in answers):
            raise ValueError(f"{question.key} has not one best way for each network")
        if question.model not in models:
            raise ValueError(f"{question.key} is of a model that is not listed")


def _question(data: _Question, networks: int) -> Question:
    return Question(
        model=data.model,
        operation=data.operation,
        width=data.width,
        height=data.height,
        frames=data.frames,
        dtype=data.dtype,
        risk=data.risk,
        ways=tuple(Way(way.key, way.title, _tile(way), way.dtype, way.variant) for way in data.ways),
        remote={key: _remote(remote) for key, remote in data.remote.items()},
        cards=tuple(_on_card(answer, networks) for answer in data.cards),
    )


def _tile(way: _Way) -> Tile | None:
    return None if way.tile is None else Tile.model_validate(way.tile)


def _remote(data: _Remote) -> Remote:
    return Remote(data.low_s, data.high_s, data.kind, data.by, data.cost_per_1000, data.endpoint, data.note)


def _on_card(data: int | _OnCard, networks: int) -> OnCard:
    if isinstance(data, int):
        return UNKNOWN
    over = tuple(data.best) if isinstance(data.best, list) else (data.best,) * networks
    here = over[0] if data.here is None and over else data.here
    return OnCard(tuple(map(_figures, data.ways)), NOTHING if here is None else here, over)


def _figures(data: _Figures) -> Figures:
    return Figures(
        data.way,
        VERDICTS[data.verdict],
        None if data.peak_mib is None else data.peak_mib * MIB,
        None if data.least_ms is None else data.least_ms / 1e3,
        None if data.most_ms is None else data.most_ms / 1e3,
        KINDS[data.peak_kind],
        KINDS[data.time_kind],
        data.cost,
    )
