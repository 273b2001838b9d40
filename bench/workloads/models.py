"""Every model of every workload, by key, alias or title.

`plugins` finds the workloads: the folders of this room and the files that BENCH_WORKLOADS names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.errors import ConfigError, listed, printable, quoted, unknown
from bench.record import Axes, Case, Transport
from bench.workloads import plugins
from bench.workloads.base import SIDES, Axis, Spec, Workload

if TYPE_CHECKING:
    import torch

    from bench.workloads.checkpoints import Identified

#: The most characters of a checkpoint's name in a key.
_MOST_NAME = 60


@cache
def workloads() -> tuple[Workload, ...]:
    """Every workload. Raises ConfigError if BENCH_WORKLOADS names a file that can't be used."""
    return plugins.discover()


@dataclass(frozen=True, slots=True)
class _Model:
    spec: Spec
    workload: Workload
    axes: Mapping[str, Axis]


@cache
def _all() -> dict[str, _Model]:
    specs = [(spec, workload) for workload in workloads() for spec in workload.specs()]
    _refuse_duplicates("key", [name for spec, _ in specs for name in (spec.key, *spec.aliases)])
    _refuse_duplicates("title", [spec.title for spec, _ in specs])
    return {
        spec.key: _Model(spec, workload, MappingProxyType({axis.name: axis for axis in workload.axes(spec.key)}))
        for spec, workload in specs
    }


def _refuse_duplicates(what: str, names: list[str]) -> None:
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise ConfigError(f"Two models have the {what} {duplicate!r}. Rename one of them.")


@cache
def zoo() -> dict[str, Spec]:
    """Every model by its key, workload by workload."""
    return {key: model.spec for key, model in _all().items()}


@cache
def aliases() -> dict[str, str]:
    """The key of the model that each alias stands for."""
    return {alias: spec.key for spec in zoo().values() for alias in spec.aliases}


def get(name: str) -> Spec:
    """The model with this key or alias. Raises ConfigError that names the nearest."""
    return _model(name).spec


def workload(name: str) -> Workload:
    """The workload of a model. Raises ConfigError that names the nearest model."""
    return _model(name).workload


def axes(name: str) -> Mapping[str, Axis]:
    """The axes of a model's cases by name, in order. Raises ConfigError for an unknown model."""
    return _model(name).axes


def _model(name: str) -> _Model:
    try:
        return _all()[aliases().get(name, name)]
    except KeyError:
        raise ConfigError(unknown("model", name, [*zoo(), *aliases()], "Unknown")) from None


def title(key: str) -> str:
    """The docs' title of a model; its key if the model is unknown."""
    return zoo()[key].title if key in zoo() else key


def by_title(text: str) -> Spec | None:
    """The model with this title in the docs, in any of the docs' spellings; case does not matter."""
    wanted = text.strip().casefold()
    for spec in zoo().values():
        if wanted in {name.casefold() for name in (spec.title, spec.key, *spec.also_titled)}:
            return spec
    return None


def operations() -> tuple[str, ...]:
    """The operations of all workloads."""
    return tuple(dict.fromkeys(name for kind in workloads() for name in kind.operations))


def variants() -> tuple[str, ...]:
    """The variants of all workloads."""
    return tuple(dict.fromkeys(name for kind in workloads() for name in ("default", *kind.variants)))


def known_axes() -> Iterator[Axis]:
    """The axes of all models, each name once. Raises ConfigError if two axes of one name are parsed differently."""
    by_name: dict[str, Axis] = {}
    for key in zoo():
        for name, axis in axes(key).items():
            if by_name.setdefault(name, axis).parse is not axis.parse:
                raise ConfigError(f"Two workloads parse their axis {name!r} differently. Rename it in one of them.")
    yield from by_name.values()


def sized(name: str, width: int, height: int, **values: int) -> Axes:
    """The axes of one image of a model: width, height, the given `values` (`batch=4`), and defaults for the rest.

    Raises ConfigError if the model's cases are not images.
    """
    given = {"width": width, "height": height, **values}
    sizes = {axis: given.get(axis, known.assumed) for axis, known in axes(name).items()}
    if not given.keys() <= sizes.keys() or None in sizes.values():
        raise ConfigError(
            f"{name}: width and height do not describe a case of a model of kind {workload(name).name!r}."
        )
    return Axes({axis: value for axis, value in sizes.items() if value is not None})


