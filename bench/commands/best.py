"""`bench best`: the fastest setting of a model that fits, found by measuring few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.commands import completion
from bench.commands.options import RESULTS, AsJson, ClipFrames, Fresh, Out, Quiet, VramLimit, device_option
from bench.commands.stderr import interruptible, tell
from bench.core.units import format_count
from bench.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from bench.analysis.best.answer import Finding
    from bench.plan import Plan
    from bench.predictions.setting_forecasts import Forecasts
    from bench.record import Case, PictureComparison
    from bench.run.executor import SubprocessExecutor
    from bench.run.messages import Ready
    from bench.run.rounds import Rounds
    from bench.run.scheduler import Observer

Model = Annotated[
    str | None,
    typer.Option("--model", help="A VAE, as `bench models` lists it. Required.", autocompletion=completion.models),
]
Operation = Annotated[str, typer.Option("--operation", help="encode or decode.", autocompletion=completion.operations)]
Resolution = Annotated[
    str | None, typer.Option("--resolution", help="512 or 512x768 (width x height), in pixels. Required.")
]
Batch = Annotated[int, typer.Option("--batch", min=1, max=1024, help="Images in one call.")]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", help="Only this precision. Default: the model's own, and all that the device computes in."),
]
Weights = Annotated[
    str, typer.Option("--weights", help="random; or hub, or a checkpoint folder, whose pictures are compared as well.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be measured first, and what is predicted not to fit.")
]


def best(
    model: Model = None,
    operation: Operation = "decode",
    resolution: Resolution = None,
    frames: ClipFrames = None,
    batch: Batch = 1,
    dtype: Dtype = None,
    weights: Weights = "random",
    device: Annotated[str, device_option("Where to measure: auto, cpu, cuda or cuda:N.")] = "auto",
    vram_limit: VramLimit = None,
    out: Out = RESULTS,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the fastest setting of a VAE that fits: precision, tile, channels-last, torch.compile; with code to paste.

    Predictions rule out what does not fit. Of the rest at most a third is
    measured: a first look, what promises to be quick, then the quickest again
    with more calls. Each result is saved at once; the same command continues.

    Exit codes: 0 done; 1 no setting fits, or one failed, crashed or timed out;
    2 wrong usage or configuration; 130 interrupted.
    """
    from bench import packages

    packages.require("`bench best`", in_child=True)
    from rich.console import Console

    from bench.config import memory_of
    from bench.predictions import setting_forecasts
    from bench.run.executor import SubprocessExecutor
    from bench.run.rounds import Rounds
    from bench.run.scheduler import RunOptions

    limit = None if vram_limit is None else memory_of(vram_limit, "--vram-limit")
    image = _image(model, operation, resolution, (frames, batch, dtype), weights, quiet=quiet or as_json)
    progress = _Progress(Console(stderr=True), quiet=quiet)
    with interruptible(progress.interrupted, sigterm=True), closing(SubprocessExecutor(device, limit)) as executor:
        ready = executor.start()
        forecasts = setting_forecasts.of(image, ready.device, ready.environment, limit, out, fixed=dtype is not None)
        if dry_run:
            _print_dry_run(forecasts, as_json=as_json, quiet=quiet)
            return
        progress.tell_left_out(forecasts)
        rounds = Rounds(executor, RunOptions(results=out, vram_limit_bytes=limit, fresh=fresh), progress.observing)
        finding = _finding(image, ready, limit, forecasts, rounds)
        if rounds.reused and not rounds.measured and not quiet:
            tell("Nothing was measured again: the results have it all. --fresh measures it anew.")
        finding = replace(finding, picture=_picture(finding, executor, ready, out, quiet=quiet))
    _end(finding, as_json=as_json, quiet=quiet)


def _image(
    model: str | None,
    operation: str,
    resolution: str | None,
    call: tuple[int | None, int, str | None],
    weights: str,
    *,
    quiet: bool,
) -> Case:
    """The untiled case of the options; `call` has its frames, batch and precision. Raises ConfigError."""
    from bench import config
    from bench.commands.comparisons import wanted_of
    from bench.plan import weights_refusal
    from bench.predictions import advice
    from bench.workloads import models

    missing = [name for name, given in (("--model", model), ("--resolution", resolution)) if given is None]
    if missing or model is None or resolution is None:
        raise ConfigError(
            f"{' and '.join(missing)}: say what to compute, as in `bench best --model flux --operation decode "
            "--resolution 1024`."
        )
    _refuse_others_than_vaes(config.parsed("--model", model, config.parse_model), operation)
    wanted = wanted_of([model], [operation], [resolution], [], quiet=quiet)
    frames, batch, dtype = call
    (image,) = advice.images_of(wanted, batch, dtype, frames)
    source = config.parsed("--weights", weights, config.parse_weights)
    if source == "hub" and models.get(image.model).hub_id is None:
        raise ConfigError(f"--weights hub: the hub has no weights of {image.model}. Use --weights random.")
    if refusal := weights_refusal(image.model, source):
        raise ConfigError(f"--weights {weights}: {refusal}. Give another folder or model.")
    return image.model_copy(update={"weights": source})


