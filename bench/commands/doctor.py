"""`bench doctor`: describes this machine, what would spoil a measurement, what to do, and what the device can do.

With `--client`: what the installed diffusers does to what it sends to an endpoint.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.commands.options import RESULTS, AsJson, device_option
from bench.commands.stderr import interruptible, tell
from bench.errors import BenchError, ResultsError

if TYPE_CHECKING:
    from rich.console import Console

    from bench.doctor import Facts
    from bench.run.executor import SubprocessExecutor
    from bench.run.messages import CeilingMeasured

#: Payloads of each layout, operation and precision: the corruption that was seen struck nearly every one.
_TRIES = 20

Ceilings = Annotated[
    bool,
    typer.Option(
        "--ceilings",
        help="Also measure the device's highest rates (matrix products, a copy), to FOLDER/<device>/ceilings.json.",
    ),
]
Client = Annotated[
    bool,
    typer.Option(
        "--client",
        help="Check only the installed diffusers: do the payloads that it sends to an endpoint arrive unchanged? Uses "
        "an echo server on this machine.",
    ),
]


def doctor(
    device: Annotated[str, device_option("Device to examine: auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that results will go to.")] = RESULTS,
    ceilings: Ceilings = False,
    client: Client = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only warnings and problems.")] = False,
) -> None:
    """Describe this machine, what would spoil a measurement on it, and what to do about it.

    Exit codes: 0 it is fit to measure on; 1 it is not; 2 wrong usage.
    """
    from bench import packages

    if client or ceilings:
        packages.require(f"`bench doctor {'--client' if client else '--ceilings'}`", in_child=True)
    from rich.console import Console

    from bench import doctor as doctors
    from bench.report.pages import diagnosis
    from bench.report.render import console, terminal
    from bench.run.examination import facts_of
    from bench.run.executor import SubprocessExecutor

    progress = Console(stderr=True, quiet=quiet or as_json)
    if client:
        _client(progress, ceilings, as_json, quiet)
    with interruptible(sigterm=True), closing(SubprocessExecutor(device)) as executor:
        facts = facts_of(executor, device, out, progress.status)
        findings = doctors.examine(facts)
        sound = doctors.sound(findings)
        if not as_json:
            console.show(diagnosis.document(findings, diagnosis.verdict(findings), quiet=quiet))
        result = diagnosis.to_json(facts, findings)
        refusal = None
        if ceilings and facts.device is not None:
            try:
                result |= _ceilings(executor, facts, out if sound else None, progress, show=not (as_json or quiet))
            except ResultsError as error:
                refusal = error
                result |= {"ceilings": None, "ceilings_reason": str(error)}
        if as_json:
            typer.echo(json.dumps(result, indent=2))
        if refusal is not None:
            raise refusal
        if ceilings and sound and not (as_json or quiet) and any(finding.level == "warning" for finding in findings):
            terminal.print_lines(["They may be too low: see the warnings above."])
    raise typer.Exit(0 if sound else 1)


def _client(progress: Console, ceilings: bool, as_json: bool, quiet: bool) -> NoReturn:
    """Check the client, and nothing else: no device is taken. Exit code 1 if the remedy does not stop corruption."""
    from bench import doctor as doctors
    from bench.remote.payloads import probe
    from bench.report.pages import diagnosis
    from bench.report.render import console

    if ceilings:
        raise BenchError("--client checks the installed diffusers and takes no device. Leave --ceilings out.")
    with interruptible(sigterm=True), progress.status("Loading diffusers (which can take a minute) ...") as status:
        facts = probe.check(probe.ask(_TRIES), lambda layout: status.update(f"Sending payloads: {layout} ..."))
    findings = doctors.examine_client(facts)
    if as_json:
        typer.echo(json.dumps(diagnosis.to_json(facts, findings), indent=2))
    else:
        console.show(diagnosis.document(findings, diagnosis.client_verdict(findings), quiet=quiet))
    raise typer.Exit(0 if doctors.sound(findings) else 1)


def _ceilings(
    executor: SubprocessExecutor, facts: Facts, out: Path | None, progress: Console, *, show: bool
) -> dict[str, object]:
    """Measure the ceilings, each printed when it is done, and write them; without `out` they are not kept.

    Returns the keys of the JSON output.
    """
    from bench.report.pages import diagnosis
    from bench.report.render import terminal
    from bench.run.examination import measure_ceilings

    header = ["", "Ceilings: the most that this device does"] if show else []

    def report(name: str, answer: CeilingMeasured) -> None:
        terminal.print_lines(header)
        header.clear()
        if answer.ceiling is None:
            tell(f"{name:<16} not measured: {answer.reason or 'no reason was given'}")
        elif show:
            note = f" ({answer.note})" if answer.note else ""
            terminal.print_lines([diagnosis.ceiling_line(answer.ceiling) + note])

    run = measure_ceilings(executor, facts, out, progress.status, report)
    if show:
        terminal.print_lines([f"Wrote {run.path}" if run.path else f"Not kept: {run.why_not_kept}"])
    return {
        "ceilings": run.ceilings.model_dump(mode="json"),
        "ceilings_failed": run.failed,
        "ceilings_path": str(run.path) if run.path else None,
        "ceilings_reason": run.why_not_kept,
    }
