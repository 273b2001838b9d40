"""`bench models`: lists what can be measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from bench.commands.options import AsJson

if TYPE_CHECKING:
    from bench.workloads.base import Spec


def models(as_json: AsJson = False) -> None:
    """List the models that can be measured, and their operations and axes.

    The tile is the model's default, and the weights are its checkpoint on the hub.
    """
    import dataclasses

    from bench.report.pages import models_page
    from bench.report.render import console
    from bench.workloads.models import zoo

    specs = list(zoo().values())
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(spec) | _workload(spec) for spec in specs], indent=2))
    else:
        console.show(models_page.page(specs))


def _workload(spec: Spec) -> dict[str, object]:
    """The keys that sweeps of the model's workload have: its kind, operations and axes."""
    from bench.workloads import models

    workload = models.workload(spec.key)
    return {"kind": workload.name, "operations": workload.operations, "axes": list(models.axes(spec.key))}
