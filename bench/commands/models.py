"""`bench models`: what can be measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from bench.commands.options import AsJson

if TYPE_CHECKING:
    from bench.workloads.base import Spec


def models(as_json: AsJson = False) -> None:
    """List the models of the zoo."""
    import dataclasses

    from bench import terminal
    from bench.workloads.models import zoo

    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(spec) for spec in zoo().values()], indent=2))
        return
    terminal.print_lines(_line(spec) for spec in zoo().values())


def _line(spec: Spec) -> str:
    """A model in a line: its key, title, precision and tile, and where its weights are; then its other names."""
    from bench.workloads import models

    tile = models.workload(spec.key).default_tile(spec.key)
    tiled = f"tile {tile.tile:>4} px" if tile else "no tiles    "
    also = f"  also: {', '.join(spec.aliases)}" if spec.aliases else ""
    return f"{spec.key:<8} {spec.title:<8} {spec.dtype:<8} {tiled}  {spec.hub_id or '-'}{also}"
