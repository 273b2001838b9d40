"""`bench predict`: the memory that a sweep takes on cards that are not here."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import completion, predict_fits
from bench.commands.options import (
    RESULTS,
    Allocator,
    AsJson,
    CardMemory,
    Frames,
    Models,
    Operations,
    Overrides,
    Quiet,
    Resolutions,
    allocator_kind,
)
from bench.commands.stderr import interruptible, tell, tell_aliases, tracked, warn
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.config import Sweep
    from bench.plan import Plan
    from bench.predictions.target_cards import TargetCard
    from bench.record import AllocatorKind, Record


class Format(StrEnum):
    """How predictions are printed."""

    terminal = "terminal"
    docs = "docs"


Gpus = Annotated[
    list[str] | None, typer.Option("--gpu", help="A card in gpus.yaml, or part of its name; repeatable. Default: all.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|hub:ID",
        help="Predict for a checkpoint instead of the sweep's models: a folder, or hub:OWNER/NAME, then /FOLDER and "
        "@REVISION if needed. Only its config.json is read.",
    ),
]
Fits = Annotated[
    bool, typer.Option("--fits", help="Print the largest image and batch of each model that fit each card.")
]
Dtype = Annotated[str | None, typer.Option("--dtype", help="Precision. Default: the sweep's.")]
OutFile = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Also write the records to this .jsonl file.")
]
OutputFormat = Annotated[
    Format, typer.Option("--format", help="terminal: tables to read; docs: the docs' own tables, marked predicted.")
]


def predict(
    config: Annotated[
        str, typer.Argument(help="A YAML sweep, or the name of a shipped one.", autocompletion=completion.sweeps)
    ] = "docs",
    overrides: Overrides = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    frames: Frames = None,
    dtype: Dtype = None,
    gpu: Gpus = None,
    vram_limit: CardMemory = None,
    weights: Weights = None,
    allocator: Allocator = None,
    fits: Fits = False,
    out: OutFile = None,
    output_format: OutputFormat = Format.terminal,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Predict the peak memory of each case in a sweep, and whether it fits each card. No GPU, no weights needed.

    With --fits it searches for the largest sizes that fit, whatever the sweep
    has.

    Exit codes: 0 done; 2 wrong usage, or a case that can't be predicted; 130
    interrupted, and nothing is written.
    """
    from bench import config as configs
    from bench import plan as plans
    from bench.predictions.target_cards import choose_cards

    if fits:
        sizes = {"--resolution": resolution, "--frames": frames}
        record_options = {"--weights": weights, "--out": out, "--format docs": output_format is Format.docs}
        predict_fits.refuse_others({"CONFIG": config != "docs", "--set": overrides, **sizes, **record_options})
    if out is not None and out.suffix != ".jsonl":
        raise BenchError(f"--out {out}: records are written as lines of JSON. Name a file that ends in .jsonl.")
    cards, warnings = choose_cards(gpu or [], vram_limit, RESULTS)
    kind = allocator_kind(allocator)
    cards = tuple(card.with_allocator(kind) for card in cards)
    if fits:
        warn(warnings)
        predict_fits.show(cards, model or [], operation or [], dtype, as_json=as_json, quiet=quiet)
        return
    listed = _sweep(config, overrides or [], dtype, check_axes=not (model or weights))
    tell_aliases(model or (() if weights is not None else listed.aliases), quiet=quiet)
    sweep = configs.choose(listed, model or [], operation or [], resolution or [], frames or [])
    if weights is not None:
        sweep, ignored = configs.choose_checkpoint(sweep, weights, model or [])
        warn(ignored)
    plan = plans.make(sweep)
    warn(warnings)
    with interruptible("Interrupted before everything was predicted. Nothing was written."):
        records = _records(plan, cards, quiet=quiet or as_json)
    if out is not None:
        _write(out, records, quiet=quiet or as_json)
    if as_json:
        typer.echo(json.dumps([json.loads(record.to_json()) for record in records], indent=2))
    _tell(records, output_format, kind, as_json=as_json, quiet=quiet)


def _sweep(config: str, overrides: Sequence[str], dtype: str | None, *, check_axes: bool) -> Sweep:
    """The sweep with its keys overridden. Raises ConfigError."""
    from bench import config as configs

    precision = {} if dtype is None else {"dtypes": dtype}
    keys = [*overrides, *(f"{key}={value}" for key, value in precision.items())]
    return configs.load(configs.find(config), keys, dict.fromkeys(precision, "--dtype"), check_axes=check_axes)


def _records(plan: Plan, cards: Sequence[TargetCard], *, quiet: bool) -> list[Record]:
    from bench.plan import refusal
    from bench.predictions import predicted_records
    from bench.workloads.labels import label_of

    refusals = {case: reason for case in plan.cases if (reason := refusal(case))}
    for case, reason in refusals.items():
        tell(f"Skipped {label_of(case)}: {reason}")
    cases = tracked([case for case in plan.cases if case not in refusals], "Predicting", quiet=quiet)
    return [record for case in cases for record in predicted_records.records_of(case, cards, plan)]


def _write(path: Path, records: Sequence[Record], *, quiet: bool) -> None:
    from bench import store

    store.replace(path, records, "predicted")
    if not quiet:
        tell(f"Wrote {len(records)} predicted records to {path}")


def _tell(records: Sequence[Record], output_format: Format, kind: AllocatorKind, *, as_json: bool, quiet: bool) -> None:
    """Print the records unless they were printed as JSON, and what they rest on if the form has no place for it."""
    if not quiet and not as_json:
        _show(records, output_format)
    if not quiet and (as_json or output_format is Format.docs):
        _say_what_is_assumed(kind)


def _say_what_is_assumed(allocator: AllocatorKind) -> None:
    """Print the assumptions on standard error: records and the docs' tables have no place for them."""
    from bench.vram import assumptions

    typer.echo(assumptions.stated(os.environ, allocator), err=True)


def _show(records: Sequence[Record], output_format: Format) -> None:
    if output_format is Format.terminal:
        from bench.report.pages import predicted_page
        from bench.report.render import console

        console.show(predicted_page.terminal(records))
        return
    from bench.report.docs import docs_table

    for name in dict.fromkeys(record.case.operation for record in records):
        rendered = docs_table.render(records, name, predicted=True)
        typer.echo(rendered.text, nl=False)
        warn(rendered.notes)
