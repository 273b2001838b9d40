"""`bench latents`: how quickly a data set's images are encoded for training, and the largest batch that fits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.commands import sweeps
from bench.commands.options import (
    RESULTS,
    Allocator,
    AllocatorName,
    AsJson,
    ClipFrames,
    Fresh,
    Out,
    Quiet,
    VramLimit,
    allocator_kind,
    device_option,
)
from bench.commands.stderr import interruptible, tell, tell_aliases, warn
from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.analysis.training.caching import PredictedBatches
    from bench.plan import Plan
    from bench.record import Case, Record
    from bench.run.executor import SubprocessExecutor
    from bench.run.messages import Ready
    from bench.run.scheduler import RunOptions

Model = Annotated[str, typer.Option("--model", help="A VAE, as `bench models` lists it.")]
Resolution = Annotated[str, typer.Option("--resolution", help="512 or 512x768 (width x height), in pixels.")]
Dtype = Annotated[
    str | None, typer.Option("--dtype", help="Precision. Default: the model's own; measured on a CPU, float32.")
]
Tiling = Annotated[str, typer.Option("--tiling", help="off, on for the model's own tiles, or 512/128 (tile/overlap).")]
Weights = Annotated[str, typer.Option("--weights", help="random, hub or a checkpoint folder.")]
Most = Annotated[int, typer.Option("--most", min=1, max=1024, help="No larger batch than this.")]
DataSet = Annotated[
    int | None,
    typer.Option("--dataset", metavar="IMAGES", min=1, help="Also say what so many images take: time and bytes."),
]
Gpu = Annotated[str | None, typer.Option("--gpu", help="With --dry-run: a card in gpus.yaml, or part of its name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Predict for --gpu or --vram-limit, and measure nothing.")]


def latents(
    model: Model,
    resolution: Resolution,
    frames: ClipFrames = None,
    dtype: Dtype = None,
    tiling: Tiling = "off",
    weights: Weights = "random",
    most: Most = 256,
    dataset: DataSet = None,
    gpu: Gpu = None,
    device: Annotated[str, device_option("Where to measure: auto, cpu, cuda or cuda:N.")] = "auto",
    vram_limit: VramLimit = None,
    allocator: Allocator = None,
    out: Out = RESULTS,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how many images a second are encoded into latents, as training caches them, for growing batches.

    The largest batch that fits is predicted, then confirmed by one run, not
    searched by running out of memory. Each result is saved when its case ends;
    if it was stopped, the same command continues.

    Exit codes: 0 done (out of memory is a result); 1 a case failed, crashed or
    timed out; 2 wrong usage; 130 interrupted.
    """
    from bench.config import memory_of, parse_resolution, parsed
    from bench.predictions import latent_caching

    size = parsed("--resolution", resolution, parse_resolution)
    tell_aliases([model], quiet=quiet or as_json)
    make = partial(latent_caching.case_of, model, size, frames, tiling=tiling, weights=weights)
    case = make(dtype or "model")
    if dry_run:
        batches = _predicted(case, gpu, vram_limit, allocator, most)
        _end(batches, (), dataset, as_json=as_json, quiet=quiet)
    if gpu is not None:
        raise ConfigError("--gpu is for predictions alone: add --dry-run, or leave it out to measure this machine.")
    from bench import packages
    from bench.run.executor import SubprocessExecutor
    from bench.run.scheduler import RunOptions

    packages.require("`bench latents`", in_child=True)
    limit = None if vram_limit is None else memory_of(vram_limit, "--vram-limit")
    options = RunOptions(results=out, vram_limit_bytes=limit, fresh=fresh)
    with interruptible(sweeps.NOTHING_MEASURED, sigterm=True), closing(SubprocessExecutor(device, limit)) as executor:
        ready = executor.start()
        if ready.device.kind == "cpu" and dtype is None:
            case = make("float32")
        batches = _predicted_here(case, ready, limit, allocator, most)
        records = _measured(batches, executor, options, quiet=quiet or as_json)
    _end(batches, records, dataset, as_json=as_json, quiet=quiet)


def _predicted(
    case: Case, gpu: str | None, vram_limit: str | None, allocator: AllocatorName | None, most: int
) -> PredictedBatches:
    from bench.predictions import latent_caching
    from bench.predictions.target_cards import choose_cards

    if gpu is None and vram_limit is None:
        raise ConfigError("--dry-run: say for which card, as in `--gpu 4090` or `--vram-limit 8GiB`.")
    (card,), warnings = choose_cards([] if gpu is None else [gpu], vram_limit, RESULTS)
    warn(warnings)
    return latent_caching.on_card(case, card.with_allocator(allocator_kind(allocator)), most)


def _predicted_here(
    case: Case, ready: Ready, limit: int | None, allocator: AllocatorName | None, most: int
) -> PredictedBatches:
    from bench.predictions import latent_caching, target_cards

    if ready.device.kind == "cpu":
        return latent_caching.on_cpu(case, ready.device, limit, most)
    card = target_cards.of_device(ready.device, ready.environment, limit, RESULTS)
    return latent_caching.on_card(case, card.with_allocator(allocator_kind(allocator)), most)


def _measured(
    batches: PredictedBatches, executor: SubprocessExecutor, options: RunOptions, *, quiet: bool
) -> list[Record]:
    from bench.predictions import latent_caching

    def run(plan: Plan) -> Sequence[Record]:
        return sweeps.run_plan(plan, executor, options, None, quiet=quiet).records

    return latent_caching.confirm(batches, run, tell) if batches.largest else []


def _end(
    batches: PredictedBatches, records: Sequence[Record], images: int | None, *, as_json: bool, quiet: bool
) -> NoReturn:
    from bench.report.pages import training_page
    from bench.report.render import console, json_text
    from bench.run.scheduler import GOOD

    if as_json:
        typer.echo(json_text.render(training_page.figures(batches, records, images)), nl=False)
    elif not quiet:
        console.show(training_page.terminal(batches, records, images))
    raise typer.Exit(0 if all(record.outcome.status in GOOD for record in records) else 1)
