"""Image VAEs as data, one small file per model.

To add a model, add a module that defines `MODEL` (or `MODELS`) to this folder; nothing else needs an edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bench.errors import known
from bench.workloads.image_vae.spec import ImageVaeSpec

#: The models of checkpoints that this process has read, by key.
_added: dict[str, ImageVaeSpec] = {}


@cache
def specs() -> dict[str, ImageVaeSpec]:
    """Every image VAE by its key. Of two with the same key the later one wins; `models` reports both."""
    return {spec.key: spec for spec in listed()}


def listed() -> tuple[ImageVaeSpec, ...]:
    """Every image VAE, sorted by `order` and key."""
    models: list[ImageVaeSpec] = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        models += getattr(module, "MODELS", None) or ([module.MODEL] if hasattr(module, "MODEL") else [])
    models += _added.values()
    return tuple(sorted(models, key=lambda model: (model.order, model.key)))


def add(spec: ImageVaeSpec) -> str:
    """Add the model of a checkpoint for this process, and return its key."""
    _added[spec.key] = spec
    specs.cache_clear()
    return spec.key


def get(key: str) -> ImageVaeSpec:
    """The image VAE with this key. Raises ConfigError that names the nearest."""
    return specs()[known("image VAE", key, specs())]
