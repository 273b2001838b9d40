"""`bench report`: the pages, and the plots that they show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.files import table_records, warn, write_bytes, write_text
from bench.commands.options import REPORTS, RESULTS, Quiet


def report(
    results: Annotated[list[Path] | None, typer.Argument(help="Results files and folders; default: results/.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the pages.")] = REPORTS,
    quiet: Quiet = False,
) -> None:
    """Write the report pages from all results: no GPU needed, and torch is not loaded."""
    from bench.config import OPERATIONS
    from bench.report import page, remote, remote_plot
    from bench.store import read_ceilings

    paths = results or [RESULTS]
    records = table_records(paths)
    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    pages = {f"vae_{operation}.md": page.render(operation, records, ceilings) for operation in OPERATIONS}
    found = remote.endpoints(records)
    pages["remote.md"] = remote.render(found)
    for name, text in pages.items():
        write_text(out / name, text)
        _say(out / name, quiet)
    for slug, group in found.items():
        image = remote_plot.draw(group)
        if image is not None:
            write_bytes(out / remote.plot_name(slug), image)
            _say(out / remote.plot_name(slug), quiet)


def _say(path: Path, quiet: bool) -> None:
    if not quiet:
        typer.echo(f"Wrote {path}")
