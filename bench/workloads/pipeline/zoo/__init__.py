"""Pipelines as data, one small file per family, each with a tiny sibling of the same classes.

The hub's config.json could not be read: each file says where its arguments come from. To add a pipeline, add it to
such a file, or a module that defines `MODELS` to this folder; nothing else needs an edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bench.errors import known
from bench.workloads.pipeline.pipeline_spec import PipelineSpec


@cache
def listed() -> tuple[PipelineSpec, ...]:
    """Every pipeline: those of full size first, then the tiny ones, each in the order of the modules' names."""
    own: list[PipelineSpec] = []
    for info in pkgutil.iter_modules(__path__):
        own += importlib.import_module(f"{__name__}.{info.name}").MODELS
    return tuple(sorted(own, key=lambda spec: spec.key.startswith("tiny-")))


def get(key: str) -> PipelineSpec:
    """The pipeline with this key. Raises ConfigError that names the nearest."""
    specs = {spec.key: spec for spec in listed()}
    return specs[known("model", key, specs)]
