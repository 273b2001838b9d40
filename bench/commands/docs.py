"""`bench docs`: the tables of the diffusers docs, read, printed and checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.commands.files import read_text, records_and_predictions
from bench.commands.help_page import Command, Group
from bench.commands.notice import announced
from bench.commands.options import Quiet
from bench.commands.stderr import warn
from bench.errors import GateError

docs = typer.Typer(cls=Group, no_args_is_help=True, help="Read, print and check the tables of the diffusers docs.")

Operation = Annotated[str, typer.Option("--operation", help="encode or decode.")]
Results = Annotated[list[Path], typer.Argument(help="Results files and folders.")]
Dialect = Annotated[
    str | None, typer.Option(help="Format of the encode or decode page; default: that of the operation.")
]


@docs.command("import", cls=Command)
@partial(announced, "Reading the page")
def docs_import(
    page: Annotated[Path, typer.Argument(help="A page of the docs, in markdown.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The results file to write.")],
    operation: Annotated[
        str | None, typer.Option("--operation", help="encode or decode. Default: what the page says.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Read the tables of a docs page, and write their figures as published records.

    Exit codes: 0 done; 2 wrong usage, or a page or file that can't be used.
    """
    from bench import store
    from bench.record import timestamp
    from bench.report.docs import docs_page
    from bench.report.render import terminal

    text = read_text(page)
    published = docs_page.read_page(text, page.name, operation, recorded_at=timestamp(datetime.now(UTC)))
    warn(published.warnings)
    store.replace(out, published.records, "published")
    if not quiet:
        terminal.print_lines([f"Wrote {len(published.records)} published records to {out}"])


@docs.command("render", cls=Command)
@partial(announced, "Reading results")
def docs_render(results: Results, operation: Operation, dialect: Dialect = None) -> None:
    """Print the tables of one operation from results, byte for byte in the docs' format.

    Exit codes: 0 done; 2 wrong usage, or results that the tables can't show.
    """
    typer.echo(_rendered(results, operation, dialect), nl=False)


@docs.command("check", cls=Command)
@partial(announced, "Reading results")
def docs_check(
    page: Annotated[Path, typer.Argument(help="A page of the docs, in markdown.")],
    results: Results,
    operation: Operation,
    dialect: Dialect = None,
) -> None:
    """Compare a page's tables with those that `bench docs render` prints, and print a diff if they differ.

    Exit codes: 0 they are the same; 1 they differ; 2 wrong usage, or a results
    file with a bad line.
    """
    from bench.report.docs import docs_table

    rendered = _rendered(results, operation, dialect, strict=True)
    difference = docs_table.difference(read_text(page), rendered, operation, name=page.name)
    if difference:
        typer.echo(difference, nl=False)
        raise GateError(f"{page}: its tables differ from the results. The diff is on standard output.")


def _rendered(results: Sequence[Path], operation: str, dialect: str | None, *, strict: bool = False) -> str:
    from bench.report.docs import docs_table

    records, predictions = records_and_predictions(results, strict=strict)
    # Predicted records alone are passed on, to be refused for what they are
    rendered = docs_table.render(records or predictions, operation, dialect)
    warn(rendered.gaps)
    return rendered.text
