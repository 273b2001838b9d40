"""The keys of a sweep, their types and defaults, and the rules between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, PrivateAttr, create_model, model_validator

from bench.config.values import (
    TRANSPORTS,
    Count,
    Dtype,
    Generations,
    Listed,
    Model,
    Name,
    NoBoolean,
    NotNull,
    Operation,
    Positive,
    Rates,
    Shares,
    SharesOfARequest,
    Size,
    Strict,
    Tiling,
    TransportName,
    Variant,
    Weights,
)
from bench.errors import ConfigError, listed
from bench.record import Case, MeasureSettings
from bench.workloads import models
from bench.workloads.base import SIDES, Axis

#: The most cases of a sweep: at a second each they take over five hours.
MOST_CASES = 20_000
#: The keys whose lists are multiplied.
_LISTS = ("models", "operations", "resolutions", "dtypes", "tiling", "weights", "variants")
#: The most requests of one load or overlap.
MOST_REQUESTS = 1_000_000


OnlyTransports = Annotated[
    Listed[TransportName] | None, Field(description="only these transports of the sweep; null: all")
]


def _without_min_samples(value: Any) -> Any:
    if isinstance(value, dict) and "min_samples" in value:
        raise ValueError("min_samples can't be set here: set the sweep's key `repeats`")
    return value


class LoadSettings(Strict):
    """Requests to an endpoint that do not wait for each other's answers."""

    rates: Rates = Field(default=None, description="requests per second; each rate is one load")
    shares: Shares = Field(default=None, description="rates as shares of the capacity that a closed loop measures")
    transports: OnlyTransports = None
    concurrency: Count = Field(default=8, le=256, description="simultaneous requests while the capacity is measured")
    seconds: Positive = Field(default=30.0, le=86_400, description="seconds for which requests are sent")
    seed: Annotated[int, Field(ge=0, lt=2**63), NoBoolean] = 0
    timeout: Positive = Field(default=30.0, le=86_400, description="seconds that one request may take")

    @model_validator(mode="after")
    def _check_rates(self) -> LoadSettings:
        if not self.rates and not self.shares:
            raise ValueError(
                "a load needs `rates` (requests per second, or --rate) or `shares` (of the capacity): give one of them"
            )
        if any(rate * self.seconds > MOST_REQUESTS for rate in self.rates or ()):
            raise ValueError(f"a rate times `seconds` is more than {MOST_REQUESTS} requests: lower either")
        return self

    def of(self, transport: str | None) -> bool:
        """Whether cases over this transport are put under load."""
        return self.transports is None or transport in self.transports


class OverlapSettings(Strict):
    """Remote decodes after generating each image, and while the next one is generated: what overlapping gains."""

    generation: Generations = Field(default=None, description="seconds to generate an image; each is one overlap")
    shares: SharesOfARequest = Field(default=None, description="the same, as shares of the case's own median request")
    images: Annotated[int, NoBoolean] = Field(default=12, ge=2, le=10_000, description="images in each round")
    workers: Count = Field(default=1, le=64, description="threads that make the requests")
    rounds: Count = Field(default=2, le=1000, description="rounds each way")
    transports: OnlyTransports = None
    timeout: Positive = Field(default=30.0, le=86_400, description="seconds that one request may take")

    @model_validator(mode="after")
    def _check_generations(self) -> OverlapSettings:
        count = len(self.generation or ()) + len(self.shares or ())
        if not count:
            raise ValueError(
                "an overlap needs `generation` (seconds to generate an image) or `shares` (of the case's own median "
                "request): give one of them"
            )
        if count * 2 * self.rounds * self.images > MOST_REQUESTS:
            raise ValueError(f"`images` times `rounds`, each way, is more than {MOST_REQUESTS} requests: lower either")
        return self

    def of(self, case: Case) -> bool:
        """Whether the case is measured with overlap: a decode over one of the transports."""
        return case.operation == "decode" and (self.transports is None or case.transport in self.transports)


class RemoteSettings(Strict):
    """The settings of `bench remote` alone; `bench run` ignores them."""

    transports: Listed[TransportName] = TRANSPORTS
    overlap: OverlapSettings | None = None
    load: LoadSettings | None = None


class AxisError(ValueError):
    """An axis of a sweep is wrong; `key` is the key of the sweep that is to blame."""

    def __init__(self, key: str, text: str, *, is_missing: bool = False) -> None:
        super().__init__(text)
        self.key, self.is_missing = key, is_missing


