"""`bench push`: send results to a dataset repository on the hub, where others find them."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import RESULTS, AsJson, Quiet
from bench.commands.stderr import interruptible, tell, tracked, warn

if TYPE_CHECKING:
    from bench.sharing.hub.pushing import Change

_USER = "`bench push`"


class KindName(StrEnum):
    """A kind of record."""

    measured = "measured"
    published = "published"
    predicted = "predicted"
    simulated = "simulated"


Name = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The dataset, such as hybrid-bench/results.")]
Sent = Annotated[list[Path] | None, typer.Argument(help="Results files and folders. Default: results/.")]
Kinds = Annotated[
    list[KindName] | None,
    typer.Option(
        "--kind", help="Records to send: measured, published, predicted or simulated; repeatable. Default: measured."
    ),
]
Private = Annotated[
    bool, typer.Option("--private", help="Create a private dataset; refuse one that exists and is public.")
]
License = Annotated[
    str | None,
    typer.Option("--license", help="The dataset's licence, as the hub names it. Default: as it is, else apache-2.0."),
]
WithEndpoints = Annotated[
    bool, typer.Option("--with-endpoints", help="Also send records with the addresses of endpoints on other machines.")
]
WithNames = Annotated[
    bool, typer.Option("--with-names", help="Also send records with paths of folders, or names of users and hosts.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")]


def push(
    name: Name,
    results: Sent = None,
    kind: Kinds = None,
    private: Private = False,
    license_id: License = None,
    with_endpoints: WithEndpoints = False,
    with_names: WithNames = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Send results to a dataset on the Hugging Face hub, in one commit.

    The dataset gets each run as it was written, the same as Parquet for the
    hub's viewer, and a dataset card. Only files that have changed are sent. A
    dataset that does not exist is created. --dry-run shows everything first.

    Log in with `hf auth login`, or set HF_TOKEN. HF_ENDPOINT names another hub.

    Exit codes: 0 done, or nothing to send; 1 the hub can't be reached, or it has
    other figures for a run; 2 wrong usage, results that must not be sent, or no
    access; 130 interrupted.
    """
    from bench import packages
    from bench.sharing.hub.layout import check_endpoint

    packages.require(_USER, packages.SHARE)
    check_endpoint(os.environ.get("HF_ENDPOINT", ""))
    packages.load(_USER, packages.SHARE)
    from bench.sharing.hub import outgoing, pushing
    from bench.sharing.hub.repository import Repository

    repository = Repository(name, quiet=quiet or not sys.stderr.isatty())
    allowed = outgoing.Allowed(
        frozenset(choice.value for choice in kind) if kind else frozenset({"measured"}), with_endpoints, with_names
    )
    shown = partial(tracked, quiet=quiet)
    settings = pushing.Settings(private, license_id, shown)
    say = (lambda _: None) if quiet else tell
    with interruptible("Interrupted. All files are in one commit, so either all or none were sent; push again."):
        if not dry_run:
            repository.require_token()
        head = repository.head()
        sent = outgoing.read(results or [RESULTS], allowed, None if head is None else head.files, shown)
        warn([] if quiet else sent.notes)
        if dry_run:
            change, address = pushing.plan(repository, sent, settings), ""
        else:
            change, address = pushing.push(repository, sent, settings, say)
    if as_json:
        _print_json(change, repository.address, address)
    elif not quiet:
        _show(change, repository.address, address, dry_run=dry_run, private=private)


def _print_json(change: Change, place: str, commit: str) -> None:
    import json

    summary = {
        "repository": place,
        "commit": commit or None,
        "created": change.is_new,
        "files": {path: len(content) for path, content in sorted(change.files.items())},
        "bytes": change.size,
        "added_records": change.added,
        "unchanged_runs": change.unchanged,
        "devices": _devices(change),
    }
    typer.echo(json.dumps(summary, indent=2))


def _show(change: Change, place: str, commit: str, *, dry_run: bool, private: bool) -> None:
    """Print what was sent, or would be: the files, the records of each device, and bytes."""
    from bench.report.render.terminal import print_lines

    if dry_run:
        print_lines(_listing(change))
    print_lines(_summary(change, place, commit, dry_run=dry_run, private=private))


def _devices(change: Change) -> dict[str, int]:
    """How many records of each device the changed runs have."""
    counts: dict[str, int] = {}
    for run in change.runs.values():
        for record in run.records:
            counts[record.device.name] = counts.get(record.device.name, 0) + 1
    return counts


def _listing(change: Change) -> list[str]:
    from bench.core.units import one_line

    files = [f"{len(content):>12,}  {path}" for path, content in sorted(change.files.items())]
    devices = [f"{count:>12,}  records of {one_line(name)}" for name, count in sorted(_devices(change).items())]
    return [*(["       bytes  file"] if files else []), *files, *devices]


def _summary(change: Change, place: str, commit: str, *, dry_run: bool, private: bool) -> list[str]:
    same = f"{change.unchanged:,} runs are there already"
    if not change.files:
        return [f"Nothing to send to {place}: {same}."]
    what = f"{len(change.files):,} files ({change.size:,} bytes) with {change.added:,} new records"
    if dry_run:
        new = f" It would be created{', private' if private else ''}." if change.is_new else ""
        return [f"Would send {what} to {place}; {same}.{new}"]
    return [f"Sent {what} to {place}; {same}.", f"Commit: {commit}"]
