"""Sweep to the tuple of cases, in the order in which they run and stand in the tables. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bench.config import AxisError, LoadSettings, OverlapSettings, Sweep, refuse_many
from bench.errors import ConfigError
from bench.record import FILE_TRANSPORTS, Axes, Case, MeasureSettings, Tile, alike_but_for, digest, grouped
from bench.workloads import models
from bench.workloads.labels import label_of


@dataclass(frozen=True, slots=True)
class Plan:
    """The cases of one run and how they are measured. Its id says whether an unfinished run is of the same plan."""

    config: str
    cases: tuple[Case, ...]
    measure: MeasureSettings
    timeout_s: float
    interleave: bool = False
    load: LoadSettings | None = None
    overlap: OverlapSettings | None = None

    @property
    def id(self) -> str:
        """Digest of everything that decides which figures a run yields (its name does not)."""
        how = [self.measure.model_dump(), self.timeout_s, *(["interleave"] if self.interleave else [])]
        how += [self.load.model_dump()] if self.load else []
        how += [{"overlap": self.overlap.model_dump()}] if self.overlap else []
        return digest([[case.id for case in self.cases], *how])

    @property
    def turns(self) -> tuple[tuple[Case, ...], ...]:
        """The cases in groups that take turns: those that differ in nothing but tiling, precision or variant.

        Each case is its own group unless `interleave`.
        """
        groups = grouped(
            self.cases,
            lambda case: alike_but_for(case, "tiling", "dtype", "variant") if self.interleave else case,
        )
        return tuple(tuple(group) for group in groups)


def make(sweep: Sweep, *, interleave: bool = False) -> Plan:
    """All cases of the sweep: models outermost, then operations, and tiling innermost. Raises ConfigError.

    With `interleave` those that take turns stand together.
    """
    _refuse_many(sweep)
    cases: dict[str, Case] = {}
    for key, weights, dtype, variant in itertools.product(sweep.models, sweep.weights, sweep.dtypes, sweep.variants):
        spec = models.get(key)
        if weights == "hub" and spec.hub_id is None:
            raise ConfigError(f"Sweep {sweep.name!r}, key `weights`: {key} has no checkpoint on the hub. Use random.")
        _check_variant(sweep, key, variant)
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
            _check(sweep, case)
            cases.setdefault(case.id, case)
    plan = Plan(sweep.name, tuple(cases.values()), _measure(sweep), sweep.timeout, interleave)
    return replace(plan, cases=tuple(case for group in plan.turns for case in group))


@dataclass(frozen=True, slots=True)
class Served:
    """What an endpoint computes a model with."""

    weights: str
    dtype: str


def make_remote(sweep: Sweep, served: Mapping[str, Served]) -> Plan:
    """The sweep's cases as an endpoint computes them, each over every transport that there is for it.

    Weights and precision are the endpoint's (`served`, by model), and so is tiling. Raises ConfigError.
    """
    _refuse_many(sweep)
    cases: dict[str, Case] = {}
    for key in sweep.models:
        workload = models.workload(key)
        for operation, axes in itertools.product(_operations(sweep, key), _axes(sweep, key)):
            for transport in sweep.remote.transports:
                is_full = transport in FILE_TRANSPORTS and axes.product("batch", "frames") > 1
                if is_full or transport not in workload.transports(operation):
                    continue
                case = Case(
                    model=key,
                    operation=operation,
                    axes=axes,
                    dtype=served[key].dtype,
                    weights=served[key].weights,
                    transport=transport,
                )
                case = workload.served(case)
                _check(sweep, case)
                cases.setdefault(case.id, case)
    if not cases:
        raise ConfigError(
            f"Sweep {sweep.name!r}, key `models.transports`: nothing is left to measure. An encode goes over png or "
            "pt; jpg and png carry one image, so that `batch` must be 1."
        )
    asked = sweep.remote
    return Plan(
        sweep.name, tuple(cases.values()), _measure(sweep), sweep.timeout, load=asked.load, overlap=asked.overlap
    )


def make_loopback(sweep: Sweep) -> Plan:
    """The cases that `bench serve` with random weights would compute on this machine. Raises ConfigError."""
    return make_remote(sweep, {key: Served("random", models.get(key).dtype) for key in sweep.models})


def check_served(sweep: Sweep) -> None:
    """Raises ConfigError for a model that no endpoint serves."""
    for key in sweep.models:
        if not models.is_served(key):
            kind = models.workload(key).name
            raise ConfigError(f"Sweep {sweep.name!r}, key `models`: {key} is a {kind}, which no endpoint serves.")


def _operations(sweep: Sweep, key: str) -> tuple[str, ...]:
    """Those of the sweep that the model has, all of its own where the sweep names none. Raises ConfigError for none."""
    own = models.workload(key).operations
    if not sweep.operations:
        return own
    shared = tuple(name for name in sweep.operations if name in own)
    if not shared:
        asked = " and ".join(sweep.operations)
        raise ConfigError(f"Sweep {sweep.name!r}, key `operations`: {key} has no {asked}, only {' and '.join(own)}.")
    return shared


def _axes(sweep: Sweep, key: str) -> Iterator[Axes]:
    """Every combination of the model's axes that the sweep asks for, the first axes varying fastest."""
    axes = models.axes(key)
    try:
        values = sweep.values_of(key)
    except AxisError as error:
        raise ConfigError(f"Sweep {sweep.name!r}, key `{error.key}`: {error}.") from None
    for combined in itertools.product(*reversed(values)):
        named = {name: value for part in combined for name, value in part.items()}
        yield Axes({name: named[name] for name in axes})


def _tilings(sweep: Sweep, key: str) -> tuple[Literal["off"] | Tile, ...]:
    """The sweep's tilings as tiles. Of a model that has no tiles, off, unless the sweep asks for more: ConfigError."""
    tile = models.workload(key).default_tile(key)
    if tile is None:
        if "tiling" in sweep.model_fields_set and set(sweep.tiling) != {"off"}:
            raise ConfigError(f"Sweep {sweep.name!r}, key `tiling`: {key} can't be run in tiles. Write tiling: off.")
        return ("off",)
    return tuple(tile if tiling == "on" else tiling for tiling in sweep.tiling)


def _check(sweep: Sweep, case: Case) -> None:
    """Raises ConfigError for a case that its workload can't take as a whole."""
    refusal = models.workload(case.model).check(case)
    if refusal:
        raise ConfigError(f"Sweep {sweep.name!r}, {label_of(case)}: {refusal}.")


def _check_variant(sweep: Sweep, key: str, variant: str) -> None:
    valid = ("default", *models.workload(key).variants)
    if variant not in valid:
        raise ConfigError(
            f"Sweep {sweep.name!r}, key `variants`: {key} has no variant {variant!r}, only {', '.join(valid)}."
        )


def _refuse_many(sweep: Sweep) -> None:
    """Options may have lengthened the lists since they were read. Raises ConfigError."""
    try:
        refuse_many(sweep.lists)
    except ValueError as error:
        raise ConfigError(f"Sweep {sweep.name!r}: {error}.") from None


def _measure(sweep: Sweep) -> MeasureSettings:
    return sweep.measure.model_copy(
        update={"min_samples": sweep.repeats, "few_samples": min(sweep.measure.few_samples, sweep.repeats)}
    )
