"""`bench accept`: checks a volunteer's bundle before it counts, and adds it to the results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.options import RESULTS, AsJson, Quiet
from bench.commands.stderr import interruptible, tracked

Bundles = Annotated[list[Path], typer.Argument(metavar="BUNDLE", help="Bundles that `bench contribute` wrote.")]
Digest = Annotated[
    str | None,
    typer.Option(
        "--digest",
        metavar="SHA256",
        help="The digest that the volunteer told you. Default: that in the file BUNDLE.sha256, if it is there.",
    ),
]
StandIn = Annotated[
    bool,
    typer.Option(
        "--stand-in",
        help="Also accept figures of a test's stand-in for a device, into a folder that is not named results.",
    ),
]


def accept(
    bundles: Bundles,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Results folder to which accepted records are added.")
    ] = RESULTS,
    digest: Digest = None,
    stand_in: StandIn = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, and add nothing.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check bundles of results that somebody sent, and add those that are accepted.

    A bundle is refused if it was changed after it was made, or if a record
    contradicts itself, or is far from what the card's rated figures or `bench
    predict` allow. Doubtful figures are listed, and accepted. docs/sharing.md
    says what the checks can't catch.

    Exit codes: 0 all accepted; 1 one is refused; 2 one can't be read, or wrong usage.
    """
    from bench.errors import ConfigError
    from bench.report.pages import acceptance_page
    from bench.report.render import console, json_text
    from bench.sharing.accept import acceptance

    if digest is not None and len(bundles) > 1:
        raise ConfigError("--digest is for a single bundle. Check the bundles one by one, or omit --digest.")
    request = acceptance.Request(out, digest, allow_stand_in=stand_in, is_dry=dry_run)
    answers = []
    with interruptible():
        for path in tracked(bundles, "Checking", quiet=quiet or as_json):
            answers.append(acceptance.answer(path, request))
            if not as_json:
                console.show(acceptance_page.document(answers[-1], quiet=quiet))
                if len(bundles) > 1 and not quiet:
                    typer.echo()
    if as_json:
        typer.echo(json_text.render(answers), nl=False)
    raise typer.Exit(max((each.exit_code for each in answers), default=0))
