"""The text encoders: one small file for each kind, with the model in full size and its small sibling.

To add an encoder, add a module that defines `MODELS` to this folder; nothing else needs an edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType

from bench.errors import known
from bench.workloads.text_encoder.encoder_spec import EncoderSpec


@cache
def listed() -> tuple[EncoderSpec, ...]:
    """Every encoder, sorted by `order` and key."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return tuple(
        sorted((spec for module in modules for spec in module.MODELS), key=lambda spec: (spec.order, spec.key))
    )


@cache
def _by_key() -> MappingProxyType[str, EncoderSpec]:
    return MappingProxyType({spec.key: spec for spec in listed()})


def get(key: str) -> EncoderSpec:
    """The encoder with this key. Raises ConfigError that names the nearest."""
    specs = _by_key()
    return specs[known("text encoder", key, specs)]
