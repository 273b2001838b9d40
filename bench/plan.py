"""Expands a sweep into cases, in the order in which they run and appear in tables."""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.config import AxisError, LoadSettings, OverlapSettings, Sweep, refuse_many
from bench.errors import ConfigError, listed
from bench.record import Axes, Case, MeasureSettings, Tile, alike_but_for, digest, grouped
from bench.workloads import models
from bench.workloads.labels import label_of


@dataclass(frozen=True, slots=True)
class Plan:
    """The cases of one run and how they are measured. An unfinished run is continued if its plan has the same id."""

    config: str
    cases: tuple[Case, ...]
    measure: MeasureSettings
    timeout_s: float
    interleave: bool = False
    load: LoadSettings | None = None
    overlap: OverlapSettings | None = None

    @property
    def id(self) -> str:
        """A digest of everything that decides which figures a run yields; not of the name."""
        options: list[object] = ["interleave"] if self.interleave else []
        options += [self.load.model_dump()] if self.load else []
        options += [{"overlap": self.overlap.model_dump()}] if self.overlap else []
        return digest([[case.id for case in self.cases], self.measure.model_dump(), self.timeout_s, *options])

    @property
    def groups(self) -> tuple[tuple[Case, ...], ...]:
        """The cases in groups that alternate: those that differ only in tiling, precision or variant.

        Without `interleave` each case is a group of its own, and so is one that will be skipped.
        """

        def key(case: Case) -> Hashable:
            alternates = self.interleave and not refusal(case)
            return alike_but_for(case, "tiling", "dtype", "variant") if alternates else case

        return tuple(tuple(group) for group in grouped(self.cases, key))

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of the packages that its cases need besides those of every model."""
        needed = (models.workload(case.model).needs(case) for case in self.cases if case.model in models.zoo())
        return tuple(sorted({name for names in needed for name in names}))


def make(sweep: Sweep, *, interleave: bool = False) -> Plan:
    """The plan of a sweep: models outermost, then operations, and tiling innermost. Raises ConfigError.

    With `interleave` the cases of a group follow one another.
    """
    _check_count(sweep)
    cases: list[Case] = []
    for key, weights, dtype, variant in itertools.product(sweep.models, sweep.weights, sweep.dtypes, sweep.variants):
        spec = models.get(key)
        if weights == "hub" and spec.hub_id is None:
            raise ConfigError(f"Sweep {sweep.name!r}, key `weights`: {key} has no checkpoint on the hub. Use random.")
        _check_weights(sweep, key, weights)
        _check_variant(sweep, key, variant)
        _check_precision(sweep, key, dtype)
        for operation, axes, tiling in itertools.product(
            _operations(sweep, key), _axes(sweep, key), _tilings(sweep, key)
        ):
            case = Case(
                model=key,
                operation=operation,
                axes=axes,
                dtype=spec.dtype if dtype == "model" else dtype,
                tiling=tiling,
                weights=weights,
                variant=variant,
            )
            cases.append(case)
    plan = Plan(sweep.name, _checked(sweep, cases), _measure_settings(sweep), sweep.timeout, interleave)
    return replace(plan, cases=tuple(case for group in plan.groups for case in group))


@dataclass(frozen=True, slots=True)
class Served:
    """The weights and precision that an endpoint computes a model with."""

    weights: str
    dtype: str


def make_remote(sweep: Sweep, served: Mapping[str, Served]) -> Plan:
    """The plan of a sweep as an endpoint computes it, each case over every transport that it can use.

    Weights, precision (`served`, by model) and tiling are the endpoint's. Raises ConfigError.
    """
    _check_count(sweep)
    cases: list[Case] = []
    for key in sweep.models:
        workload = models.workload(key)
        for operation, axes in itertools.product(_operations(sweep, key), _axes(sweep, key)):
            for transport in sweep.remote.transports:
                if transport not in workload.transports(operation):
                    continue
                case = Case(
                    model=key,
                    operation=operation,
                    axes=axes,
                    dtype=served[key].dtype,
                    weights=served[key].weights,
                    transport=transport,
                )
                if workload.carries(case, transport):
                    cases.append(workload.served(case))
    if not cases:
        raise ConfigError(
            f"Sweep {sweep.name!r}, key `remote.transports`: no case can use {listed(sweep.remote.transports)}. "
            f"{_usable_transports(sweep)} jpg, png and mp4 need `batch: 1`, because a file holds one image or video; "
            "predict needs the encoder's usual number of tokens."
        )
    remote = sweep.remote
    return Plan(
        sweep.name,
        _checked(sweep, cases),
        _measure_settings(sweep),
        sweep.timeout,
        load=remote.load,
        overlap=remote.overlap,
    )


def _usable_transports(sweep: Sweep) -> str:
    """Which transports each operation of the sweep's models can use, a sentence for each: `encode: png, pt.`"""
    usable: dict[str, dict[str, None]] = {}
    for key in sweep.models:
        for operation in _operations(sweep, key):
            usable.setdefault(operation, {}).update(dict.fromkeys(models.workload(key).transports(operation)))
    return " ".join(f"{operation.capitalize()} can use {listed(names)}." for operation, names in usable.items())


