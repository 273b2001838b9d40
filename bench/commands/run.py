"""`bench run`: measure a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands import completion, run_fleet, run_many, run_one
from bench.commands.options import (
    RESULTS,
    AnyVersions,
    AsJson,
    Devices,
    DryRun,
    EveryGpu,
    Exclusive,
    Frames,
    Fresh,
    Interleave,
    Models,
    On,
    Operations,
    Out,
    Overrides,
    Quiet,
    Resolutions,
    VramLimit,
    device_option,
)
from bench.commands.run_request import RunRequest
from bench.errors import ConfigError


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
    devices: Devices = None,
    exclusive: Exclusive = False,
    on: On = None,
    every_gpu: EveryGpu = False,
    any_versions: AnyVersions = False,
    vram_limit: VramLimit = None,
    out: Out = RESULTS,
    fresh: Fresh = False,
    interleave: Interleave = False,
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
    chosen = (model or [], operation or [], resolution or [], frames or [])
    request = RunRequest(
        config=config,
        overrides=overrides or [],
        chosen=chosen,
        vram_limit=vram_limit,
        out=out,
        fresh=fresh,
        interleave=interleave,
        dry_run=dry_run,
        as_json=as_json,
        quiet=quiet,
    )
    if on is not None:
        run_fleet.check_options(on, device, devices)
        run_fleet.measure(request, on, device, every_gpu=every_gpu, any_versions=any_versions, exclusive=exclusive)
    elif every_gpu or any_versions:
        raise ConfigError("--every-gpu and --any-versions are for a cluster. Add --on ray, or use --devices all.")
    elif devices is None:
        run_one.measure(request, device, exclusive=exclusive)
    elif device != "auto":
        raise ConfigError("--device and --devices exclude each other. Give one of them.")
    else:
        run_many.measure(request, devices, exclusive=exclusive)