def usual(name: str, **values: int) -> Axes:
    """The axes of a case of a model without a width and a height: the given `values`, and defaults for the rest.

    Raises ConfigError for a value of an axis that the model lacks, and for an axis with neither a value nor a default.
    """
    known = axes(name)
    for axis in values.keys() - known.keys():
        raise ConfigError(f"{name}: the kind {workload(name).name!r} has no {axis}, only {listed(known)}.")
    chosen = {axis: values.get(axis, of.assumed) for axis, of in known.items()}
    if unknown_axes := [axis for axis, value in chosen.items() if value is None]:
        raise ConfigError(
            f"{name}: its cases need a value of {listed(unknown_axes)}. Give it in a sweep, to `bench run`."
        )
    return Axes({axis: value for axis, value in chosen.items() if value is not None})


def is_pipeline(key: str) -> bool:
    """Whether a model consists of several models, of which an endpoint could run some. False for an unknown one."""
    return key in zoo() and workload(key).is_composed


def has_sides(name: str) -> bool:
    """Whether the cases of a model are of a width and a height."""
    return set(SIDES) <= axes(name).keys()


def usual_size(name: str) -> tuple[int, int] | None:
    """Width and height that a model's pipeline makes, if its cases take them by themselves; None if they do not."""
    width, height = (axes(name)[side].usual if side in axes(name) else None for side in SIDES)
    return None if width is None or height is None else (width, height)


def square(name: str, edge: int) -> Axes:
    """The axes of one square image of a model. Raises ConfigError if the model's cases are not images."""
    return sized(name, edge, edge)


def of_checkpoint(source: str) -> Identified:
    """The model that the config.json of a checkpoint (a folder, or `hub:ID`) describes.

    It is one of the zoo if the checkpoint has its architecture and scaling; otherwise a new one of this process, called
    like the checkpoint. Raises ConfigError if the checkpoint can't be read, or is of no known class.
    """
    from bench.workloads import checkpoints  # noqa: PLC0415 - few commands need it

    checkpoint = checkpoints.read(source)
    by_class = {name: kind for kind in workloads() for name in kind.classes}
    given = checkpoint.config.get("_class_name")
    kind = by_class.get(given) if isinstance(given, str) else None
    if kind is None:
        problem = "names no class" if given is None else f"is of class {quoted(given)}"
        raise ConfigError(
            f"{printable(checkpoint.file)} {problem} (`_class_name`), and only {listed(by_class)} can be predicted. "
            "Give another checkpoint."
        )
    identified = kind.identify(checkpoint, _free_name(checkpoint.name))
    for remembered in (_all, zoo, aliases):
        remembered.cache_clear()
    return identified


def _free_name(name: str) -> str:
    """The name of a checkpoint in letters that a key may have, different from all keys, aliases and titles."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:_MOST_NAME] or "checkpoint"
    taken = {text.casefold() for spec in zoo().values() for text in (spec.key, spec.title, *spec.aliases)}
    return f"{plain}-checkpoint" if plain.casefold() in taken else plain


def usual_transports() -> dict[str, Transport]:
    """The default transport of each operation that can be served: that of the first kind that has it."""
    usual: dict[str, Transport] = {}
    for kind in workloads():
        for name in kind.operations:
            if transports := kind.transports(name):
                usual.setdefault(name, transports[0])
    return usual


def transports(operation: str) -> tuple[Transport, ...]:
    """All transports of an operation's payload, for any model."""
    return tuple(dict.fromkeys(transport for kind in workloads() for transport in kind.transports(operation)))


def featured() -> tuple[str, ...]:
    """The models that commands take if none is named, of those whose memory and time can be predicted."""
    return tuple(key for key, spec in zoo().items() if spec.is_featured and workload(key).is_predicted)


def has_docs_row(case: Case) -> bool:
    """Whether a table in the form of the docs can show the case: it is of an image or a video."""
    return {*SIDES} <= case.axes.keys()


def smaller_alike(key: str) -> tuple[str, ...]:
    """The models that make and take the same latents with fewer parameters, the largest first."""
    own = workload(key).facts(key)
    if own.latents is None or own.parameters is None:
        return ()
    smaller = {
        other: facts.parameters
        for other in zoo()
        if (facts := workload(other).facts(other)).parameters is not None
        and facts.latents == own.latents
        and facts.parameters < own.parameters
    }
    return tuple(sorted(smaller, key=lambda other: -smaller[other]))


def is_served(key: str) -> bool:
    """Whether an endpoint can serve any operation of a model."""
    kind = workload(key)
    return any(kind.transports(operation) for operation in kind.operations)


def exercise(device: torch.device) -> None:
    """Run every workload's kernels once, so that one-time allocations do not count towards the first case."""
    for kind in workloads():
        kind.exercise(device)
