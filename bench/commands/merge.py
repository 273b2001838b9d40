"""`bench merge`: the results of several machines or people as one results folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import AsJson, Quiet
from bench.commands.stderr import interruptible, tracked, warn
from bench.core.units import format_count

if TYPE_CHECKING:
    from bench.sharing.merge.merge_folders import Merged


class Preference(StrEnum):
    """Which of two records of one key stays."""

    first = "first"
    newest = "newest"


Given = Annotated[list[Path], typer.Argument(help="Results files and folders.")]
Folder = Annotated[
    Path,
    typer.Option(
        "--out", "-o", help="Results folder to merge into. It keeps the records that it has, which come first."
    ),
]
Prefer = Annotated[
    Preference | None,
    typer.Option(
        help="Which of two versions of a record that differ to keep: first, that of the results named first; newest, "
        "the one recorded last. By default both are named, and nothing is merged."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be merged, and write nothing.")]


def merge(
    results: Given,
    out: Folder,
    prefer: Prefer = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Merge results of several machines or people into one folder.

    Each record is kept once, as it was written. FOLDER/provenance.json says
    which files the records came from. Ceilings, workspaces and compared
    pictures of devices are merged too. Merging the same results again changes
    nothing.

    Exit codes: 0 done; 1 two versions of a record differ, so that nothing was
    merged, or lines that can't be used were left out; 2 wrong usage, no
    results, or a folder that can't be written.
    """
    from bench.sharing.merge.given import Given as GivenResults
    from bench.sharing.merge.merge_folders import merge as merge_results

    given = [GivenResults.of(path) for path in results]
    with interruptible("Interrupted. Run the same command again to complete the folder."):
        merged = merge_results(
            given,
            out,
            prefer=None if prefer is None else prefer.value,
            dry_run=dry_run,
            tracked=lambda items, text: tracked(items, text, quiet=quiet or as_json),
        )
    warn(f"{message} It stays as it is." for message in merged.kept_bad)
    warn(f"{message} It is left out." for message in merged.left_out)
    warn(f"{message}. The preferred one stays." for message in merged.settled)
    if as_json:
        _print_json(merged, out, dry_run=dry_run)
    elif not quiet:
        _print(merged, out, dry_run=dry_run)
    if merged.left_out:
        raise typer.Exit(1)


def _print(merged: Merged, out: Path, *, dry_run: bool) -> None:
    from bench.report.render.terminal import print_lines

    verb = "would add" if dry_run else "added"
    lines = [f"{out}: {verb} {format_count(merged.added, 'record')}; {merged.records:,} in all"]
    if merged.identical:
        lines.append(f"{format_count(merged.identical, 'duplicate line')} left out")
    if merged.dropped:
        lines.append(f"{format_count(merged.dropped, 'record')} dropped, because another version is preferred")
    lines += [f"{'would write' if dry_run else 'wrote'} {place}" for place in merged.device_files]
    print_lines(lines)


def _print_json(merged: Merged, out: Path, *, dry_run: bool) -> None:
    import dataclasses
    import json

    content = {"out": str(out), "dry_run": dry_run, "added": merged.added, **dataclasses.asdict(merged)}
    typer.echo(json.dumps(content, indent=2))
