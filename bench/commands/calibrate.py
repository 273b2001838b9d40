"""`bench calibrate`: the workspaces that a GPU's convolutions take beside their tensors."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.commands.options import RESULTS, AsJson, Models, Operations, Quiet, device_option
from bench.commands.stderr import interruptible, tell, tell_aliases
from bench.errors import DeviceError

if TYPE_CHECKING:
    from rich.console import Console

    from bench.run.executor import SubprocessExecutor
    from bench.run.messages import Ready, WorkspacesMeasured
    from bench.run.workspace_run import WorkspaceRun

_NEEDS_CUDA = "`bench calibrate` needs a CUDA GPU. `bench predict` works without one, from published figures."


def calibrate(
    device: Annotated[str, device_option("The GPU to calibrate: cuda, cuda:N or auto.")] = "cuda",
    model: Models = None,
    operation: Operations = None,
    resolution: Annotated[
        list[int] | None,
        typer.Option("--resolution", help="Side of the square image, in pixels; repeatable. Default: 512, 1024, 2048."),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option("--dtype", help="A precision, or model (the default) for each model's own; repeatable."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Workspaces go to FOLDER/<device>/workspaces.json.")
    ] = RESULTS,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure the memory that convolutions take on a GPU besides their tensors, for `bench predict`.

    Exit codes: 0 done; 1 a size failed for a reason other than lack of
    memory, or nothing could be measured; 2 wrong usage, or no CUDA GPU.
    """
    from bench import packages

    packages.require("`bench calibrate`", in_child=True)
    from rich.console import Console

    from bench import store
    from bench.run.executor import SubprocessExecutor
    from bench.run.workspace_run import WorkspaceRun, calls_of

    tell_aliases(model or [], quiet=quiet or as_json)
    groups = calls_of(model or [], operation or [], resolution or [], dtype or [])
    progress = Console(stderr=True, quiet=quiet or as_json)
    run: WorkspaceRun | None = None

    def interrupted() -> str:
        return f"Interrupted. What was measured is kept in {run.path}." if run and run.path else "Interrupted."

    with interruptible(interrupted, sigterm=True), closing(SubprocessExecutor(device)) as executor:
        ready = _start(executor, progress)
        store.refuse_stand_in(out, store.stand_in_of(ready.environment))
        with store.device_folder(out, ready.device) as folder:
            run = WorkspaceRun(executor, ready, folder, _Printer(progress, quiet=quiet or as_json))
            for group in groups:
                run.measure(group)
    _end(run, as_json=as_json, quiet=quiet)


def _start(executor: SubprocessExecutor, progress: Console) -> Ready:
    from bench.device.base import OR_THE_CPU

    try:
        with progress.status("Taking the device (torch is loaded, which can take a minute) ..."):
            ready = executor.start()
    except DeviceError as error:
        raise DeviceError(f"{str(error).removesuffix(OR_THE_CPU)} {_NEEDS_CUDA}") from None
    if ready.device.kind != "cuda":
        raise DeviceError(f"{ready.device.name} is not a CUDA GPU. {_NEEDS_CUDA}")
    return ready


@dataclass(frozen=True, slots=True)
class _Printer:
    progress: Console
    quiet: bool

    def measuring(self, label: str) -> AbstractContextManager[object]:
        return self.progress.status(f"Recording {label} ...")

    def measured(self, label: str, answer: WorkspacesMeasured) -> None:
        from bench.core.units import format_bytes, format_count
        from bench.report.render import terminal

        if self.quiet:
            return
        most = max((entry.workspace_bytes for entry in answer.entries), default=0)
        constrained = sum(entry.constrained for entry in answer.entries)
        note = f"; {constrained} met a full card, and predictions leave them out" if constrained else ""
        count = format_count(len(answer.entries), "convolution")
        terminal.print_lines([f"{label}: {count}, workspaces up to {format_bytes(most)}{note}"])

    def failed(self, label: str, how: str, reason: str) -> None:
        tell(f"{label}: {how}: {reason}")

    def warn(self, warning: str) -> None:
        tell(f"warning: {warning}")


def _end(run: WorkspaceRun, *, as_json: bool, quiet: bool) -> NoReturn:
    from bench.report.render import terminal

    if as_json:
        result = {
            "workspaces": run.workspaces.model_dump(mode="json") if run.path and run.workspaces else None,
            "path": str(run.path) if run.path else None,
            "skipped": run.skipped,
            "failed": run.not_measured,
            "warnings": run.warnings,
        }
        typer.echo(json.dumps(result, indent=2))
    elif run.path and not quiet:
        terminal.print_lines([f"Wrote {run.path}"])
    if run.path is None:
        tell("Nothing was measured, so nothing was written.")
    raise typer.Exit(0 if run.path and not run.not_measured else 1)