def make_loopback(sweep: Sweep) -> Plan:
    """The cases that `bench serve` with random weights would compute on this machine. Raises ConfigError."""
    return make_remote(sweep, {key: Served("random", models.get(key).dtype) for key in sweep.models})


def check_served(sweep: Sweep) -> None:
    """Raise ConfigError for a model that no endpoint serves."""
    for key in sweep.models:
        if not models.is_served(key):
            kind = models.workload(key).name
            raise ConfigError(f"Sweep {sweep.name!r}, key `models`: {key} is a {kind}, which no endpoint serves.")


def _operations(sweep: Sweep, key: str) -> tuple[str, ...]:
    """The operations of the sweep that the model has, or all its own if the sweep gives none. Raises ConfigError."""
    own = models.workload(key).operations
    if not sweep.operations:
        return own
    shared = tuple(name for name in sweep.operations if name in own)
    if not shared:
        given = " and ".join(sweep.operations)
        raise ConfigError(f"Sweep {sweep.name!r}, key `operations`: {key} has no {given}, only {' and '.join(own)}.")
    return shared


def _axes(sweep: Sweep, key: str) -> Iterator[Axes]:
    """Every combination of the sweep's values for the model's axes, the first axis varying fastest."""
    axes = models.axes(key)
    try:
        values = sweep.values_of(key)
    except AxisError as error:
        raise ConfigError(f"Sweep {sweep.name!r}, key `{error.key}`: {error}.") from None
    for combination in itertools.product(*reversed(values)):
        value_of = ChainMap(*combination)
        yield Axes({name: value_of[name] for name in axes})


def _tilings(sweep: Sweep, key: str) -> tuple[Literal["off"] | Tile, ...]:
    """The sweep's tilings as tiles; off if the model has none. Raises ConfigError if the sweep gives another."""
    tile = models.workload(key).default_tile(key)
    if tile is None:
        if "tiling" in sweep.model_fields_set and set(sweep.tiling) != {"off"}:
            raise ConfigError(f"Sweep {sweep.name!r}, key `tiling`: {key} can't be run in tiles. Write tiling: off.")
        return ("off",)
    return tuple(tile if tiling == "on" else tiling for tiling in sweep.tiling)


def refusal(case: Case) -> str:
    """Why the case will be skipped: its workload can't run it. Empty if it can."""
    return models.workload(case.model).check(case)


def _checked(sweep: Sweep, cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases without duplicates. Raises ConfigError if all of them would be skipped."""
    refusals = [refusal(case) for case in cases]
    if cases and all(refusals):
        raise ConfigError(f"Sweep {sweep.name!r}, {label_of(cases[0])}: {refusals[0]}.")
    return tuple({case.id: case for case in cases}.values())


def _check_weights(sweep: Sweep, key: str, weights: str) -> None:
    """Raise ConfigError for the folder of a checkpoint of another class than the model's."""
    if refusal := weights_refusal(key, weights):
        raise ConfigError(f"Sweep {sweep.name!r}, key `weights`: {refusal}. Give another folder or model.")


def weights_refusal(key: str, weights: str) -> str:
    """Why the folder of a checkpoint can't be a model's weights: it is of another class. Empty if it can."""
    return "" if weights in {"random", "hub"} else models.workload(key).weights_refusal(key, weights)


def _check_variant(sweep: Sweep, key: str, variant: str) -> None:
    valid = ("default", *models.workload(key).variants)
    if variant not in valid:
        raise ConfigError(
            f"Sweep {sweep.name!r}, key `variants`: {key} has no variant {variant!r}, only {', '.join(valid)}."
        )


def _check_precision(sweep: Sweep, key: str, dtype: str) -> None:
    valid = models.workload(key).precisions
    if dtype not in ("model", *valid):
        raise ConfigError(
            f"Sweep {sweep.name!r}, key `dtypes`: {key} can't be run in {dtype}, only in {listed(valid)}."
        )


def _check_count(sweep: Sweep) -> None:
    """Raise ConfigError for too many cases: options may have lengthened the lists after they were read."""
    try:
        refuse_many(sweep.lists)
    except ValueError as error:
        raise ConfigError(f"Sweep {sweep.name!r}: {error}.") from None


def _measure_settings(sweep: Sweep) -> MeasureSettings:
    return sweep.measure.model_copy(
        update={"min_samples": sweep.repeats, "few_samples": min(sweep.measure.few_samples, sweep.repeats)}
    )
