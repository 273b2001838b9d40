"""`bench calibrate`: what each convolution of the zoo's models takes of a GPU's memory beside its tensors.

One call after another in the measuring process, the smallest size first; what was measured is written after each.
"""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.files import tell, tell_aliases
from bench.commands.options import INTERRUPTED, RESULTS, AsJson, Models, Operations, Quiet
from bench.errors import ConfigError, DeviceError, WorkerError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from bench.record import Workspaces
    from bench.run.executor import SubprocessExecutor
    from bench.run.messages import MeasureWorkspaces, Ready, WorkspacesMeasured
    from bench.workloads.base import Spec

_NEEDS_CUDA = (
    "Calibration measures cuDNN's workspaces and needs a CUDA GPU: --device cpu will not do here. `bench predict` "
    "works without one, from published figures."
)
_SIZES = (512, 1024, 2048)
#: One call, and the model's loading; the first call of a size searches for kernels.
_CALL_S = 600.0


def calibrate(
    device: Annotated[str, typer.Option(help="The GPU to calibrate: cuda, cuda:N or auto.")] = "cuda",
    model: Models = None,
    operation: Operations = None,
    resolution: Annotated[
        list[int] | None, typer.Option("--resolution", help="Edge in pixels; repeatable. Default: 512, 1024, 2048.")
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option("--dtype", help="A precision, or model for each model's own; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Workspaces go to OUT/<device>/workspaces.json.")] = RESULTS,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure convolutions' workspaces on a GPU, for `bench predict`.

    Exit code 1 if a size failed for another reason than want of memory, or nothing could be measured.
    """
    from rich.console import Console

    from bench import store
    from bench.run.executor import SubprocessExecutor

    tell_aliases(model or [], quiet=quiet or as_json)
    groups = _wanted(model, operation, resolution, dtype)
    executor = SubprocessExecutor(device)
    progress = Console(stderr=True, quiet=quiet or as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    job: _Job | None = None
    try:
        ready = _ready(executor, progress)
        store.refuse_stand_in(out, store.stand_in_of(ready.environment))
        with store.device_folder(out, ready.device) as folder:
            job = _Job(executor, ready, folder, progress, show=not (quiet or as_json))
            for group in groups:
                job.measure(group)
    except KeyboardInterrupt:
        kept = f" What was measured is kept in {job.path}." if job and job.path else ""
        tell(f"Interrupted.{kept}")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        executor.close()
    _end(job, as_json=as_json, quiet=quiet)


def _wanted(
    models: Sequence[str] | None,
    operations: Sequence[str] | None,
    resolutions: Sequence[int] | None,
    dtypes: Sequence[str] | None,
) -> list[list[MeasureWorkspaces]]:
    """The calls of each model, operation and precision, the smallest size first. Raises ConfigError."""
    from bench.config import DTYPES
    from bench.run.messages import MeasureWorkspaces
    from bench.workloads import models as zoo

    specs = [zoo.get(key) for key in models or zoo.predicted()]
    precisions = tuple(dict.fromkeys(dtypes or ["model"]))
    for name, given, valid in (("operation", operations or (), zoo.operations()), ("dtype", precisions, DTYPES)):
        for one in given:
            if one not in valid:
                raise ConfigError(f"--{name} {one}: is unknown. {nearest(one, valid)}")
    edges = sorted(set(resolutions or _SIZES))
    groups: dict[tuple[str, str, str], list[MeasureWorkspaces]] = {}
    for spec, operation, precision, edge in _each(specs, operations, precisions, edges):
        if spec.fault:
            raise ConfigError(f"--model {spec.key}: goes wrong on purpose, and can't be calibrated.")
        if not zoo.workload(spec.key).is_predicted:
            kind = zoo.workload(spec.key).name
            raise ConfigError(
                f"--model {spec.key}: the memory of a {kind} is not predicted, so it needs no calibration."
            )
        if refusal := zoo.axes(spec.key)["width"].check(edge):
            raise ConfigError(f"--resolution {edge}: {refusal}.")
        dtype = spec.dtype if precision == "model" else precision
        request = MeasureWorkspaces.model_validate(
            {"model": spec.key, "operation": operation, "dtype": dtype, "edge": edge}
        )
        group = groups.setdefault((spec.key, operation, dtype), [])
        if request not in group:
            group.append(request)
    return list(groups.values())


def _each(
    specs: Sequence[Spec], operations: Sequence[str] | None, precisions: Sequence[str], edges: Sequence[int]
) -> Iterator[tuple[Spec, str, str, int]]:
    """Every combination, of the operations those that the model has."""
    from bench.workloads import models

    for spec in specs:
        own = models.workload(spec.key).operations
        asked = tuple(dict.fromkeys(name for name in operations or own if name in own))
        yield from itertools.product([spec], asked, precisions, edges)


def _ready(executor: SubprocessExecutor, progress: Console) -> Ready:
    """The device, taken. Raises DeviceError if it is no CUDA GPU."""
    try:
        with progress.status("Taking the device (torch is loaded, which can take a minute) ..."):
            ready = executor.start()
    except DeviceError as error:
        raise DeviceError(f"{error} {_NEEDS_CUDA}") from None
    if ready.device.kind != "cuda":
        raise DeviceError(f"{ready.device.name} is no CUDA GPU. {_NEEDS_CUDA}")
    return ready


@dataclass(slots=True)
class _Job:
    """What is measured on one device, written to its folder after each call."""

    executor: SubprocessExecutor
    ready: Ready
    folder: Path
    progress: Console
    show: bool
    path: Path | None = None
    found: Workspaces | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.found = self._before()

    def measure(self, group: Sequence[MeasureWorkspaces]) -> None:
        """One size after another; beyond one that is out of memory none is tried."""
        full: int | None = None
        for request in group:
            label = f"{request.model} {request.operation} {request.edge}x{request.edge} {request.dtype}"
            if full is not None:
                self.skipped[label] = f"not tried: {full}x{full} was out of memory"
                continue
            with self.progress.status(f"Recording {label} ..."):
                answer = self._ask(request)
            if answer.reason is not None:
                full = request.edge if answer.out_of_memory else None
                reasons = self.skipped if answer.out_of_memory else self.failed
                reasons[label] = answer.reason
                how = "skipped" if answer.out_of_memory else "not measured"
                tell(f"{label}: {how}: {answer.reason}")
                continue
            self._keep(label, answer)

    def _ask(self, request: MeasureWorkspaces) -> WorkspacesMeasured:
        from bench.run.messages import WorkspacesMeasured

        try:
            answer = self.executor.ask(request, _CALL_S)
        except (DeviceError, WorkerError) as error:
            return WorkspacesMeasured(reason=str(error))
        assert isinstance(answer, WorkspacesMeasured)  # noqa: S101 - the worker answers what it was asked
        if answer.out_of_memory or any(entry.constrained for entry in answer.entries):
            self.executor.close()  # torch keeps the lean kernels that it found as long as the process lives
        return answer

    def _keep(self, label: str, answer: WorkspacesMeasured) -> None:
        """Write what was measured together with what is known already."""
        from bench import store
        from bench.core.units import format_bytes, format_count
        from bench.record import Workspaces, timestamp
        from bench.report.render import terminal

        now = Workspaces(
            device=self.ready.device,
            entries=(),
            environment=self.ready.environment,
            recorded_at=timestamp(datetime.now(UTC)),
        )
        self.found = now.model_copy(update={"entries": (self.found or now).joined(answer.entries)})
        if self.found.entries:
            self.path = store.write_workspaces(self.folder, self.found)
        for warning in answer.warnings:
            self._warn(f"{label}: {warning}")
        if self.show:
            most = max((entry.workspace_bytes for entry in answer.entries), default=0)
            squeezed = sum(entry.constrained for entry in answer.entries)
            note = f"; {squeezed} met a full card, and predictions leave them out" if squeezed else ""
            count = format_count(len(answer.entries), "convolution")
            terminal.print_lines([f"{label}: {count}, workspaces up to {format_bytes(most)}{note}"])

    def _before(self) -> Workspaces | None:
        """What was measured on this device before with this cuDNN and torch: new figures may stand beside no other."""
        from bench import store
        from bench.record import Workspaces

        ours = Workspaces(device=self.ready.device, entries=(), environment=self.ready.environment, recorded_at="")
        found, warnings = store.read_workspaces([self.folder / store.WORKSPACES])
        for warning in warnings:
            self._warn(warning)
        for one in found:
            if (one.device.name, one.cudnn, one.torch) == (ours.device.name, ours.cudnn, ours.torch):
                return one
            self._warn(
                f"{self.folder / store.WORKSPACES} is of cuDNN {one.cudnn} and torch {one.torch}; this is cuDNN "
                f"{ours.cudnn} and torch {ours.torch}. It is replaced once something is measured."
            )
        return None

    def _warn(self, warning: str) -> None:
        self.warnings.append(warning)
        tell(f"warning: {warning}")


def _end(job: _Job, *, as_json: bool, quiet: bool) -> None:
    """Say what became of it, and exit."""
    from bench.report.render import terminal

    if as_json:
        typer.echo(
            json.dumps(
                {
                    "workspaces": job.found.model_dump(mode="json") if job.path and job.found else None,
                    "path": str(job.path) if job.path else None,
                    "skipped": job.skipped,
                    "failed": job.failed,
                    "warnings": job.warnings,
                },
                indent=2,
            )
        )
    elif job.path and not quiet:
        terminal.print_lines([f"Wrote {job.path}"])
    if job.path is None:
        tell("Nothing was measured, and nothing is written.")
    raise typer.Exit(0 if job.path and not job.failed else 1)
