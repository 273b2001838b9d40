"""`bench calibrate` in-process, its worker replaced by one that says what the test wants; and once over a process."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from factories import a_device
from machines import cpu_machine, gpu_environment
from processes import STANDIN
from typer.testing import CliRunner, Result

from bench import store
from bench.commands.calibrate import calibrate
from bench.errors import DeviceError, ResultsError, WorkerError
from bench.record import ConvolutionWorkspace, Device, Package, Workspaces
from bench.run import executor
from bench.run.messages import MeasureWorkspaces, Ready, WorkspacesMeasured

app = typer.Typer()
app.command()(calibrate)

TINY = ("--model", "tiny", "--operation", "encode", "--resolution", "64", "--resolution", "128")


def entry(edge: int, workspace: int = 2**21, **fields: Any) -> ConvolutionWorkspace:
    shape = (1, 8, edge, edge)
    defaults = {"dtype": "float32", "input": shape, "output": shape, "filter": (8, 8, 3, 3)}
    return ConvolutionWorkspace(**defaults | {"workspace_bytes": workspace} | fields)


def answered(request: MeasureWorkspaces) -> WorkspacesMeasured:
    """One convolution of two MiB."""
    return WorkspacesMeasured(entries=(entry(request.edge, dtype=request.dtype),))


class FakeExecutor:
    """A worker on a GPU, or on what `device` says."""

    device: Device | Exception
    environment: Any
    answer: Callable[[MeasureWorkspaces], WorkspacesMeasured]
    asked: list[str]
    closed: int

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted

    def start(self) -> Ready:
        if isinstance(self.device, Exception):
            raise self.device
        return Ready(device=self.device, environment=self.environment)

    def ask(self, request: MeasureWorkspaces, timeout_s: float) -> WorkspacesMeasured:
        FakeExecutor.asked.append(f"{request.model} {request.operation} {request.edge} {request.dtype}")
        return type(self).answer(request)

    def close(self) -> None:
        FakeExecutor.closed += 1


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> type[FakeExecutor]:
    FakeExecutor.device, FakeExecutor.environment = a_device(), gpu_environment(cudnn="91002")
    FakeExecutor.answer = staticmethod(answered)
    FakeExecutor.asked, FakeExecutor.closed = [], 0
    monkeypatch.setattr(executor, "SubprocessExecutor", FakeExecutor)
    return FakeExecutor


def run(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--out", str(out), *arguments], env={"COLUMNS": "200"})


def written(out: Path) -> Workspaces:
    ((found,), warnings) = store.read_workspaces([out])
    assert warnings == []
    return found


def test_each_size_is_measured_told_and_written(worker: type[FakeExecutor], tmp_path: Path) -> None:
    done = run(tmp_path, *TINY)
    assert done.exit_code == 0, done.output
    assert worker.asked == ["tiny encode 64 float32", "tiny encode 128 float32"]
    assert "tiny encode 64x64 float32: 1 convolution, workspaces up to 2 MiB" in done.stdout
    path = tmp_path / "nvidia-test" / "workspaces.json"
    assert f"Wrote {path}" in done.stdout
    found = written(tmp_path)
    assert found.entries == (entry(64), entry(128))
    assert (found.device, found.environment, found.cudnn) == (worker.device, worker.environment, "91002")
    assert worker.closed == 1


def test_unless_told_otherwise_it_is_the_zoo_s_real_models_in_their_own_precision_at_three_sizes(
    worker: type[FakeExecutor], tmp_path: Path
) -> None:
    assert run(tmp_path).exit_code == 0
    assert "sd-v1 encode 512 float16" in worker.asked
    assert "sdxl decode 2048 float32" in worker.asked
    assert not any("tiny" in one for one in worker.asked)
    assert len(worker.asked) == len(set(worker.asked)) == 3 * 2 * 3


def test_precisions_are_each_measured_once_whatever_they_are_called(worker: type[FakeExecutor], tmp_path: Path) -> None:
    run(
        tmp_path,
        "--model",
        "tiny",
        "--operation",
        "decode",
        "--resolution",
        "64",
        "--dtype",
        "model",
        "--dtype",
        "float32",
    )
    assert worker.asked == ["tiny decode 64 float32"]


def test_beyond_a_size_that_is_out_of_memory_none_is_tried_and_smaller_ones_are_kept(
    worker: type[FakeExecutor], tmp_path: Path
) -> None:
    def full(request: MeasureWorkspaces) -> WorkspacesMeasured:
        if request.edge == 64:
            return answered(request)
        return WorkspacesMeasured(reason="OutOfMemoryError: no.", out_of_memory=True)

    worker.answer = staticmethod(full)
    done = run(tmp_path, *TINY, "--resolution", "256", "--json")
    assert done.exit_code == 0
    assert worker.asked == ["tiny encode 64 float32", "tiny encode 128 float32"]
    assert "tiny encode 128x128 float32: skipped: OutOfMemoryError: no." in done.stderr
    said = json.loads(done.stdout)
    assert said["skipped"]["tiny encode 256x256 float32"] == "not tried: 128x128 was out of memory"
    assert said["failed"] == {}
    assert written(tmp_path).entries == (entry(64),)
    assert worker.closed == 2  # torch keeps lean kernels: the process that met the full card is not asked again


@pytest.mark.parametrize("how", ["answer", "death"])
def test_a_size_that_fails_leaves_the_others_alone_and_ends_in_1(
    worker: type[FakeExecutor], tmp_path: Path, how: str
) -> None:
    def fail(request: MeasureWorkspaces) -> WorkspacesMeasured:
        if request.edge == 128:
            return answered(request)
        if how == "death":
            raise WorkerError("it died.")
        return WorkspacesMeasured(reason="it died.")

    worker.answer = staticmethod(fail)
    done = run(tmp_path, *TINY)
    assert done.exit_code == 1
    assert "tiny encode 64x64 float32: not measured: it died." in done.stderr
    assert written(tmp_path).entries == (entry(128),)


def test_where_nothing_can_be_measured_nothing_is_written(worker: type[FakeExecutor], tmp_path: Path) -> None:
    worker.answer = staticmethod(lambda _: WorkspacesMeasured(reason="no.", out_of_memory=True))
    done = run(tmp_path, *TINY)
    assert done.exit_code == 1
    assert "Nothing was measured" in done.stderr
    assert store.read_workspaces([tmp_path]) == ([], [])


def test_a_convolution_that_met_a_full_card_is_told_and_the_process_replaced(
    worker: type[FakeExecutor], tmp_path: Path
) -> None:
    worker.answer = staticmethod(lambda request: WorkspacesMeasured(entries=(entry(request.edge, constrained=True),)))
    done = run(tmp_path, *TINY)
    assert "1 met a full card" in done.stdout
    assert worker.closed == 3
    assert all(one.constrained for one in written(tmp_path).entries)


def test_a_convolution_that_was_left_out_is_a_warning(worker: type[FakeExecutor], tmp_path: Path) -> None:
    worker.answer = staticmethod(
        lambda request: WorkspacesMeasured(entries=(entry(request.edge),), warnings=("1 convolution left out",))
    )
    done = run(tmp_path, *TINY, "--quiet")
    assert done.stdout == ""
    assert "warning: tiny encode 64x64 float32: 1 convolution left out" in done.stderr


def test_new_figures_join_those_of_the_same_cudnn_and_take_the_place_of_the_same_convolutions(
    worker: type[FakeExecutor], tmp_path: Path
) -> None:
    # Given a file of this cuDNN with one size that is measured again, and one that is not
    older = Workspaces(
        device=a_device(), entries=(entry(64, 1), entry(32, 7)), environment=worker.environment, recorded_at="then"
    )
    store.write_workspaces(tmp_path / "nvidia-test", older)
    assert run(tmp_path, *TINY).exit_code == 0
    assert written(tmp_path).entries == (entry(32, 7), entry(64), entry(128))


@pytest.mark.parametrize(
    "change", [{"cudnn": "90100"}, {"packages": {"torch": Package(version="2.6.0")}}], ids=["cudnn", "torch"]
)
def test_figures_of_another_cudnn_or_torch_are_replaced_with_a_warning(
    worker: type[FakeExecutor], tmp_path: Path, change: dict[str, Any]
) -> None:
    environment = worker.environment.model_copy(update=change)
    older = Workspaces(device=a_device(), entries=(entry(32),), environment=environment, recorded_at="then")
    store.write_workspaces(tmp_path / "nvidia-test", older)
    done = run(tmp_path, *TINY)
    assert "warning: " in done.stderr
    assert older.cudnn in done.stderr
    assert written(tmp_path).entries == (entry(64), entry(128))


def test_ctrl_c_keeps_what_was_measured(worker: type[FakeExecutor], tmp_path: Path) -> None:
    def interrupt(request: MeasureWorkspaces) -> WorkspacesMeasured:
        if request.edge == 128:
            raise KeyboardInterrupt
        return answered(request)

    worker.answer = staticmethod(interrupt)
    done = run(tmp_path, *TINY)
    assert done.exit_code == 130
    assert "What was measured is kept in" in done.stderr
    assert written(tmp_path).entries == (entry(64),)
    assert worker.closed == 1


@pytest.mark.parametrize("device", [DeviceError("--device cuda: no driver."), cpu_machine().device])
def test_without_a_cuda_gpu_it_says_that_predict_needs_none(
    worker: type[FakeExecutor], tmp_path: Path, device: Any
) -> None:
    worker.device = device
    done = run(tmp_path, *TINY)
    assert isinstance(done.exception, DeviceError)
    assert done.exception.exit_code == 2
    assert "needs a CUDA GPU" in str(done.exception)
    assert str(done.exception).endswith("`bench predict` works without one, from published figures.")
    assert worker.asked == []
    assert list(tmp_path.iterdir()) == []
    assert worker.closed == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "sdx1"), "Did you mean 'sdxl'?"),
        (("--operation", "encoed"), "Did you mean 'encode'?"),
        (("--dtype", "float61"), "Did you mean 'float16'?"),
        (("--resolution", "500"), "500 px is not a multiple of 8, which sd-v1 needs: try 496 or 504"),
        (("--resolution", "0"), "0 px is not a positive multiple of 8, which sd-v1 needs: try 8"),
    ],
)
def test_what_can_t_be_measured_is_told_before_anything_starts(
    worker: type[FakeExecutor], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, *arguments)
    assert said in str(done.exception)
    assert worker.closed == 0


def test_a_run_on_the_device_keeps_it_out(worker: type[FakeExecutor], tmp_path: Path) -> None:
    folder = tmp_path / "nvidia-test"
    store.prepare_folder(folder)
    with store.device_lock(folder):
        done = run(tmp_path, *TINY)
    assert "another `bench run` is measuring" in str(done.exception)
    assert worker.asked == []


def test_over_a_process_that_speaks_the_worker_s_protocol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(executor, "SubprocessExecutor", partial(executor.SubprocessExecutor, command=STANDIN))
    done = run(tmp_path, *TINY, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert Path(said["path"]) == tmp_path / "stand-in" / "workspaces.json"
    assert [one["workspace_bytes"] for one in said["workspaces"]["entries"]] == [64, 128]
    assert [one.workspace_bytes for one in written(tmp_path).entries] == [64, 128]


def test_workspaces_of_a_stand_in_are_refused_before_any_is_measured(
    worker: type[FakeExecutor], tmp_path: Path
) -> None:
    worker.environment = gpu_environment(stand_in="a test")
    done = run(tmp_path / "results", *TINY)
    assert isinstance(done.exception, ResultsError)
    assert worker.asked == []
    assert not (tmp_path / "results").exists()
