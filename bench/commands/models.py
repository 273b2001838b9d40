"""`bench models`: what can be measured."""

from __future__ import annotations

import json

import typer

from bench.commands.options import AsJson


def models(as_json: AsJson = False) -> None:
    """List the models of the zoo."""
    import dataclasses

    from bench import terminal
    from bench.workloads.models import zoo

    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(spec) for spec in zoo().values()], indent=2))
        return
    lines = (
        f"{spec.key:<8} {spec.title:<8} {spec.dtype:<8} tile {spec.tile:>4} px  {spec.hub_id or '-'}"
        for spec in zoo().values()
    )
    terminal.print_lines(lines)
