"""`bench doctor` in-process, its worker replaced by one that says what the test wants."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from machines import a_host, cpu_machine, gpu_machine
from typer.testing import CliRunner, Result

from bench import store
from bench.cli import main
from bench.commands.doctor import doctor
from bench.doctor import Facts
from bench.errors import DeviceError, ResultsError, WorkerError
from bench.record import Ceiling, Neighbours
from bench.run import executor, surroundings
from bench.run.messages import CeilingMeasured, Examine, Examined, MeasureCeiling, Ready

app = typer.Typer()
app.command()(doctor)

Answer = Callable[[MeasureCeiling], CeilingMeasured]


def a_ceiling(request: MeasureCeiling) -> CeilingMeasured:
    """A tenth of a second, a teraflop or a gigabyte a second."""
    found = Ceiling(
        what=request.what, dtype=request.dtype, size=64, median_s=0.1, samples_s=(0.1, 0.1), per_second=1e12
    )
    return CeilingMeasured(ceiling=found)


def test_a_misspelt_device_is_wrong_usage_and_not_a_problem_of_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["doctor"], ["run", "smoke", "--dry-run"], ["profile"], ["calibrate"]):
        assert main([*command, "--device", "gpuu"]) == 2
        error = capsys.readouterr().err
        assert "--device gpuu" in error
        assert "cuda:N" in error


class FakeExecutor:
    """A worker on a machine of given facts."""

    machine: Facts | Exception
    ceiling: Answer
    asked: list[str]
    closed: int

    def __init__(self, device: str) -> None:
        self.device = device

    def start(self) -> Ready:
        if isinstance(self.machine, Exception):
            raise self.machine
        facts = self.machine
        return Ready(device=facts.device, environment=facts.environment, note=facts.note, reason=facts.reason)

    def ask(self, request: Examine | MeasureCeiling, timeout_s: float) -> Examined | CeilingMeasured:
        if isinstance(request, Examine):
            return Examined(facts=self.machine.found)
        FakeExecutor.asked.append(f"{request.what} {request.dtype}")
        return type(self).ceiling(request)

    def close(self) -> None:
        FakeExecutor.closed += 1


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> type[FakeExecutor]:
    """Set `machine.machine` to its facts or to the error that starting ends in; the host is an idle one."""
    FakeExecutor.machine, FakeExecutor.ceiling = cpu_machine(), staticmethod(a_ceiling)
    FakeExecutor.asked, FakeExecutor.closed = [], 0
    monkeypatch.setattr(executor, "SubprocessExecutor", FakeExecutor)
    monkeypatch.setattr(surroundings, "look", lambda out: a_host(results=surroundings.folder(out)))
    return FakeExecutor


def run(out: Path, *arguments: str) -> Result:
    """The command, on a terminal wide enough for a line a finding."""
    return CliRunner().invoke(app, ["--out", str(out), *arguments], env={"COLUMNS": "200"})


def test_a_sound_machine_ends_in_0_and_the_worker_is_let_go(machine: type[FakeExecutor], tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.exit_code == 0, done.output
    assert " not " not in done.stdout.splitlines()[-1]
    assert machine.closed == 1


def test_a_machine_that_is_not_sound_ends_in_1_with_what_to_do(machine: type[FakeExecutor], tmp_path: Path) -> None:
    others = Neighbours(count=1, bytes=2**34, utilization=0.9)
    machine.machine = gpu_machine(environment={"settings": {"neighbours": others}})
    done = run(tmp_path)
    assert done.exit_code == 1
    assert "1 other process" in done.stdout
    assert "Wait for them" in done.stdout


@pytest.mark.parametrize("error", [DeviceError("--device cuda: no driver."), WorkerError("it died.")])
def test_a_device_that_can_t_be_had_is_a_finding_beside_the_others(
    machine: type[FakeExecutor], tmp_path: Path, error: Exception
) -> None:
    machine.machine = error
    done = run(tmp_path, "--device", "cuda")
    assert done.exit_code == 1
    assert str(error) in done.stdout
    assert "Python 3.11.7, torch 2.13.0" in done.stdout


def test_json_is_all_that_is_printed(machine: type[FakeExecutor], tmp_path: Path) -> None:
    done = run(tmp_path, "--json")
    said = json.loads(done.stdout)
    assert said["sound"] is True
    assert {finding["subject"] for finding in said["findings"]} >= {"machine", "device", "results"}
    assert said["facts"]["asked"] == "auto"
    assert done.stderr == ""


def test_quiet_says_nothing_where_there_is_nothing_to_warn_of(machine: type[FakeExecutor], tmp_path: Path) -> None:
    done = run(tmp_path, "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_ctrl_c_ends_in_130(machine: type[FakeExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: FakeExecutor) -> Ready:
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "start", interrupt)
    assert run(tmp_path).exit_code == 130
    assert machine.closed == 1


# --- --ceilings


def test_without_the_option_no_ceiling_is_measured_and_nothing_written(
    machine: type[FakeExecutor], tmp_path: Path
) -> None:
    run(tmp_path)
    assert machine.asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("facts", "asked"),
    [
        (cpu_machine(), ["matmul float32", "matmul bfloat16", "matmul float16", "copy float32"]),
        (gpu_machine(), ["matmul float16", "matmul bfloat16", "matmul float32", "matmul tf32", "copy float32"]),
    ],
)
def test_ceilings_are_measured_printed_and_written_in_the_device_s_folder(
    machine: type[FakeExecutor], tmp_path: Path, facts: Facts, asked: list[str]
) -> None:
    machine.machine = facts
    done = run(tmp_path, "--ceilings")
    assert done.exit_code == 0, done.output
    assert machine.asked == asked
    assert "1.00 TFLOP/s" in done.stdout
    assert facts.device is not None
    path = tmp_path / facts.device.slug / "ceilings.json"
    assert f"Wrote {path}" in done.stdout.replace("\n", "")
    ((found,), _) = store.read_ceilings([tmp_path])
    assert found.device == facts.device
    assert found.environment == facts.environment
    assert [f"{ceiling.what} {ceiling.dtype}" for ceiling in found.ceilings] == asked


def test_ceilings_that_a_warning_casts_doubt_on_say_so(machine: type[FakeExecutor], tmp_path: Path) -> None:
    assert "too low" not in run(tmp_path, "--ceilings").stdout
    machine.machine = cpu_machine(environment={"threads": 99})
    assert "They may be too low: see the warnings above." in run(tmp_path, "--ceilings").stdout


@pytest.mark.parametrize("how", ["answer", "death"])
def test_a_ceiling_that_can_t_be_measured_is_said_and_the_others_go_on(
    machine: type[FakeExecutor], tmp_path: Path, how: str
) -> None:
    def ceiling(request: MeasureCeiling) -> CeilingMeasured:
        if request.dtype != "bfloat16":
            return a_ceiling(request)
        if how == "death":
            raise WorkerError("it died.")
        return CeilingMeasured(reason="it died.")

    machine.ceiling = staticmethod(ceiling)
    done = run(tmp_path, "--ceilings")
    assert done.exit_code == 0
    assert "matmul bfloat16  not measured: it died." in done.stderr
    assert len(store.read_ceilings([tmp_path])[0][0].ceilings) == 3


def test_where_a_run_would_not_be_sound_ceilings_are_shown_and_not_kept(
    machine: type[FakeExecutor], tmp_path: Path
) -> None:
    machine.machine = gpu_machine(gpu={"reasons": 0x40})
    done = run(tmp_path, "--ceilings")
    assert done.exit_code == 1
    assert "matmul float16" in done.stdout
    assert "Not kept" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_where_none_can_be_measured_older_ceilings_stay(machine: type[FakeExecutor], tmp_path: Path) -> None:
    run(tmp_path, "--ceilings")
    before = store.read_ceilings([tmp_path])
    machine.ceiling = staticmethod(lambda _: CeilingMeasured(reason="no."))
    done = run(tmp_path, "--ceilings")
    assert "Not kept: none could be measured." in done.stdout
    assert store.read_ceilings([tmp_path]) == before


def test_ceilings_without_a_device_are_not_tried(machine: type[FakeExecutor], tmp_path: Path) -> None:
    machine.machine = DeviceError("no.")
    assert run(tmp_path, "--ceilings", "--json").exit_code == 1
    assert machine.asked == []


def test_ceilings_in_json(machine: type[FakeExecutor], tmp_path: Path) -> None:
    done = run(tmp_path, "--ceilings", "--json")
    said: dict[str, Any] = json.loads(done.stdout)
    assert Path(said["ceilings_path"]).name == "ceilings.json"
    assert said["ceilings"]["ceilings"][0]["dtype"] == "float32"
    assert said["ceilings_failed"] == {}


def test_a_run_on_the_device_and_its_ceilings_keep_out_of_each_other_s_way(
    machine: type[FakeExecutor], tmp_path: Path
) -> None:
    folder = tmp_path / cpu_machine().device.slug
    store.prepare_folder(folder)
    with store.device_lock(folder):
        done = run(tmp_path, "--ceilings")
    assert "another `bench run` is measuring" in str(done.exception)
    assert machine.asked == []


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_ceilings_of_a_stand_in_are_refused_before_any_is_measured(
    machine: type[FakeExecutor], tmp_path: Path, as_json: tuple[str, ...]
) -> None:
    machine.machine = gpu_machine(environment={"stand_in": "a test"})
    done = run(tmp_path / "results", "--ceilings", *as_json)
    assert isinstance(done.exception, ResultsError)
    assert machine.asked == []
    assert not (tmp_path / "results").exists()