def _refuse_others_than_vaes(model: str, operation: str) -> None:
    """Raise ConfigError for a pipeline, whose variants do different parts of the work, and for a text encoder."""
    from bench.errors import known
    from bench.workloads import models

    workload = models.workload(model)
    if workload.part != "VAE":
        raise ConfigError(
            f"--model {model}: these are settings of VAEs, and this is a {workload.name}. `bench advise --model "
            f"{model}` recommends how to run it."
        )
    known("operation", operation, workload.operations, "--operation")


@dataclass(slots=True)
class _Progress:
    """Prints the rounds as `bench run` prints its cases, and what is kept if it is interrupted."""

    console: Console
    quiet: bool
    kept: int = 0
    folder: Path | None = None
    rounds: list[int] = field(default_factory=list)

    def tell_left_out(self, forecasts: Forecasts) -> None:
        """Print how many settings there are, and which precisions are left out."""
        search = forecasts.search
        if self.quiet:
            return
        tell(f"{len(search.all)} settings, of which at most {search.most} are measured.")
        for dtype, reason in forecasts.left_out:
            tell(f"Left out {dtype}: {reason}.")

    @contextmanager
    def observing(self, plan: Plan) -> Iterator[Observer]:
        """The observer of a round."""
        from bench.run.progress import Reporter

        if not self.quiet:
            turns = ", in turns" if plan.interleave else ""
            count = format_count(len(plan.cases), "setting")
            tell(f"Round {len(self.rounds) + 1}: {count}, {plan.measure.min_samples} calls{turns}")
        reporter = Reporter(plan, self.console, quiet=self.quiet, header=not self.rounds)
        self.rounds.append(len(plan.cases))
        try:
            with reporter:
                yield reporter
        finally:
            self.kept += reporter.finished
            self.folder = reporter.path.parent if reporter.path else self.folder

    def interrupted(self) -> str:
        """What is kept."""
        if not self.kept:
            return "Interrupted before anything was measured."
        return f"Interrupted. {self.kept} results are kept in {self.folder}. The same command continues from there."


def _finding(image: Case, ready: Ready, limit: int | None, forecasts: Forecasts, rounds: Rounds) -> Finding:
    from bench.analysis.best import answer

    finished = rounds.find(forecasts.search, limit or ready.device.total_bytes)
    return answer.Finding(image, ready.device, limit, answer.of(forecasts.search, finished))


def _picture(
    finding: Finding, executor: SubprocessExecutor, ready: Ready, out: Path, *, quiet: bool
) -> PictureComparison | None:
    """The best setting's picture against the default's; None with random weights, or if both are the same."""
    from bench import packages
    from bench.run.rounds import picture_of

    best, default = finding.answer.best, finding.answer.default
    if best is None or default is None or best.case == default.case or best.case.weights == "random":
        return None
    packages.require("The difference in picture", packages.QUALITY, in_child=True)
    if not quiet:
        tell("Comparing the picture with the default's.")
    return picture_of(default.case, best.case, executor, ready, out)


def _print_dry_run(forecasts: Forecasts, *, as_json: bool, quiet: bool) -> None:
    from bench.analysis.best.search import next_round
    from bench.report.pages import best_figures, best_page
    from bench.report.render import console, json_text

    first = next_round(forecasts.search, [])
    if as_json:
        figures = best_figures.dry_run(forecasts.search, first, has_times=forecasts.has_times)
        typer.echo(json_text.render(figures), nl=False)
    elif not quiet:
        console.show(best_page.dry_run(forecasts.search, first, has_times=forecasts.has_times))


def _end(finding: Finding, *, as_json: bool, quiet: bool) -> NoReturn:
    from bench.report.pages import best_figures, best_page
    from bench.report.render import console, json_text

    if as_json:
        typer.echo(json_text.render(best_figures.figures(finding)), nl=False)
    elif not quiet:
        console.show(best_page.terminal(finding))
    raise typer.Exit(1 if finding.answer.best is None or finding.answer.counts.get("failed") else 0)
