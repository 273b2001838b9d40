"""Every model that there is, whatever kind of workload it is of, by its key or its title. Free of torch."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bench.errors import ConfigError, nearest, quoted
from bench.workloads.image_vae import zoo as image_vaes
from bench.workloads.image_vae.spec import SERVED_UNTILED_PX, AutoencoderKLSpec

__all__ = ["SERVED_UNTILED_PX", "AutoencoderKLSpec", "by_title", "get", "title", "zoo"]


@cache
def zoo() -> dict[str, AutoencoderKLSpec]:
    """Every model by its key, in the order of their `order` field."""
    found: list[AutoencoderKLSpec] = []
    for info in pkgutil.iter_modules(image_vaes.__path__):
        module = importlib.import_module(f"{image_vaes.__name__}.{info.name}")
        found += getattr(module, "MODELS", None) or ([module.MODEL] if hasattr(module, "MODEL") else [])
    found.sort(key=lambda spec: (spec.order, spec.key))
    for name in ("key", "title"):
        values = [getattr(spec, name) for spec in found]
        doubled = next((value for value in values if values.count(value) > 1), None)
        if doubled is not None:
            raise ConfigError(f"Two models have the {name} {doubled!r}: give one of them another.")
    return {spec.key: spec for spec in found}


def get(key: str) -> AutoencoderKLSpec:
    """The model of that key. Raises ConfigError that names the nearest."""
    try:
        return zoo()[key]
    except KeyError:
        raise ConfigError(f"Unknown model {quoted(key)}. {nearest(key, zoo())}") from None


def title(key: str) -> str:
    """The docs' title of a model; its key, if the zoo has it no more."""
    return zoo()[key].title if key in zoo() else key


def by_title(text: str) -> AutoencoderKLSpec | None:
    """The model whose title in the docs (or a spelling that they also use) is `text`, letters' case aside."""
    wanted = text.strip().casefold()
    for spec in zoo().values():
        if wanted in {name.casefold() for name in (spec.title, spec.key, *spec.also_titled)}:
            return spec
    return None
