"""`bench compare`: the verdict between two runs, or between two sides of several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.files import write_text
from bench.commands.options import AsJson
from bench.errors import BenchError, GateError

if TYPE_CHECKING:
    from bench.compare import Comparison
    from bench.compare.sides import Side, SideName


class Format(StrEnum):
    """How a comparison is printed."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    JSON = "json"


def compare(
    base: Annotated[
        Path | None, typer.Argument(metavar="BASE", help="What to compare with: a results file or folder.")
    ] = None,
    head: Annotated[
        Path | None, typer.Argument(metavar="HEAD", help="What to judge: a results file or folder.")
    ] = None,
    more_base: Annotated[
        list[Path] | None, typer.Option("--base", help="One more file or folder of the base; repeatable.")
    ] = None,
    more_head: Annotated[
        list[Path] | None, typer.Option("--head", help="One more file or folder of the head; repeatable.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Compare this metric, e.g. first_call; repeatable.")
    ] = None,
    factor: Annotated[
        list[str] | None,
        typer.Option("--factor", metavar="METRIC=N%", help="Show no change below this, e.g. time=5%; repeatable."),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on", metavar="'METRIC>N%'", help="Exit code 1 if a case is worse by more; repeatable, in quotes."
        ),
    ] = None,
    across_machines: Annotated[
        bool, typer.Option("--across-machines", help="Compare although the machines are unlike.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TERMINAL,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead of printing.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but failed gates and errors.")] = False,
) -> None:
    """Say what changed between two runs: time and memory, case by case, with the chance of a false alarm held at 5%.

    Every run found on a side counts. With several runs a side their medians are compared, not their samples.

    No GPU is needed, and torch is not loaded.
    """
    from bench.compare import compare as compare_sides
    from bench.compare import request

    if as_json and form is Format.MARKDOWN:
        raise BenchError("--json and --format markdown ask for two formats. Give one.")
    form = Format.JSON if as_json else form
    asked = request(metric or (), factor or (), fail_on or (), across=across_machines)
    before = _side("base", [*([base] if base else []), *(more_base or [])])
    after = _side("head", [*([head] if head else []), *(more_head or [])])
    comparison = compare_sides(before, after, asked)
    if out is not None:
        write_text(out, _text(comparison, form))
    elif not quiet:
        _print(comparison, form)
    _judge(comparison)


def _side(name: SideName, paths: Sequence[Path]) -> Side:
    """All runs in what was given for a side; warnings go to standard error."""
    from bench import store
    from bench.compare import sides

    if not paths:
        raise BenchError(
            f"Nothing was given for the {name} side. Write `bench compare BASE HEAD`, or --base and --head as often "
            "as there are runs; each is a results file or a folder of them."
        )
    files, warnings = store.read(paths)
    for text in warnings:
        typer.echo(f"warning: {text}", err=True)
    return sides.side(name, ((str(file.path), file.records) for file in files))


def _print(comparison: Comparison, form: Format) -> None:
    from bench.report import terminal
    from bench.report.comparison import print_terminal

    if form is Format.TERMINAL:
        terminal.show(lambda console: print_terminal(comparison, console))
    else:
        typer.echo(_text(comparison, form), nl=False)


def _text(comparison: Comparison, form: Format) -> str:
    """The whole report as text that ends in a newline."""
    from bench.report import comparison as report
    from bench.report import terminal
    from bench.report.comparison_json import to_json

    if form is Format.JSON:
        return json.dumps(to_json(comparison), indent=2, allow_nan=False) + "\n"
    if form is Format.MARKDOWN:
        return report.to_markdown(comparison)
    return terminal.plain(lambda console: report.print_terminal(comparison, console))


def _judge(comparison: Comparison) -> None:
    """Name every case that fails a gate on standard error, and end in exit code 1 if there is one."""
    for line in comparison.failures:
        typer.echo(line, err=True)
    failed = [result for result in comparison.gates if result.failures]
    if failed:
        cases = len({failure.case for result in failed for failure in result.failures})
        gates = ", ".join(result.gate.text for result in failed)
        raise GateError(f"{cases} case{'s' if cases != 1 else ''} failed --fail-on {gates}.")
