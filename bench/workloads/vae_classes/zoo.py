"""The VAEs of a workload's folder `zoo`: one small file per model, and the checkpoints that this process has read.

To add a model, add a module that defines `MODEL` (or `MODELS`) to such a folder; nothing else needs an edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cached_property

from bench.errors import ConfigError, known
from bench.workloads import models
from bench.workloads.vae_classes.vae_class import VaeSpec


class Zoo:
    """The models of a package."""

    def __init__(self, package: str, path: Iterable[str]) -> None:
        self._package, self._path = package, path
        self._added: dict[str, VaeSpec] = {}

    def listed(self) -> tuple[VaeSpec, ...]:
        """Every model, sorted by `order` and key."""
        own: list[VaeSpec] = []
        for info in pkgutil.iter_modules(self._path):
            module = importlib.import_module(f"{self._package}.{info.name}")
            own += getattr(module, "MODELS", None) or ([module.MODEL] if hasattr(module, "MODEL") else [])
        return tuple(sorted((*own, *self._added.values()), key=lambda model: (model.order, model.key)))

    @cached_property
    def _specs(self) -> dict[str, VaeSpec]:
        """Of two with the same key the later one wins; `models` reports both."""
        return {spec.key: spec for spec in self.listed()}

    def get(self, key: str) -> VaeSpec:
        """The model with this key. Raises ConfigError that names the nearest."""
        return self._specs[known("model", key, self._specs)]

    def add(self, spec: VaeSpec) -> str:
        """Add the model of a checkpoint for this process, and return its key."""
        self._added[spec.key] = spec
        self.__dict__.pop("_specs", None)
        return spec.key

    def forget(self) -> None:
        """Forget the models of checkpoints."""
        self._added.clear()
        self.__dict__.pop("_specs", None)


def get(key: str) -> VaeSpec:
    """The VAE with this key or alias. Raises ConfigError that names the nearest, or if the model is no VAE."""
    spec = models.get(key)
    if not isinstance(spec, VaeSpec):
        raise ConfigError(f"{key} is not a VAE.")
    return spec
