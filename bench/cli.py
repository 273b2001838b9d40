"""The command line: wiring and exit codes. Each command imports its rooms inside, so that `--help` loads little.

Exit codes: 0 done; 1 a case crashed, failed or timed out, or a check said no; 2 wrong usage or configuration, or files
that can't be used; 130 interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.errors import BenchError, GateError

if TYPE_CHECKING:
    from bench.config import Sweep
    from bench.record import Record
    from bench.run.executor import SubprocessExecutor

INTERRUPTED = 130
RESULTS = Path("results")
REPORTS = Path("reports")

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="What diffusion VAEs cost on your GPU: time and peak VRAM, tiled and untiled, in the docs' own tables.",
)
docs = typer.Typer(no_args_is_help=True, help="The tables of the diffusers docs: read, print, check.")
app.add_typer(docs, name="docs")

Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="Only this model of the sweep; repeatable.")]
Operations = Annotated[list[str] | None, typer.Option("--operation", help="Only encode or decode; repeatable.")]
Resolutions = Annotated[
    list[str] | None, typer.Option("--resolution", help="Only this resolution (512 or 512x768); repeatable.")
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Errors are printed here and nowhere else."""
    try:
        app(list(argv) if argv is not None else None)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except BenchError as error:
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except OSError as error:  # a name too long, standard output on a full disk
        typer.echo(f"error: {error}", err=True)
        return BenchError.exit_code
    return 0


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from importlib import metadata

        try:
            typer.echo(metadata.version("hybrid-bench"))
        except metadata.PackageNotFoundError:
            typer.echo("not installed: run from a checkout")
        raise typer.Exit


