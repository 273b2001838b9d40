"""`bench models`: lists what can be measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.options import AsJson

if TYPE_CHECKING:
    from bench.workloads.base import Spec


class Format(StrEnum):
    """How the models are listed."""

    terminal = "terminal"
    markdown = "markdown"
    html = "html"
    csv = "csv"
    json = "json"


Form = Annotated[
    Format, typer.Option("--format", help="terminal, markdown, html, csv (one table with all columns) or json.")
]


def models(form: Form = Format.terminal, as_json: AsJson = False) -> None:
    """List the models that can be measured, with their size, latents, operations and axes.

    The tile is the model's default, and the weights are its checkpoint on the
    hub. Latent is the channels, and the side as a share of the image's.
    """
    from bench.report.pages import models_page
    from bench.report.render import console, csv_tables, html_page, markdown
    from bench.workloads.models import zoo

    specs = list(zoo().values())
    if as_json or form is Format.json:
        typer.echo(json.dumps([_figures(spec) for spec in specs], indent=2, default=_plain))
    elif form is Format.csv:
        typer.echo(csv_tables.render_table(models_page.whole_table(specs)), nl=False)
    elif form is Format.terminal:
        console.show(models_page.page(specs))
    else:
        render = html_page.render if form is Format.html else markdown.render
        typer.echo(render(models_page.page(specs)), nl=False)


def _figures(spec: Spec) -> dict[str, Any]:
    """The fields of a spec, what is known of the model, and the keys that sweeps of its workload have."""
    import dataclasses

    from bench.report.pages.models_page import weights_bytes
    from bench.workloads import models

    workload = models.workload(spec.key)
    facts = workload.facts(spec.key)
    own = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
    axes = models.axes(spec.key)
    return {
        **own,
        **dataclasses.asdict(facts),
        "weights_bytes": weights_bytes(facts),
        "tile": workload.default_tile(spec.key),
        "kind": workload.name,
        "operations": workload.operations,
        "axes": list(axes),
        "usual": {name: axis.assumed for name, axis in axes.items() if axis.assumed is not None},
    }


def _plain(value: object) -> object:
    """What JSON shows of a value that it has no form of: its fields, or its name."""
    from bench.record import Tile

    if isinstance(value, Tile):
        return value.model_dump()
    if isinstance(value, Sequence):
        return list(value)
    return str(getattr(value, "name", value))
