"""Every model that there is, whatever kind of workload it is of: by key, alias or title. Free of torch.

`loading` finds the kinds: folders of this room, and files outside that the variable BENCH_WORKLOADS names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from bench.errors import ConfigError, nearest, quoted
from bench.record import Axes, Case, Transport
from bench.workloads import plugins
from bench.workloads.base import SIDES, Axis, Spec, Workload

if TYPE_CHECKING:
    import torch


@cache
def workloads() -> tuple[Workload, ...]:
    """Every kind of workload. Raises ConfigError where BENCH_WORKLOADS names what can't be had."""
    return plugins.found()


@cache
def _all() -> dict[str, tuple[Spec, Workload]]:
    found = [(spec, workload) for workload in workloads() for spec in workload.specs()]
    found.sort(key=lambda pair: (pair[0].order, pair[0].key))
    _refuse_twins("key", [name for spec, _ in found for name in (spec.key, *spec.aliases)])
    _refuse_twins("title", [spec.title for spec, _ in found])
    return {spec.key: (spec, workload) for spec, workload in found}


def _refuse_twins(what: str, names: list[str]) -> None:
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"Two models have the {what} {doubled!r}: give one of them another.")


@cache
def zoo() -> dict[str, Spec]:
    """Every model by its key, in the order of their `order` field."""
    return {key: spec for key, (spec, _) in _all().items()}


@cache
def aliases() -> dict[str, str]:
    """The key of the model that each alias stands for."""
    return {alias: spec.key for spec in zoo().values() for alias in spec.aliases}


def get(name: str) -> Spec:
    """The model of that key or alias. Raises ConfigError that names the nearest."""
    return _pair(name)[0]


def workload(name: str) -> Workload:
    """The kind of workload that a model is of. Raises ConfigError that names the nearest model."""
    return _pair(name)[1]


def axes(name: str) -> dict[str, Axis]:
    """The axes of a model's cases by name, in their order. Raises ConfigError for a model that there is not."""
    spec, kind = _pair(name)
    return {axis.name: axis for axis in kind.axes(spec.key)}


def _pair(name: str) -> tuple[Spec, Workload]:
    try:
        return _all()[aliases().get(name, name)]
    except KeyError:
        raise ConfigError(f"Unknown model {quoted(name)}. {nearest(name, [*zoo(), *aliases()])}") from None


def title(key: str) -> str:
    """The docs' title of a model; its key, if the zoo has it no more."""
    return zoo()[key].title if key in zoo() else key


def by_title(text: str) -> Spec | None:
    """The model whose title in the docs (or a spelling that they also use) is `text`, letters' case aside."""
    wanted = text.strip().casefold()
    for spec in zoo().values():
        if wanted in {name.casefold() for name in (spec.title, spec.key, *spec.also_titled)}:
            return spec
    return None


def operations() -> tuple[str, ...]:
    """What can be done with some model."""
    return tuple(dict.fromkeys(name for kind in workloads() for name in kind.operations))


def variants() -> tuple[str, ...]:
    """Ways in which some model can be run."""
    return tuple(dict.fromkeys(name for kind in workloads() for name in ("default", *kind.variants)))


def known_axes() -> Iterator[Axis]:
    """The axes of all models, each name once. Raises ConfigError where two of one name differ in how they are read."""
    found: dict[str, Axis] = {}
    for key in zoo():
        for name, axis in axes(key).items():
            if found.setdefault(name, axis).parse is not axis.parse:
                raise ConfigError(f"Two kinds of model have an axis {name!r}, and read it differently: rename one.")
    yield from found.values()


def sized(name: str, width: int, height: int, **others: int) -> Axes:
    """The axes of an image of a model, those that are not given at their defaults. Raises ConfigError for another kind.

    `others`: values of other axes, `batch=4`.
    """
    given = {"width": width, "height": height, **others}
    values = {axis.name: given.get(axis.name, axis.default) for axis in axes(name).values()}
    if not given.keys() <= values.keys() or None in values.values():
        raise ConfigError(f"{name}: a {workload(name).name} has no images of a width and height alone.")
    return Axes({axis: value for axis, value in values.items() if value is not None})


def square(name: str, edge: int) -> Axes:
    """The axes of one square image of a model. Raises ConfigError for another kind."""
    return sized(name, edge, edge)


def usual_transports() -> dict[str, Transport]:
    """By operation, how a payload travels unless told otherwise."""
    ways = {name: kind.transports(name) for kind in workloads() for name in kind.operations}
    return {name: found[0] for name, found in ways.items() if found}


def transports(operation: str) -> tuple[Transport, ...]:
    """The ways in which an operation's payload can travel, whatever the model."""
    return tuple(dict.fromkeys(way for kind in workloads() for way in kind.transports(operation)))


def predicted() -> tuple[str, ...]:
    """The models that the hub has weights of, and whose memory and time are predicted."""
    return tuple(key for key, spec in zoo().items() if spec.hub_id and workload(key).is_predicted)


def is_in_docs(case: Case) -> bool:
    """Whether the docs have tables of the case's kind of model; of one that is not here: whether it is of an image."""
    return workload(case.model).in_docs if case.model in zoo() else {*SIDES} <= case.axes.keys()


def is_served(key: str) -> bool:
    """Whether there is a way in which a request for a model can travel to an endpoint."""
    kind = workload(key)
    return any(kind.transports(operation) for operation in kind.operations)


def exercise(device: torch.device) -> None:
    """Call what every workload calls once, so that what is made at the first call is no part of a case."""
    for kind in workloads():
        kind.exercise(device)
