"""The zoo: VAE architectures as data, free of torch. One small file a model.

A module of this folder that defines `MODEL` (or `MODELS`) is part of the zoo: nothing else is to be edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bench.errors import ConfigError, nearest
from bench.models.spec import AutoencoderKLSpec

__all__ = ["AutoencoderKLSpec", "by_title", "get", "zoo"]


@cache
def zoo() -> dict[str, AutoencoderKLSpec]:
    """Every model by its key, in the order of their `order` field."""
    found: list[AutoencoderKLSpec] = []
    for info in pkgutil.iter_modules(__path__):
        if info.name == "spec":
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        found += getattr(module, "MODELS", None) or ([module.MODEL] if hasattr(module, "MODEL") else [])
    return {spec.key: spec for spec in sorted(found, key=lambda spec: (spec.order, spec.key))}


def get(key: str) -> AutoencoderKLSpec:
    """The model of that key. Raises ConfigError that names the nearest."""
    try:
        return zoo()[key]
    except KeyError:
        raise ConfigError(f"Unknown model {key!r}. {nearest(key, zoo())}") from None


def by_title(title: str) -> AutoencoderKLSpec | None:
    """The model whose title in the docs (or a spelling that they also use) is `title`, letters' case aside."""
    wanted = title.strip().casefold()
    for spec in zoo().values():
        if wanted in {name.casefold() for name in (spec.title, spec.key, *spec.also_titled)}:
            return spec
    return None
