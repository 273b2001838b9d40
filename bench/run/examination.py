"""What `bench doctor` asks the measuring process: facts of the machine, and the ceilings of its device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import store
from bench.doctor import Facts
from bench.errors import DeviceError, PackageError, WorkerError
from bench.record import Ceiling, Ceilings, timestamp
from bench.run import surroundings
from bench.run.executor import SubprocessExecutor
from bench.run.messages import CeilingMeasured, Examine, Examined, MeasureCeiling

_EXAMINE_S, _CEILING_S = 60.0, 180.0
#: What is measured on each kind of device, in order. TF32 is what torch's float32 convolutions use on a GPU.
_MEASURED = {
    "cuda": (*(("matmul", dtype) for dtype in ("float16", "bfloat16", "float32", "tf32")), ("copy", "float32")),
    "cpu": (("matmul", "float32"), ("matmul", "bfloat16"), ("matmul", "float16"), ("copy", "float32")),
}

#: Returns a context manager that shows the text while it is open.
Status = Callable[[str], AbstractContextManager[object]]


def facts_of(executor: SubprocessExecutor, device: str, out: Path, status: Status) -> Facts:
    """The facts of this machine: the host's, taken before the worker loads it, then the worker's, or why it refused."""
    host = surroundings.look(out)
    try:
        with status("Taking the device (torch is loaded, which can take a minute) ..."):
            ready = executor.start()
            answer = executor.ask(Examine(), _EXAMINE_S)
    except (DeviceError, PackageError, WorkerError) as error:
        return Facts(asked=device, host=host, refused=str(error))
    results = surroundings.folder(out / ready.device.slug)  # where a run would write
    return Facts(
        asked=device,
        host=host.model_copy(update={"results": results}),
        device=ready.device,
        environment=ready.environment,
        note=ready.note,
        reason=ready.reason,
        found=answer.facts if isinstance(answer, Examined) else None,
    )


@dataclass(frozen=True, slots=True)
class CeilingRun:
    """The ceilings of a device.

    Attributes:
        ceilings: those that were measured.
        failed: why the others were not, by name.
        path: the file; None if it was not written.
    """

    ceilings: Ceilings
    failed: dict[str, str]
    path: Path | None

    @property
    def why_not_kept(self) -> str | None:
        """Why there is no file; None if there is one."""
        if self.path is not None:
            return None
        if not self.ceilings.ceilings:
            return "none could be measured."
        return "ceilings of a machine that is not fit to measure on may be too low. Fix the problems above first."


def measure_ceilings(
    executor: SubprocessExecutor,
    facts: Facts,
    out: Path | None,
    status: Status,
    report: Callable[[str, CeilingMeasured], None],
) -> CeilingRun:
    """Measure the ceilings of the device in `facts`, and write them to its folder below `out`, if one is given.

    `report` is called with the name and the answer after each; one that fails leaves the others alone. Raises
    ResultsError.
    """
    assert facts.device is not None  # noqa: S101 - the caller took the device
    if out is not None:
        store.refuse_stand_in(out, store.stand_in_of(facts.environment))
    measured: list[Ceiling] = []
    failed: dict[str, str] = {}
    with nullcontext() if out is None else store.device_folder(out, facts.device) as folder:
        for what, dtype in _MEASURED[facts.device.kind]:
            name = what if what == "copy" else f"{what} {dtype}"
            with status(f"Measuring {name} ..."):
                answer = _ask(executor, what, dtype)
            if answer.ceiling is None:
                failed[name] = answer.reason or "no reason was given"
            else:
                measured.append(answer.ceiling)
            report(name, answer)
        ceilings = Ceilings(
            device=facts.device,
            ceilings=tuple(measured),
            environment=facts.environment,
            recorded_at=timestamp(datetime.now(UTC)),
        )
        path = store.write_ceilings(folder, ceilings) if folder is not None and measured else None
    return CeilingRun(ceilings, failed, path)


def _ask(executor: SubprocessExecutor, what: str, dtype: str) -> CeilingMeasured:
    try:
        answer = executor.ask(MeasureCeiling.model_validate({"what": what, "dtype": dtype}), _CEILING_S)
    except (DeviceError, WorkerError) as error:
        return CeilingMeasured(reason=str(error))
    assert isinstance(answer, CeilingMeasured)  # noqa: S101 - the worker answers what it was asked
    return answer
