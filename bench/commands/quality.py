"""`bench quality`: how far a picture is from the model's own in float32, untiled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.commands.options import RESULTS, AsJson, Models, Operations, Out, Quiet, Resolutions, device_option
from bench.commands.stderr import interruptible, tell, tell_aliases
from bench.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from bench.record import Case, PictureComparison
    from bench.run.quality_run import Changes, QualityRun

Tilings = Annotated[
    list[str] | None,
    typer.Option("--tiling", help="Compare tiles: on for the model's own, or 512/128 (tile/overlap); repeatable."),
]
Dtypes = Annotated[
    list[str] | None, typer.Option("--dtype", help="Compare a precision, or model for the model's own; repeatable.")
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="MODEL",
        help="Compare another VAE of the same latents, as taesd or taesd=FOLDER with its weights; repeatable.",
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        help="hub (the published weights), a checkpoint folder, or random, whose figures say nothing about quality.",
    ),
]
Image = Annotated[
    Path | None, typer.Option("--image", metavar="FILE", help="Begin with this image. Default: one that is made here.")
]


def quality(
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    tiling: Tilings = None,
    dtype: Dtypes = None,
    against: Against = None,
    weights: Weights = "random",
    image: Image = None,
    device: Annotated[str, device_option("Where to compute: auto, cpu, cuda or cuda:N.")] = "auto",
    out: Out = RESULTS,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare pictures with the model's own in float32, untiled: PSNR, SSIM, LPIPS, the error at seams of tiles.

    Each thing is changed by itself. Without --tiling, --dtype and --against:
    the model's own tiles and precision, and the smaller VAEs of its latents.
    Figures and a picture of the differences go to FOLDER/<device>/.

    Exit codes: 0 done (out of memory, or values that are not finite, are results);
    1 a picture could not be computed; 2 wrong usage; 130 interrupted.
    """
    from bench import packages

    packages.require("`bench quality`", packages.QUALITY, in_child=True)
    from rich.console import Console

    from bench import store
    from bench.run.executor import SubprocessExecutor
    from bench.run.quality_run import Changes, QualityRun

    tell_aliases(model or [], quiet=quiet or as_json)
    changes = Changes(tiling or [], dtype or [], against or [])
    pairs = _pairs(model or [], operation or [], resolution or [], weights, changes)
    _check_image(image, pairs[0][0])
    progress = Console(stderr=True, quiet=quiet or as_json)
    run: QualityRun | None = None

    def interrupted() -> str:
        return f"Interrupted. What was compared is kept in {run.path}." if run and run.path else "Interrupted."

    with interruptible(interrupted, sigterm=True), closing(SubprocessExecutor(device)) as executor:
        with progress.status("Taking the device (torch is loaded, which can take a minute) ..."):
            ready = executor.start()
        store.refuse_stand_in(out, store.stand_in_of(ready.environment))
        with store.device_folder(out, ready.device) as folder:
            run = QualityRun(executor, ready, folder, _Progress(progress))
            for reference, changed in pairs:
                run.compare(reference, changed, image)
    _end(run, as_json=as_json, quiet=quiet)


def _pairs(
    models: Sequence[str], operations: Sequence[str], resolutions: Sequence[str], weights: str, changes: Changes
) -> list[tuple[Case, Case]]:
    """Each reference with each case that is compared with it. Raises ConfigError."""
    from bench import config
    from bench.run.quality_run import changed_of, references_of

    missing = [name for name, given in (("--model", models), ("--resolution", resolutions)) if not given]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)}: say which picture, as in `bench quality --model sd-v1 --resolution 1024`."
        )
    sizes, chosen = config.resolutions_of(resolutions), config.operations_of(operations)
    references = [case for key in config.models_of(models) for case in references_of(key, chosen, sizes, weights)]
    return [(reference, changed) for reference in references for changed in changed_of(reference, changes)]


def _check_image(image: Path | None, reference: Case) -> None:
    """Raise ConfigError if the image can't be read, before anything is started."""
    from bench.run import input_picture

    if image is not None:
        input_picture.of(image, reference.axes["width"], reference.axes["height"])


@dataclass(frozen=True, slots=True)
class _Progress:
    console: Console

    def comparing(self, comparison: PictureComparison) -> AbstractContextManager[object]:
        from bench.workloads.labels import label_of

        return self.console.status(f"Comparing {label_of(comparison.changed)} ...")


def _end(run: QualityRun, *, as_json: bool, quiet: bool) -> NoReturn:
    from bench.report.pages import quality_page
    from bench.report.render import console, terminal

    failed = [each for each in run.comparisons if each.outcome == "failed"]
    if as_json:
        comparisons = [
            each.model_dump(mode="json") | {"real_weights": each.has_real_weights} for each in run.comparisons
        ]
        typer.echo(json.dumps({"path": str(run.path), "comparisons": comparisons}, indent=2))
    elif not quiet:
        console.show(quality_page.terminal(run.comparisons))
        terminal.print_lines([f"Wrote {run.path}"])
    for each in failed if quiet or as_json else []:
        tell(f"{quality_page.change_of(each)}: {each.reason}")
    raise typer.Exit(1 if failed else 0)
