"""`bench compare`: the verdict between two runs, or between two sides of several."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.files import write_bytes
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


Base = Annotated[Path | None, typer.Argument(metavar="BASE", help="What to compare with: a results file or folder.")]
Head = Annotated[Path | None, typer.Argument(metavar="HEAD", help="The run to judge: a results file or folder.")]
MoreBase = Annotated[list[Path] | None, typer.Option("--base", help="A file or folder of the base; repeatable.")]
MoreHead = Annotated[list[Path] | None, typer.Option("--head", help="A file or folder of the head; repeatable.")]
Metrics = Annotated[
    list[str] | None, typer.Option("--metric", help="Compare this metric instead of the default ones; repeatable.")
]
Factors = Annotated[
    list[str] | None,
    typer.Option("--factor", metavar="METRIC=N%", help="Hide smaller changes than this, e.g. time=5%; repeatable."),
]
Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-on", metavar="'METRIC>N%'", help="Exit with 1 if a case is worse by more than this; repeatable, quoted."
    ),
]
AcrossMachines = Annotated[bool, typer.Option("--across-machines", help="Compare even if the machines differ.")]
OutputFormat = Annotated[Format, typer.Option("--format", help="terminal, markdown or json.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write to this file instead of printing.")
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="Print only failed gates, cases that a gate could not judge, errors, and bad lines."),
]


def compare(
    base: Base = None,
    head: Head = None,
    more_base: MoreBase = None,
    more_head: MoreHead = None,
    metric: Metrics = None,
    factor: Factors = None,
    fail_on: Gates = None,
    across_machines: AcrossMachines = False,
    form: OutputFormat = Format.TERMINAL,
    as_json: AsJson = False,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Compare two runs case by case, and show the changes that are more than noise.

    A side may have several runs. Then the medians of its runs are compared,
    so that a difference between two runs of one side does not count as a
    change: give 5 runs or more. The chance of a false alarm is 5% per metric.

    Metrics, and the smallest change that is shown:
    - time 2%: always tested for significance
    - peak_reserved 1%, peak_rss 5% (and 32 MiB), energy 5%, first_call 25%,
      memory_percent 1%, nvml_process 1%: tested if a side has several runs
    - peak_allocated, weights, flops: exact, so any change is shown

    Without --metric: time, peak_allocated, peak_reserved, peak_rss, weights and
    energy; memory_percent if there is no peak in bytes. ~ means that no change
    is shown. A case that newly fails, times out or runs out of memory fails
    every gate.

    Exit codes: 0 done, and every gate holds; 1 a case fails a gate; 2 wrong
    usage, files that can't be used or compared, or nothing that a gate could judge.
    """
    from bench.analysis.compare import compare as compare_sides
    from bench.analysis.compare import request

    if as_json and form is Format.MARKDOWN:
        raise BenchError("--json and --format markdown are two formats. Give one of them.")
    if base and head is None and more_base:
        raise BenchError(
            f"{base} may be meant for either side. Write --base or --head before each file: `bench compare --base A "
            "--base B --head C --head D`."
        )
    form = Format.JSON if as_json else form
    settings = request(metric or (), factor or (), fail_on or (), across=across_machines)
    strict = bool(fail_on)
    base_side = _side("base", base, more_base, out, strict=strict)
    head_side = _side("head", head, more_head, out, strict=strict)
    comparison = compare_sides(base_side, head_side, settings)
    if out is not None:
        write_bytes(out, _text(comparison, form).encode())
    elif not quiet:
        _print(comparison, form)
    _judge(comparison)


def _side(name: SideName, path: Path | None, more: Sequence[Path] | None, out: Path | None, *, strict: bool) -> Side:
    """A side with all runs in these files and folders; prints warnings. If `strict`, a bad line is an error."""
    from bench import store
    from bench.analysis.compare import sides

    paths = [*filter(None, [path]), *(more or ())]
    if not paths:
        raise BenchError(
            f"The {name} side has no files. Write `bench compare BASE HEAD`, or repeat --base and --head; each is a "
            "results file or a folder of them."
        )
    files, warnings = store.read(paths, strict=strict)
    if out is not None and out.exists() and any(out.samefile(file.path) for file in files):
        raise BenchError(
            f"--out {out} is a results file of the {name} side, so nothing was written. Choose another name."
        )
    warn(warnings)
    return sides.side(name, ((str(file.path), file.records) for file in files))


def _print(comparison: Comparison, form: Format) -> None:
    from bench.report.pages import compare_page
    from bench.report.render import console

    if form is Format.TERMINAL:
        console.show(compare_page.terminal(comparison))
    else:
        typer.echo(_text(comparison, form), nl=False)


def _text(comparison: Comparison, form: Format) -> str:
    from bench.report.pages import compare_page
    from bench.report.pages.compare_figures import ComparisonFigures
    from bench.report.render import console, json_text, markdown

    match form:
        case Format.JSON:
            return json_text.render(ComparisonFigures.model_validate(comparison))
        case Format.MARKDOWN:
            return markdown.render(compare_page.page(comparison))
        case Format.TERMINAL:
            return console.render(compare_page.terminal(comparison))


def _judge(comparison: Comparison) -> None:
    """Print on standard error the cases that no gate judged and those that fail. Raises GateError if one fails."""
    from bench.core.units import format_count
    from bench.report.pages.compare_page import gate_line

    for result in comparison.gates:
        if result.untested or result.unjudged:
            tell(f"gate {gate_line(result)}")
    for line in comparison.failures:
        tell(line)
    failed = [result for result in comparison.gates if not result.holds]
    if failed:
        cases = len({(failure.machine, failure.case) for result in failed for failure in result.failures})
        gates = ", ".join(result.gate.text for result in failed)
        raise GateError(f"{format_count(cases, 'case')} failed --fail-on {gates}.")
