"""What a sweep is: its keys, their types and defaults, and what must hold between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from bench.config.values import (
    OPERATIONS,
    TRANSPORTS,
    Count,
    Dtype,
    Frames,
    Generations,
    Listed,
    Model,
    Name,
    NoBoolean,
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
from bench.record import Case, MeasureSettings

#: The most cases of a sweep: at a second each they take over five hours.
MOST_CASES = 20_000
#: The keys whose lists are multiplied.
_LISTS = ("models", "operations", "resolutions", "frames", "batch", "dtypes", "tiling", "weights", "variants")
#: No load and no overlap asks for more requests than this.
MOST_REQUESTS = 1_000_000


def _without_min_samples(value: Any) -> Any:
    if isinstance(value, dict) and "min_samples" in value:
        raise ValueError("min_samples is the sweep's own key `repeats`: set that")
    return value


class LoadSettings(Strict):
    """Requests to an endpoint that do not wait for each other's answers."""

    rates: Rates = Field(default=None, description="requests per second, each a load of its own")
    shares: Shares = Field(default=None, description="rates as shares of the capacity that a closed loop finds first")
    transports: Listed[TransportName] | None = Field(default=None, description="only these of the sweep's; null: all")
    concurrency: Count = Field(default=8, le=256, description="requests at once when capacity is measured")
    seconds: Positive = Field(default=30.0, le=86_400, description="over how long requests are sent")
    seed: Annotated[int, Field(ge=0, lt=2**63), NoBoolean] = 0
    timeout: Positive = Field(default=30.0, le=86_400, description="seconds that one request may take")

    @model_validator(mode="after")
    def _has_a_rate(self) -> LoadSettings:
        if not self.rates and not self.shares:
            raise ValueError(
                "a load needs `rates` (requests per second; or --rate) or `shares` (of the capacity): give one"
            )
        if any(rate * self.seconds > MOST_REQUESTS for rate in self.rates or ()):
            raise ValueError(f"a rate times `seconds` is more than {MOST_REQUESTS} requests: lower one of them")
        return self

    def of(self, transport: str | None) -> bool:
        """Whether cases over that transport are put under load."""
        return self.transports is None or transport in self.transports


class OverlapSettings(Strict):
    """Decodes by an endpoint while the next image is generated, and in turn with it: what the first gains."""

    generation: Generations = Field(default=None, description="seconds that an image takes, each an overlap of its own")
    shares: SharesOfARequest = Field(default=None, description="the same, as shares of the case's own median request")
    images: Annotated[int, NoBoolean] = Field(default=12, ge=2, le=10_000, description="of each round")
    workers: Count = Field(default=1, le=64, description="threads that make the requests")
    rounds: Count = Field(default=2, le=1000, description="how often it is done each way")
    transports: Listed[TransportName] | None = Field(default=None, description="only these of the sweep's; null: all")
    timeout: Positive = Field(default=30.0, le=86_400, description="seconds that one request may take")

    @model_validator(mode="after")
    def _has_a_generation(self) -> OverlapSettings:
        count = len(self.generation or ()) + len(self.shares or ())
        if not count:
            raise ValueError(
                "an overlap needs `generation` (seconds that an image takes) or `shares` (of the case's own median "
                "request): give one"
            )
        if count * 2 * self.rounds * self.images > MOST_REQUESTS:
            raise ValueError(f"`images` times `rounds`, each way, is more than {MOST_REQUESTS} requests: lower one")
        return self

    def of(self, case: Case) -> bool:
        """Whether a case is measured so: a decode, which comes after its generation, over one of the transports."""
        return case.operation == "decode" and (self.transports is None or case.transport in self.transports)


class RemoteSettings(Strict):
    """What `bench remote` measures besides; `bench run` passes it over."""

    transports: Listed[TransportName] = TRANSPORTS
    overlap: OverlapSettings | None = None
    load: LoadSettings | None = None


class Sweep(Strict):
    """What to measure: the product of its lists, in the order in which they stand."""

    name: Name
    models: Listed[Model]
    operations: Listed[Operation] = OPERATIONS
    resolutions: Listed[Size]
    frames: Listed[Frames] = (1,)
    batch: Listed[Count] = (1,)
    dtypes: Listed[Dtype] = ("model",)
    tiling: Listed[Tiling] = ("off", "on")
    weights: Listed[Weights] = ("random",)
    variants: Listed[Variant] = ("default",)
    repeats: Annotated[int, NoBoolean] = Field(
        default=10, ge=1, le=100_000, description="timed calls of a case, at the least"
    )
    timeout: Annotated[float, NoBoolean] = Field(
        default=300.0, gt=0, le=1e6, allow_inf_nan=False, description="seconds that one case may take, loading included"
    )
    measure: Annotated[MeasureSettings, BeforeValidator(_without_min_samples)] = MeasureSettings()
    remote: RemoteSettings = RemoteSettings()

    @model_validator(mode="before")
    @classmethod
    def _has_not_too_many_cases(cls, data: Any) -> Any:
        """Before any value is looked at: each is checked alone, and all are multiplied later."""
        if isinstance(data, dict):
            refuse_many({key: data.get(key, cls.model_fields[key].default) for key in _LISTS})
        return data

    @property
    def lists(self) -> dict[str, tuple[Any, ...]]:
        """The lists whose product the cases are, by key."""
        return {key: getattr(self, key) for key in _LISTS}


def refuse_many(lists: Mapping[str, Any]) -> None:
    """Raise ValueError if the product of these lists has more than MOST_CASES members; other values count as one."""
    counts = {key: len(values) for key, values in lists.items() if isinstance(values, (list, tuple)) and values}
    if (count := math.prod(counts.values())) > MOST_CASES:
        product = " x ".join(f"{number:,} {key}" for key, number in counts.items() if number > 1)
        longest = max(counts, key=lambda key: counts[key])
        raise ValueError(
            f"the sweep has {count:,} cases ({product}), and at most {MOST_CASES:,} are allowed: shorten "
            f"`{longest}`, or split it into several sweeps"
        )
