"""Image VAEs as data, one small file a model.

A module of this folder that defines `MODEL` (or `MODELS`) is part of the zoo: nothing else is to be edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bench.errors import ConfigError, nearest, quoted
from bench.workloads.image_vae.spec import ImageVaeSpec


@cache
def specs() -> dict[str, ImageVaeSpec]:
    """Every image VAE by its key. Of two with one key only the later stands here: `models` complains of both."""
    return {spec.key: spec for spec in listed()}


def listed() -> tuple[ImageVaeSpec, ...]:
    """Every image VAE, as the files have them."""
    found: list[ImageVaeSpec] = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        found += getattr(module, "MODELS", None) or ([module.MODEL] if hasattr(module, "MODEL") else [])
    return tuple(found)


def get(key: str) -> ImageVaeSpec:
    """The image VAE of that key. Raises ConfigError that names the nearest."""
    try:
        return specs()[key]
    except KeyError:
        raise ConfigError(f"{quoted(key)} is no image VAE. {nearest(key, specs())}") from None
