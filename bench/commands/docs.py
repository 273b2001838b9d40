"""`bench docs`: the tables of the diffusers docs, read, printed, checked and updated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.commands.files import read_exactly, read_text, records_and_predictions, replace_exactly
from bench.commands.help_page import Command, Group
from bench.commands.notice import announced
from bench.commands.options import RESULTS, Quiet
from bench.commands.stderr import warn
from bench.errors import ConfigError, GateError

docs = typer.Typer(
    cls=Group, no_args_is_help=True, help="Read, print, check and update the tables of the diffusers docs."
)

#: The endings of pages, which are no results.
_PAGES = {".md", ".mdx"}

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


@docs.command("update", cls=Command)
@partial(announced, "Reading results")
def docs_update(
    page: Annotated[Path, typer.Argument(help="A page of the docs, in markdown.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="RESULTS", help="More results.")] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", metavar="RESULTS", help="Results files and folders; repeatable. Default: results/."),
    ] = None,
    operation: Annotated[
        str | None,
        typer.Option(
            "--operation", help="Update only tables of encode or decode; those that do not say count as such."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; print a diff if anything would change.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Put measured figures into the tables of a docs page, and keep everything else byte for byte.

    Rows of measured devices get the new figures, and new devices are added
    below the others. Published figures are used only if the results hold
    nothing measured.

    Exit codes: 0 done; 1 with --check, the page would change; 2 wrong usage,
    or a page or results that can't be used.
    """
    from bench.report.docs import page_update
    from bench.report.render.terminal import print_lines

    paths = [*(results or []), *(more or [])] or [RESULTS]
    if another := next((path for path in paths if path.suffix.lower() in _PAGES), None):
        raise ConfigError(f"{another} is a page, and this updates one at a time. Run it once for each page.")
    text = read_exactly(page)
    records, predictions = records_and_predictions(paths, strict=check)
    updated = page_update.update(text, page.name, records or predictions, operation)
    warn(updated.notes)
    if check:
        if difference := page_update.difference(text, updated.text, page.name):
            typer.echo(difference, nl=False)
            raise GateError(f"{page}: its figures differ from the results. To change them, run this without --check.")
    elif updated.text != text:
        replace_exactly(page, updated.text)
    if not quiet:
        print_lines(page_update.summary(str(page), updated, is_changed=updated.text != text))


def _rendered(results: Sequence[Path], operation: str, dialect: str | None, *, strict: bool = False) -> str:
    from bench.report.docs import docs_table

    records, predictions = records_and_predictions(results, strict=strict)
    # Predicted records alone are passed on, to be refused for what they are
    rendered = docs_table.render(records or predictions, operation, dialect)
    warn(rendered.notes)
    return rendered.text