@app.command()
def run(
    config: Annotated[
        str | None, typer.Argument(help="A YAML sweep or a shipped one's name; default: docs on CUDA, else cpu.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the sweep, e.g. repeats=5; repeatable."),
    ] = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    device: Annotated[str, typer.Option(help="Where to measure: auto, cpu, cuda or cuda:N.")] = "auto",
    vram_limit: Annotated[
        str | None, typer.Option(help="Behave like a smaller card, e.g. 8GiB (on a CPU: bound the process).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Results go to OUT/<device>/.")] = RESULTS,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start a new run even if an unfinished one could go on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and measure nothing.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure a sweep: each case's time and peak memory, one durable line a case.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from bench.run.executor import SubprocessExecutor

    limit = None if vram_limit is None else _limit(vram_limit)
    executor = SubprocessExecutor(device, limit)
    chosen: dict[str, Sequence[str]] = {
        "models": model or [],
        "operations": operation or [],
        "resolutions": resolution or [],
    }
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sweep = _sweep(config, overrides or [], chosen, executor, quiet=quiet)
        if dry_run:
            _print_plan(sweep, as_json=as_json)
        else:
            _measure(sweep, executor, out, limit, fresh=fresh, as_json=as_json, quiet=quiet)
    except KeyboardInterrupt:
        typer.echo("Interrupted before anything was measured.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        executor.close()


def _limit(text: str) -> int:
    from bench.units import MIB, format_bytes, parse_bytes

    try:
        limit = parse_bytes(text)
    except BenchError as error:
        raise BenchError(f"--vram-limit {text[:80]}: {error}") from None
    if limit < MIB:
        raise BenchError(f"--vram-limit {text}: that is {format_bytes(limit)}. Did you mean {text.strip()}GiB?")
    return limit


def _sweep(
    name: str | None,
    overrides: Sequence[str],
    chosen: dict[str, Sequence[str]],
    executor: SubprocessExecutor,
    *,
    quiet: bool,
) -> Sweep:
    """The sweep that was named, or the one that fits the device; overridden and narrowed."""
    from bench import config

    if name is None:
        ready = executor.start()
        name = "docs" if ready.device.kind == "cuda" else "cpu"
        why = f"{ready.device.name} is a CUDA GPU." if name == "docs" else f"no CUDA GPU is used: {ready.reason}"
        if not quiet:
            typer.echo(f"Sweep: {name}.yaml, because {why}", err=True)
    return config.narrow(config.load(config.find(name), overrides), chosen)


def _measure(
    sweep: Sweep, executor: SubprocessExecutor, out: Path, limit: int | None, *, fresh: bool, as_json: bool, quiet: bool
) -> None:
    from rich.console import Console

    from bench import plan as plans
    from bench.run import progress, scheduler

    plan = plans.make(sweep)
    options = scheduler.RunOptions(results=out, vram_limit_bytes=limit, fresh=fresh)
    reporter = progress.Reporter(plan, Console(stderr=True), quiet=quiet)
    try:
        with reporter:
            summary = scheduler.run(plan, executor, options, reporter)
    except KeyboardInterrupt:
        if not reporter.finished:
            raise
        how = "The same command without --fresh" if fresh else "The same command"
        kept = f"{reporter.finished} of {len(plan.cases)} cases are kept in {reporter.path}."
        typer.echo(f"Interrupted. {kept} {how} goes on from there.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(progress.summary_json(summary), indent=2))
    elif not quiet:
        progress.print_summary(summary, Console())
    raise typer.Exit(summary.exit_code)


def _print_plan(sweep: Sweep, *, as_json: bool) -> None:
    from bench import plan as plans

    plan = plans.make(sweep)
    if as_json:
        cases = [case.model_dump() for case in plan.cases]
        typer.echo(json.dumps({"config": plan.config, "plan": plan.id, "cases": cases}, indent=2))
        return
    for number, case in enumerate(plan.cases, start=1):
        typer.echo(f"{number:>3}  {case.id}  {case.label}")
    measure = plan.measure
    typer.echo(
        f"{len(plan.cases)} cases of {plan.config!r}; each timed for {measure.min_samples} calls and "
        f"{measure.min_time:g} s or more, or for {measure.few_samples} calls once {measure.max_time:g} s are spent; "
        f"time-out {plan.timeout_s:g} s a case."
    )


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models of the zoo."""
    import dataclasses

    from bench.models import zoo

    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(spec) for spec in zoo().values()], indent=2))
        return
    for spec in zoo().values():
        typer.echo(f"{spec.key:<8} {spec.title:<8} {spec.dtype:<8} tile {spec.tile:>4} px  {spec.hub_id or '-'}")


@app.command()
def report(
    results: Annotated[list[Path] | None, typer.Argument(help="Results files and folders; default: results/.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the pages.")] = REPORTS,
    quiet: Quiet = False,
) -> None:
    """Write the report pages from all results: no GPU needed, and torch is not loaded."""
    from bench.config import OPERATIONS
    from bench.report import page

    records = _records(results or [RESULTS])
    for operation in OPERATIONS:
        path = out / f"vae_{operation}.md"
        _write(path, page.render(operation, records))
        if not quiet:
            typer.echo(f"Wrote {path}")


Operation = Annotated[str, typer.Option("--operation", help="encode or decode.")]
Results = Annotated[list[Path], typer.Argument(help="Results files and folders.")]
Dialect = Annotated[str | None, typer.Option(help="encode or decode page; default: the operation's own.")]


@docs.command("import")
def docs_import(
    page: Annotated[Path, typer.Argument(help="A page of the docs, in markdown.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The results file to write.")],
    operation: Annotated[
        str | None, typer.Option("--operation", help="encode or decode; default: what the page says.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Read the tables of a docs page into records marked published."""
    from bench import store
    from bench.record import timestamp
    from bench.report import docs_page

    text = _read(page)
    found = docs_page.read_page(text, page.name, operation, recorded_at=timestamp(datetime.now(UTC)))
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    store.replace_published(out, found.records)
    if not quiet:
        typer.echo(f"Wrote {len(found.records)} published records to {out}")


@docs.command("render")
def docs_render(results: Results, operation: Operation, dialect: Dialect = None) -> None:
    """Print the docs' tables of one operation from results, byte for byte in the docs' own format."""
    typer.echo(_rendered(results, operation, dialect), nl=False)


@docs.command("check")
def docs_check(
    page: Annotated[Path, typer.Argument(help="A page of the docs, in markdown.")],
    results: Results,
    operation: Operation,
    dialect: Dialect = None,
) -> None:
    """Compare a page's tables with what the results would print; exit code 1 and a diff if they differ."""
    from bench.report import docs_table

    difference = docs_table.difference(_read(page), _rendered(results, operation, dialect), operation)
    if difference:
        typer.echo(difference, nl=False)
        raise GateError(f"{page}: its tables differ from the results.")


def _rendered(results: Sequence[Path], operation: str, dialect: str | None) -> str:
    from bench.report import docs_table

    rendered = docs_table.render(_records(results), operation, dialect)
    for gap in rendered.gaps:
        typer.echo(f"warning: {gap}", err=True)
    return rendered.text


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise BenchError(f"{path}: can't be read: {error.strerror}.") from None


def _write(path: Path, text: str) -> None:
    from bench.store import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise BenchError(f"{path}: can't be written: {error.strerror}. Choose another folder with --out.") from None


def _records(paths: Sequence[Path]) -> list[Record]:
    """The records that tables show, out of files and folders; warnings go to standard error."""
    from bench import store

    files, warnings = store.read(paths)
    records, notes = store.latest(files)
    for text in (*warnings, *notes):
        typer.echo(f"warning: {text}", err=True)
    return records


if __name__ == "__main__":
    sys.exit(main())
