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
from bench.commands.stderr import tell, warn
from bench.errors import BenchError, GateError

if TYPE_CHECKING:
    from bench.analysis.compare import Comparison
    from bench.analysis.compare.sides import Side, SideName


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
        list[Path] | None, typer.Option("--base", help="A file or folder of the base; repeatable.")
    ] = None,
    more_head: Annotated[
        list[Path] | None, typer.Option("--head", help="A file or folder of the head; repeatable.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Compare this metric, not the default ones; repeatable.")
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
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", help="Print only failed gates, what a gate did not judge, errors, and warnings of lost lines."
        ),
    ] = False,
) -> None:
    """Say what changed between two runs, case by case, and whether that is more than noise.

    Per tested metric the chance of a false alarm is held at 5%, against the
    noise within a run. Every run found on a side counts. With several a side
    their medians are compared, not their samples, so that an offset from one
    run to the next is no change: give 5 or more.

    Metrics, and the least change that is shown of each:
    - tested: time 2%
    - tested with several runs a side, else held against this alone:
      peak_reserved 1%, peak_rss 5% (and 32 MiB), energy 5%, first_call 25%,
      memory_percent 1%, nvml_process 1%
    - exact, any change: peak_allocated, weights, flops

    Without --metric: time, peak_allocated, peak_reserved, peak_rss, weights,
    energy; memory_percent where there is none of the peaks in bytes.

    In a table ~ means that no change is shown. A case that newly fails, runs
    out of memory or out of time is worse as well, and fails every gate.

    Exit codes: 0 done, every gate holds; 1 a case fails a gate; 2 wrong usage,
    files that can't be used or compared, or nothing that a gate could judge.

    No GPU is needed, and torch is not loaded.
    """
    from bench.analysis.compare import compare as compare_sides
    from bench.analysis.compare import request

    if as_json and form is Format.MARKDOWN:
        raise BenchError("--json and --format markdown ask for two formats. Give one.")
    if base and head is None and more_base:
        raise BenchError(
            f"{base} stands alone beside --base, so that it may be meant for either side. Write --base or --head "
            "before each file: `bench compare --base A --base B --head C --head D`."
        )
    form = Format.JSON if as_json else form
    asked = request(metric or (), factor or (), fail_on or (), across=across_machines)
    strict = bool(fail_on)
    before = _side("base", [*([base] if base else []), *(more_base or [])], out, strict=strict)
    after = _side("head", [*([head] if head else []), *(more_head or [])], out, strict=strict)
    comparison = compare_sides(before, after, asked)
    if out is not None:
        write_text(out, _text(comparison, form))
    elif not quiet:
        _print(comparison, form)
    _judge(comparison)


def _side(name: SideName, paths: Sequence[Path], out: Path | None, *, strict: bool) -> Side:
    """All runs in what was given for a side; warnings go to standard error. A gate takes no file with a bad line."""
    from bench import store
    from bench.analysis.compare import sides

    if not paths:
        raise BenchError(
            f"Nothing was given for the {name} side. Write `bench compare BASE HEAD`, or --base and --head as often "
            "as there are runs; each is a results file or a folder of them."
        )
    files, warnings = store.read(paths, strict=strict)
    if out is not None and out.exists() and any(out.samefile(file.path) for file in files):
        raise BenchError(
            f"--out {out}: is a results file of the {name} side. Choose another name: nothing was written."
        )
    warn(warnings)
    return sides.side(name, ((str(file.path), file.records) for file in files))


def _print(comparison: Comparison, form: Format) -> None:
    from bench.report.pages.compare_terminal import print_terminal
    from bench.report.render import terminal

    if form is Format.TERMINAL:
        terminal.show(lambda console: print_terminal(comparison, console))
    else:
        typer.echo(_text(comparison, form), nl=False)


def _text(comparison: Comparison, form: Format) -> str:
    """The whole report as text that ends in a newline."""
    from bench.report.pages.compare_json import to_json
    from bench.report.pages.compare_markdown import to_markdown
    from bench.report.pages.compare_terminal import print_terminal
    from bench.report.render import terminal

    if form is Format.JSON:
        return json.dumps(to_json(comparison), indent=2, allow_nan=False) + "\n"
    if form is Format.MARKDOWN:
        return to_markdown(comparison)
    return terminal.plain(lambda console: print_terminal(comparison, console))


def _judge(comparison: Comparison) -> None:
    """Name on standard error what no gate judged and every case that fails one; exit code 1 if there is one."""
    from bench.core.units import format_count
    from bench.report.pages.compare_words import gate_line

    for result in comparison.gates:
        if result.untested or result.unjudged:
            tell(f"gate {gate_line(result)}")
    for line in comparison.failures:
        tell(line)
    failed = [result for result in comparison.gates if result.failures]
    if failed:
        cases = len({(failure.machine, failure.case) for result in failed for failure in result.failures})
        gates = ", ".join(result.gate.text for result in failed)
        raise GateError(f"{format_count(cases, 'case')} failed --fail-on {gates}.")
