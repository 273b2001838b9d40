"""Sweep to the tuple of cases, in the order in which they run and stand in the tables. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bench.config import LoadSettings, OverlapSettings, Resolution, Sweep, refuse_many
from bench.errors import ConfigError
from bench.record import FILE_TRANSPORTS, Case, MeasureSettings, Tile, Transport, digest
from bench.workloads import models
from bench.workloads.models import AutoencoderKLSpec

#: Which ways of a payload there are for each operation.
TRANSPORTS: dict[str, tuple[Transport, ...]] = {
    "encode": ("png", "pt"),
    "decode": ("jpg", "png", "pt", "pt-partial"),
}


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
        groups: dict[object, list[Case]] = {}
        for case in self.cases:
            alike = case.model_dump(exclude={"id", "tiling", "dtype", "variant"})
            groups.setdefault(tuple(alike.values()) if self.interleave else case, []).append(case)
        return tuple(tuple(group) for group in groups.values())


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
        for operation, batch, frames, resolution, tiling in itertools.product(
            sweep.operations, sweep.batch, sweep.frames, sweep.resolutions, sweep.tiling
        ):
            _check_size(spec, resolution, sweep.name)
            case = Case(
                model=key,
                operation=operation,
                width=resolution.width,
                height=resolution.height,
                frames=frames,
                batch=batch,
                dtype=spec.dtype if dtype == "model" else dtype,
                tiling=_tile(spec, tiling),
                weights=weights,
                variant=variant,
            )
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
    for key, operation, batch, frames, resolution in itertools.product(
        sweep.models, sweep.operations, sweep.batch, sweep.frames, sweep.resolutions
    ):
        spec = models.get(key)
        _check_size(spec, resolution, sweep.name)
        for transport in sweep.remote.transports:
            if transport not in TRANSPORTS[operation] or (transport in FILE_TRANSPORTS and batch > 1):
                continue
            case = Case(
                model=key,
                operation=operation,
                width=resolution.width,
                height=resolution.height,
                frames=frames,
                batch=batch,
                dtype=served[key].dtype,
                tiling=_tile(
                    spec, "on" if max(resolution.width, resolution.height) > models.SERVED_UNTILED_PX else "off"
                ),
                weights=served[key].weights,
                transport=transport,
            )
            cases.setdefault(case.id, case)
    if not cases:
        raise ConfigError(
            f"Sweep {sweep.name!r}, key `remote.transports`: nothing is left to measure. An encode goes over png or "
            "pt; jpg and png carry one image, so that `batch` must be 1."
        )
    asked = sweep.remote
    return Plan(
        sweep.name, tuple(cases.values()), _measure(sweep), sweep.timeout, load=asked.load, overlap=asked.overlap
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


def _tile(spec: AutoencoderKLSpec, tiling: Literal["off", "on"] | Tile) -> Literal["off"] | Tile:
    return Tile(tile=spec.tile, overlap=spec.tile_overlap) if tiling == "on" else tiling


def _check_size(spec: AutoencoderKLSpec, resolution: Resolution, sweep: str) -> None:
    refusal = spec.size_refusal(resolution.width, resolution.height)
    if refusal:
        raise ConfigError(f"Sweep {sweep!r}, key `resolutions`, {resolution}: {refusal}.")