class Sweep(Strict):
    """The cases to measure: the product of its lists, in their order."""

    name: Name
    models: Listed[Model]
    operations: Annotated[Listed[Operation] | None, NotNull] = Field(
        default=None, description="default: all operations of the models"
    )
    resolutions: Annotated[Listed[Size] | None, NotNull] = Field(default=None, description="pairs of width and height")
    dtypes: Listed[Dtype] = ("model",)
    tiling: Listed[Tiling] = ("off", "on")
    weights: Listed[Weights] = ("random",)
    variants: Listed[Variant] = ("default",)
    repeats: Annotated[int, NoBoolean] = Field(
        default=10, ge=1, le=100_000, description="the least timed calls of a case"
    )
    timeout: Annotated[float, NoBoolean] = Field(
        default=300.0, gt=0, le=1e6, allow_inf_nan=False, description="seconds that one case may take, loading included"
    )
    measure: Annotated[MeasureSettings, BeforeValidator(_without_min_samples)] = MeasureSettings()
    remote: RemoteSettings = RemoteSettings()
    _aliases: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="before")
    @classmethod
    def _check_case_count(cls, data: Any) -> Any:
        """Refuse a huge product before any value is parsed."""
        if isinstance(data, dict):
            refuse_many({key: data.get(key, cls.model_fields[key].default) for key in (*_LISTS, *cls.axes())})
        return data

    @model_validator(mode="wrap")
    @classmethod
    def _keep_aliases(cls, data: Any, handler: ModelWrapValidatorHandler[Sweep]) -> Sweep:
        """Store models by their keys, and keep the aliases that the user wrote."""
        sweep = handler(data)
        given = data.get("models") if isinstance(data, dict) else None
        names = given if isinstance(given, (list, tuple)) else [given]
        sweep._aliases = tuple(name for name in names if name in models.aliases())
        return sweep

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases that it lists models by."""
        return self._aliases

    @model_validator(mode="after")
    def _check_case_count_of_models(self) -> Sweep:
        """Count again with the models' own operations, now that the models are known."""
        if self.operations is None:
            refuse_many(self.lists)
        return self

    @classmethod
    def axes(cls) -> tuple[str, ...]:
        """The keys that are axes of some model, which `sweep_model` adds."""
        return tuple(name for name in cls.model_fields if name not in Sweep.model_fields)

    @property
    def lists(self) -> dict[str, tuple[Any, ...]]:
        """The lists whose product is the cases, by key."""
        # an upper bound: some models may have fewer operations
        own = max((models.workload(key).operations for key in self.models), key=len)
        lists = {key: getattr(self, key) for key in (*_LISTS, *self.axes())} | {"operations": self.operations or own}
        return {key: values for key, values in lists.items() if values is not None}

    def values_of(self, model: str) -> tuple[tuple[dict[str, int], ...], ...]:
        """The values of each axis of a model; width and height count as one axis.

        Raises AxisError for an axis that the model does not have, one that it needs and the sweep does not give, and a
        value that the axis can't have.
        """
        own = models.axes(model)
        for name in self.axes():
            if getattr(self, name) is not None and name not in own:
                raise AxisError(name, f"{model} has no such axis; {_models_with_axis(name)}")
        sides = self._sides(model, own)
        parts = [sides] if sides else []
        for name, axis in own.items():
            if sides and name in SIDES:
                continue
            values = getattr(self, name) or (() if axis.assumed is None else (axis.assumed,))
            if not values:
                neither = name in SIDES and all(getattr(self, side, None) is None for side in SIDES)
                key = "resolutions" if neither else name
                raise AxisError(key, f"{model} needs it", is_missing=True)
            for value in values:
                if refusal := axis.check(value):
                    raise AxisError(name, refusal)
            parts.append(tuple({name: value} for value in values))
        return tuple(parts)

    def _sides(self, model: str, own: Mapping[str, Axis]) -> tuple[dict[str, int], ...]:
        """The pairs of width and height in `resolutions`; empty if the sweep does not give it."""
        if not self.resolutions:
            return ()
        if not set(SIDES) <= own.keys():
            raise AxisError("resolutions", f"{model} has no width and height; {_models_with_axis('width')}")
        duplicate = next((name for name in SIDES if getattr(self, name) is not None), None)
        if duplicate is not None:
            raise AxisError(duplicate, "`resolutions` already gives width and height: remove one of the two")
        for size in self.resolutions:
            refusal = own["width"].check(size.width) or own["height"].check(size.height)
            if refusal:
                raise AxisError("resolutions", f"{size}: {refusal}")
        return tuple({"width": size.width, "height": size.height} for size in self.resolutions)


def _models_with_axis(axis: str) -> str:
    """The models that have an axis, in words."""
    having = [key for key, spec in models.zoo().items() if axis in models.axes(key) and spec.fault is None]
    if not having:
        return "only models that fail on purpose have it"
    return f"only {listed(having)} have it" if len(having) > 1 else f"only {having[0]} has it"


@cache
def sweep_model() -> type[Sweep]:
    """The class of sweeps, with a key for each axis of the known models."""
    fields: dict[str, Any] = {}
    for axis in models.known_axes():
        if hasattr(Sweep, axis.name) or axis.name in {*Sweep.model_fields, *Case.model_fields, "id"}:
            raise ConfigError(f"A workload has an axis {axis.name!r}, which is a name in sweeps or cases. Rename it.")
        values = Listed[Annotated[int, BeforeValidator(_axis_parser(axis)), Field(ge=1, lt=2**63, strict=True)]]
        fields[axis.name] = (Annotated[values | None, NotNull, Field(description=axis.unit or None)], None)
    return create_model("Sweep", __base__=Sweep, **fields)


def _axis_parser(axis: Axis) -> Callable[[Any], int]:
    """The axis's own `parse`; whatever it raises becomes a ValueError."""

    def read(value: Any) -> int:
        try:
            return axis.parse(value)
        except Exception as error:  # a plug-in may raise anything
            raise ValueError(str(error) or type(error).__name__) from error

    return read


def refuse_many(lists: Mapping[str, Any]) -> None:
    """Raise ValueError if the product of these lists exceeds MOST_CASES. A value that is not a list counts as one."""
    counts = {key: len(values) for key, values in lists.items() if isinstance(values, (list, tuple)) and values}
    if (count := math.prod(counts.values())) > MOST_CASES:
        product = " x ".join(f"{number:,} {key}" for key, number in counts.items() if number > 1)
        longest = max(counts, key=lambda key: counts[key])
        raise ValueError(
            f"the sweep has {count:,} cases ({product}), but at most {MOST_CASES:,} are allowed: shorten "
            f"`{longest}`, or split the sweep"
        )
