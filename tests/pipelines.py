"""Cases of pipelines, for tests."""

from __future__ import annotations

from typing import Any

from bench.record import Axes, Case
from bench.workloads import models


def a_pipeline_case(key: str, **fields: Any) -> Case:
    """A pipeline's case of its own size and steps in float32; axes can be given as fields."""
    known = models.axes(key)
    axes = {name: fields.pop(name, axis.assumed) for name, axis in known.items()}
    return Case(**{"model": key, "operation": "generate", "axes": Axes(axes), "dtype": "float32"} | fields)
