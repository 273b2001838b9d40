"""`bench contribute` with steps of a line each, on a worker that takes no device."""

from __future__ import annotations

import io
import json
import tarfile
from functools import partial
from pathlib import Path

import pytest
from factories import measured, write_lines
from processes import STANDIN

from bench.cli import main
from bench.run import executor
from bench.sharing.bundles import bundle
from bench.sharing.contribute import boxed_process, tour, tour_steps
from bench.sharing.contribute.tour import Step
from bench.sharing.privacy import Remover, own_names

USER, HOST = "mrsplanted", "plantedbox"


class Stand:
    """Where a test's tour is, and the steps that it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps: list[Step] = [self.measures(), self.fails()]

    def measures(self) -> Step:
        """A step that writes a record, counts its runs and prints where it is."""
        record = write_lines(self.folder.parent / "record", [measured(device={"kind": "cuda", "name": "stand-in"})])
        code = (
            f"import os, shutil; os.makedirs('measured/stand-in', exist_ok=True);"
            f"shutil.copy({str(record)!r}, 'measured/stand-in/run.jsonl'); open('count', 'a').write('x');"
            f"open('logs/doctor.json', 'w').write('{{\"path\": \"/home/{USER}/x\"}}');"
            f"open('logs/snapshot.pickle', 'wb').write(b'{USER}');"
            f"print('on {HOST} as {USER} in', os.getcwd())"
        )
        return Step("measures", 20.0, ("-c", code), "a figure")

    def fails(self) -> Step:
        return Step("fails", 20.0, ("-c", f"raise SystemExit('/home/{USER}/x: no such file')"), "nothing")

    def run(self, *arguments: str) -> int:
        return main(["contribute", "--device", "cuda", "--out", str(self.folder), *arguments])

    def bundles(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{bundle.SUFFIX}"))


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    made = Stand(tmp_path / "contribution")
    monkeypatch.setattr(executor, "SubprocessExecutor", partial(executor.SubprocessExecutor, command=STANDIN))
    monkeypatch.setattr("bench.packages.require", lambda *_, **__: None)
    monkeypatch.setattr(tour_steps, "steps_for", lambda *_: made.steps)
    monkeypatch.setattr(own_names.platform, "node", lambda: HOST)
    monkeypatch.setenv("USER", USER)
    return made


def test_a_tour_leaves_a_bundle_without_names_and_says_what_is_in_it_and_what_failed(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stand.run() == 1
    output = capsys.readouterr().out
    (path,) = stand.bundles()
    made = bundle.read(path)
    assert set(made.files) == {
        *("results/stand-in/run.jsonl", "logs/doctor.json", "logs/measures.log", "logs/fails.log")
    }
    assert [(step.name, step.status) for step in made.manifest.steps] == [("measures", "ran"), ("fails", "failed")]
    with tarfile.open(path) as tar:
        everything = b"".join(file.read() for member in tar if (file := tar.extractfile(member)))
    assert USER.encode() not in everything
    assert HOST.encode() not in everything
    assert str(stand.folder).encode() not in everything
    assert made.files["logs/measures.log"].startswith(b"on <host> as <user> in <path>/contribution")
    assert {"<user>", "<host>"} <= set(made.manifest.replaced)
    for name in made.files:
        assert name in output
    assert made.digest in output
    assert "snapshot.pickle" in output  # left out, and said
    assert "failed       fails" in output


def test_the_same_command_runs_no_step_twice_and_makes_the_same_bundle(stand: Stand) -> None:
    stand.run()
    (first,) = stand.bundles()
    before = first.read_bytes()
    stand.steps[1] = Step("fails", 20.0, ("-c", "pass"))
    assert stand.run() == 0
    assert (stand.folder / "count").read_text() == "x"
    after = bundle.read(stand.bundles()[-1])
    assert {step.status for step in after.manifest.steps} == {"ran"}
    # Given that nothing is left to run
    stand.run()
    assert bundle.read(stand.bundles()[-1]).digest == after.digest
    assert before == first.read_bytes() or first == stand.bundles()[-1]


def test_ctrl_c_keeps_what_is_there_and_still_makes_the_bundle(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_boxed(command: list[str], *arguments: object, **options: object) -> int | None:
        if "SystemExit" in command[-1]:
            raise KeyboardInterrupt
        return boxed_process.run_boxed(command, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tour, "run_boxed", run_boxed)
    stand.steps.append(Step("later", 20.0, ("-c", "pass")))
    assert stand.run() == 130
    made = bundle.read(stand.bundles()[0])
    assert [step.status for step in made.manifest.steps] == ["ran", "interrupted", "did not fit"]
    assert "same command continues" in capsys.readouterr().out


def test_no_bundle_is_written_if_a_name_is_still_in_it(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Remover, "file", lambda _self, _name, content: content)
    assert stand.run() == 2
    assert stand.bundles() == []
    errors = capsys.readouterr().err
    assert "logs/doctor.json, line 1" in errors
    assert USER not in errors


def test_a_tour_that_measured_nothing_leaves_no_bundle(stand: Stand) -> None:
    stand.steps = [stand.fails()]
    assert stand.run() == 1
    assert stand.bundles() == []


def test_a_dry_run_writes_nothing_and_names_the_steps(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    assert stand.run("--dry-run", "--minutes", "2") == 0
    output = capsys.readouterr().out
    assert "measures" in output
    assert "2 minutes" in output
    assert not stand.folder.exists()


def test_without_a_gpu_nothing_is_written_and_the_reason_is_said(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stand.run("--device", "auto") == 2
    assert "--device cpu" in capsys.readouterr().err
    assert not stand.folder.exists()


def test_the_cpu_is_measured_if_it_is_asked_for(stand: Stand) -> None:
    assert stand.run("--device", "cpu") == 1
    assert bundle.read(stand.bundles()[0]).manifest.device.kind == "cpu"


def test_a_folder_with_another_device_s_tour_is_refused(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    stand.run()
    assert stand.run("--device", "cpu") == 2
    assert "--out" in capsys.readouterr().err


def test_a_folder_with_a_tour_of_other_versions_is_refused(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    stand.run()
    path = stand.folder / "tour.json"
    begun = json.loads(path.read_text())
    begun["versions"]["torch"] = "1.13"
    path.write_text(json.dumps(begun))
    assert stand.run() == 2
    assert "1.13" in capsys.readouterr().err


def test_a_bundle_is_shown_in_full_and_its_control_characters_do_nothing(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    stand.steps = [stand.measures(), Step("prints", 20.0, ("-c", "print('\\x1b[31mred')"))]
    assert stand.run() == 0
    capsys.readouterr()
    assert stand.run("--show") == 0
    listed = capsys.readouterr().out
    assert "logs/prints.log" in listed
    assert "red" not in listed
    assert stand.run("--show-all") == 0
    shown = capsys.readouterr().out
    assert "\\x1b[31mred" in shown
    assert "\x1b" not in shown


def test_there_is_nothing_to_show_without_a_bundle(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    assert stand.run("--show") == 2
    assert "bench contribute" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Standard input that is a terminal, at which this is typed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code", "begins"), [("n\n", 0, False), ("\n", 1, True), ("", 130, False)])
def test_at_a_terminal_it_asks_before_it_begins(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, begins: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert stand.run() == code
    assert stand.folder.exists() == begins


def test_with_yes_it_does_not_ask(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert stand.run("--yes") == 1
    assert stand.bundles()


@pytest.mark.parametrize("minutes", ["nan", "inf", "0", "-1", "a while"])
def test_minutes_that_are_none_are_refused(stand: Stand, minutes: str) -> None:
    assert stand.run("--minutes", minutes) == 2
    assert not stand.folder.exists()


def test_an_out_that_is_a_file_is_refused(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    stand.folder.write_text("")
    assert stand.run() == 2
    assert "--out" in capsys.readouterr().err
