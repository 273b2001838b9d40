"""`bench models`: what can be measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from bench.commands.options import AsJson

if TYPE_CHECKING:
    from bench.workloads.base import Spec


def models(as_json: AsJson = False) -> None:
    """List the models of the zoo."""
    import dataclasses

    from bench.report.render import terminal
    from bench.workloads.models import zoo

    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(spec) | _kind(spec) for spec in zoo().values()], indent=2))
        return
    specs = zoo().values()
    widths = [max(map(len, column)) for column in zip(*((one.key, one.title) for one in specs), strict=True)]
    terminal.print_lines(line for spec in specs for line in _lines(spec, *widths))
    terminal.print_lines(["", *dict.fromkeys(_kind_line(spec) for spec in specs)])


def _kind(spec: Spec) -> dict[str, object]:
    """What the model's workload says of all of its kind: the keys that a sweep of it has."""
    from bench.workloads import models

    workload = models.workload(spec.key)
    return {"kind": workload.name, "operations": workload.operations, "axes": list(models.axes(spec.key))}


def _kind_line(spec: Spec) -> str:
    """`image VAE: encode, decode; by width, height, frames, batch`."""
    from bench.workloads import models

    workload = models.workload(spec.key)
    return f"{workload.name}: {', '.join(workload.operations)}; by {', '.join(models.axes(spec.key))}"


def _lines(spec: Spec, key_width: int, title_width: int) -> Iterator[str]:
    """A model's key, title, precision and tile, and where its weights are; then its other names."""
    from bench.workloads import models

    tile = models.workload(spec.key).default_tile(spec.key)
    tiled = f"tile {tile.tile:>4} px" if tile else "no tiles    "
    yield f"{spec.key:<{key_width}} {spec.title:<{title_width}} {spec.dtype:<8} {tiled}  {spec.hub_id or '-'}"
    if spec.aliases:
        yield f"{'':<{key_width}} also: {', '.join(spec.aliases)}"
