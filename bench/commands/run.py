"""`bench run`: measure a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import completion, sweeps
from bench.commands.options import (
    RESULTS,
    AsJson,
    DryRun,
    Frames,
    Fresh,
    Models,
    Operations,
    Out,
    Overrides,
    Quiet,
    Resolutions,
    VramLimit,
    device_option,
)
from bench.commands.stderr import interruptible, tell, tell_aliases

if TYPE_CHECKING:
    from bench.config import Sweep
    from bench.run.executor import SubprocessExecutor


def run(
    config: Annotated[
        str | None,
        typer.Argument(
            help="A YAML sweep, or the name of a shipped one. Default: docs on CUDA, else cpu.",
            autocompletion=completion.sweeps,
        ),
    ] = None,
    overrides: Overrides = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    frames: Frames = None,
    device: Annotated[str, device_option("Where to measure: auto, cpu, cuda or cuda:N.")] = "auto",
    vram_limit: VramLimit = None,
    out: Out = RESULTS,
    fresh: Fresh = False,
    interleave: Annotated[
        bool,
        typer.Option(
            "--interleave",
            help="Alternate cases that differ only in tiling, precision or variant (A-B-B-A), for a fairer comparison.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure the time and peak memory of each case in a sweep.

    Each result is saved when its case ends. If a run was stopped, the same
    command continues it.

    Exit codes: 0 done (out of memory is a result); 1 a case failed, crashed or
    timed out; 2 wrong usage or configuration; 130 interrupted.
    """
    from bench import packages

    if not dry_run or config is None:  # the device decides which sweep is the default
        packages.require("`bench run`", in_child=True)
    from bench import plan as plans
    from bench.config import memory_of
    from bench.run.executor import SubprocessExecutor
    from bench.run.scheduler import RunOptions

    limit = None if vram_limit is None else memory_of(vram_limit, "--vram-limit")
    chosen = (model or [], operation or [], resolution or [], frames or [])
    with interruptible(sweeps.NOTHING_MEASURED, sigterm=True), closing(SubprocessExecutor(device, limit)) as executor:
        sweep = _sweep(config, overrides or [], chosen, executor, quiet=quiet)
        plan = plans.make(sweep, interleave=interleave)
        if plan.modules and not dry_run:
            packages.require("`bench run`", packages.Extra(packages.QUANTISED.name, plan.modules), in_child=True)
        if dry_run:
            sweeps.print_plan(plan, as_json=as_json)
        else:
            options = RunOptions(results=out, vram_limit_bytes=limit, fresh=fresh)
            sweeps.measure(plan, executor, options, as_json=as_json, quiet=quiet)


def _sweep(
    name: str | None,
    overrides: Sequence[str],
    chosen: tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[int]],
    executor: SubprocessExecutor,
    *,
    quiet: bool,
) -> Sweep:
    """The named sweep, or the default one for the device, with overrides and chosen values. Raises ConfigError."""
    from bench import config

    if name is None:
        ready = executor.start()
        name = "docs" if ready.device.kind == "cuda" else "cpu"
        why = f"{ready.device.name} is a CUDA GPU." if name == "docs" else f"no CUDA GPU is used: {ready.reason}"
        if not quiet:
            tell(f"Sweep: {name}.yaml, because {why}")
    sweep = config.load(config.find(name), overrides, check_axes=not chosen[0])
    tell_aliases(chosen[0] or sweep.aliases, quiet=quiet)
    return config.choose(sweep, *chosen)
