"""`bench pull`: bring the results of a dataset repository on the hub into a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import RESULTS, AsJson, Quiet
from bench.commands.stderr import interruptible, tell, warn

if TYPE_CHECKING:
    from bench.sharing.hub.pulling import Pulled

_USER = "`bench pull`"

Name = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The dataset, such as hybrid-bench/results.")]
Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder for results; they go to FOLDER/<device>/.")]
Devices = Annotated[
    list[str] | None,
    typer.Option("--device", help="Only results of this device: its name or a part, e.g. 'RTX 4090'; repeatable."),
]
Revision = Annotated[
    str | None, typer.Option("--revision", help="A branch, a tag or a commit of the dataset. Default: main.")
]


def pull(
    name: Name,
    out: Folder = RESULTS,
    device: Devices = None,
    revision: Revision = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring the results of a dataset on the Hugging Face hub into a folder.

    Only files that are missing or differ are downloaded. Their records are added
    to those of the folder. If the two have different versions of a record, the
    folder keeps its own, and the conflict is named. Lines that are not records
    of this program are left out.

    A public dataset needs no login. HF_ENDPOINT names another hub.

    Exit codes: 0 done; 1 the hub can't be reached, or records contradict each
    other; 2 wrong usage, no access, or a folder that can't be written; 130
    interrupted.
    """
    from bench import packages
    from bench.sharing.hub.layout import check_endpoint

    packages.require(_USER, packages.SHARE)
    check_endpoint(os.environ.get("HF_ENDPOINT", ""))
    packages.load(_USER, packages.SHARE)
    from bench.sharing.hub import pulling
    from bench.sharing.hub.repository import Repository

    repository = Repository(name, quiet=quiet or not sys.stderr.isatty())
    say = (lambda _: None) if quiet else tell
    with interruptible("Interrupted. The files that are there already are complete; pull again for the others."):
        pulled = pulling.pull(repository, out, devices=device or (), revision=revision, tell=say)
    warn(pulled.warnings)
    _show(pulled, out, repository.address, as_json=as_json, quiet=quiet)
    if pulled.conflicts:
        _refuse(pulled)


def _show(pulled: Pulled, out: Path, place: str, *, as_json: bool, quiet: bool) -> None:
    """Print what came, and how to show it."""
    import json

    from bench.report.render.terminal import print_lines

    if as_json:
        summary = {
            "repository": place,
            "commit": pulled.commit,
            "written": [str(path) for path in pulled.written],
            "unchanged_files": pulled.unchanged,
            "added_records": pulled.added,
            "devices": pulled.devices,
            "conflicts": pulled.conflicts,
        }
        typer.echo(json.dumps(summary, indent=2))
    elif not quiet:
        same = f"{pulled.unchanged:,} files were there already"
        devices = f"{len(pulled.devices):,} device{'' if len(pulled.devices) == 1 else 's'}"
        came = f"{pulled.added:,} new records in {len(pulled.written):,} files of {out} ({devices}); {same}."
        print_lines([came, f"Show them: bench report {out}"] if pulled.devices else [f"{place} has no results."])


def _refuse(pulled: Pulled) -> None:
    from bench.errors import GateError
    from bench.sharing.hub.run_lines import named

    raise GateError(
        "Records differ between the folder and the dataset, and the folder's stay. Move their files away and pull "
        "again to get the others:",
        *named(pulled.conflicts),
    )
