"""`bench report`: the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.files import table_records, warn, write_text
from bench.commands.options import REPORTS, RESULTS, Quiet


def report(
    results: Annotated[list[Path] | None, typer.Argument(help="Results files and folders; default: results/.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the pages.")] = REPORTS,
    quiet: Quiet = False,
) -> None:
    """Write the report pages from all results: no GPU needed, and torch is not loaded."""
    from bench.config import OPERATIONS
    from bench.report import page
    from bench.store import read_ceilings

    paths = results or [RESULTS]
    records = table_records(paths)
    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    for operation in OPERATIONS:
        path = out / f"vae_{operation}.md"
        write_text(path, page.render(operation, records, ceilings))
        if not quiet:
            typer.echo(f"Wrote {path}")
