"""The run of `bench calibrate`: one call after another in the measuring process, by size, each result saved at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bench import store
from bench.config import DTYPES, models_of, operations_of
from bench.errors import ConfigError, DeviceError, WorkerError, known
from bench.record import Workspaces, timestamp
from bench.run.executor import SubprocessExecutor
from bench.run.messages import MeasureWorkspaces, Ready, WorkspacesMeasured
from bench.workloads import models as zoo
from bench.workloads.base import Spec

#: Sides of the square images in pixels that are calibrated by default.
SIZES = (512, 1024, 2048)
#: Seconds for one call and the model's loading; the first call of a size searches for kernels.
_CALL_S = 600.0


class Listener(Protocol):
    """Receives the progress of a run."""

    def measuring(self, label: str) -> AbstractContextManager[object]:
        """A context that lasts while a call is measured."""

    def measured(self, label: str, answer: WorkspacesMeasured) -> None:
        """A call was measured and saved."""

    def failed(self, label: str, how: str, reason: str) -> None:
        """A call was skipped, or not measured."""

    def warn(self, warning: str) -> None:
        """A warning about the figures."""


def calls_of(
    models: Sequence[str], operations: Sequence[str], resolutions: Sequence[int], dtypes: Sequence[str]
) -> list[list[MeasureWorkspaces]]:
    """The calls of each model, operation and precision, smallest size first. An empty option means its default.

    Raises ConfigError.
    """
    precisions = [known("dtype", dtype, DTYPES, "--dtype") for dtype in dtypes or ["model"]]
    wanted = operations_of(operations)
    groups: dict[tuple[str, str, str], list[MeasureWorkspaces]] = {}
    for spec in [zoo.get(key) for key in models_of(models) or zoo.featured()]:
        own = zoo.workload(spec.key).operations
        chosen = [name for name in wanted or own if name in own]
        for operation, precision, edge in itertools.product(chosen, precisions, sorted(resolutions or SIZES)):
            _check(spec, edge)
            dtype = spec.dtype if precision == "model" else precision
            request = MeasureWorkspaces.model_validate(
                {"model": spec.key, "operation": operation, "dtype": dtype, "edge": edge}
            )
            group = groups.setdefault((spec.key, operation, dtype), [])
            if request not in group:
                group.append(request)
    return list(groups.values())


def _check(spec: Spec, edge: int) -> None:
    """Raises ConfigError if the model can't be calibrated, or not at this size."""
    if spec.fault:
        raise ConfigError(f"--model: {spec.key} fails on purpose, so it can't be calibrated.")
    workload = zoo.workload(spec.key)
    if not workload.is_predicted:
        raise ConfigError(
            f"--model {spec.key}: the memory of a {workload.name} is not predicted, so it needs no calibration."
        )
    if refusal := zoo.axes(spec.key)["width"].check(edge):
        raise ConfigError(f"--resolution {edge}: {refusal}.")


@dataclass(slots=True)
class WorkspaceRun:
    """The workspaces of one device, written to its folder after each call.

    Attributes:
        ready: the device that the executor took.
        path: the file; None until something is written.
        workspaces: what the file holds, earlier measurements with the same cuDNN and torch included.
        skipped: calls that ran out of memory or were not tried, with the reason.
        not_measured: calls that failed for another reason.
        warnings: in the order in which they came.
    """

    executor: SubprocessExecutor
    ready: Ready
    folder: Path
    listener: Listener
    path: Path | None = None
    workspaces: Workspaces | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workspaces = self._earlier()

    def measure(self, group: Sequence[MeasureWorkspaces]) -> None:
        """Measure one size after another; after one that is out of memory no larger one is tried."""
        full_edge: int | None = None
        for request in group:
            label = f"{request.model} {request.operation} {request.edge}x{request.edge} {request.dtype}"
            if full_edge is not None:
                self.skipped[label] = f"not tried: {full_edge}x{full_edge} was out of memory"
                continue
            with self.listener.measuring(label):
                answer = self._ask(request)
            if answer.reason is None:
                self._keep(label, answer)
            elif answer.out_of_memory:
                full_edge = request.edge
                self.skipped[label] = answer.reason
                self.listener.failed(label, "skipped", answer.reason)
            else:
                self.not_measured[label] = answer.reason
                self.listener.failed(label, "not measured", answer.reason)

    def _ask(self, request: MeasureWorkspaces) -> WorkspacesMeasured:
        try:
            answer = self.executor.ask(request, _CALL_S)
        except (DeviceError, WorkerError) as error:
            return WorkspacesMeasured(reason=str(error))
        assert isinstance(answer, WorkspacesMeasured)  # noqa: S101 - the worker answers what it was asked
        if answer.out_of_memory or any(entry.constrained for entry in answer.entries):
            self.executor.close()  # torch keeps the low-workspace kernels it chose as long as the process lives
        return answer

    def _keep(self, label: str, answer: WorkspacesMeasured) -> None:
        """Write the answer together with what was measured before."""
        measured = self._empty()
        known = self.workspaces or measured
        self.workspaces = measured.model_copy(update={"entries": known.joined(answer.entries)})
        if self.workspaces.entries:
            self.path = store.write_workspaces(self.folder, self.workspaces)
        for warning in answer.warnings:
            self._warn(f"{label}: {warning}")
        self.listener.measured(label, answer)

    def _empty(self) -> Workspaces:
        return Workspaces(
            device=self.ready.device,
            entries=(),
            environment=self.ready.environment,
            recorded_at=timestamp(datetime.now(UTC)),
        )

    def _earlier(self) -> Workspaces | None:
        """The workspaces measured earlier on this device with this cuDNN and torch: others can't share the file."""
        here = self._empty()
        path = self.folder / store.WORKSPACES
        files, warnings = store.read_workspaces([path])
        for warning in warnings:
            self._warn(warning)
        for earlier in files:
            if (earlier.device.name, earlier.cudnn, earlier.torch) == (here.device.name, here.cudnn, here.torch):
                return earlier
            self._warn(
                f"{path} was measured with cuDNN {earlier.cudnn} and torch {earlier.torch}, but this machine has cuDNN "
                f"{here.cudnn} and torch {here.torch}. The file is replaced when something is measured."
            )
        return None

    def _warn(self, warning: str) -> None:
        self.warnings.append(warning)
        self.listener.warn(warning)
