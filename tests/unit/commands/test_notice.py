"""What is said before anything slow is loaded, and that it stays out of what is printed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.commands.notice import saying

#: Runs each line of standard input, a notice's patience and arguments, in a fork of a process that has loaded only the
#: command line. Tells of the first import of torch, on the stream on which notices are given.
RECORDER = """
import json, os, sys
class Recorder:
    only_watches = True
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            os.write(2, b"IMPORT torch\\n")
        return None
sys.meta_path.insert(0, Recorder())
from bench.commands import notice
from bench.cli import main
for line in sys.stdin:
    patience_s, output, errors, arguments = json.loads(line)
    child = os.fork()
    if not child:
        for name, descriptor in ((output, 1), (errors, 2)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), descriptor)
        notice._PATIENCE_S = patience_s
        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
NEVER = 1e6
#: Commands that fail after they have loaded what they need.
COMMANDS = (
    ["predict", "no-such-sweep"],
    ["advise", "--gpu", "no such card"],
    ["report", "no-such-folder"],
    ["hybrid", "no-such-folder"],
    ["cost", "no-such-folder"],
    ["compare", "no-such-file", "no-such-file"],
    ["profile", "--model", "no-such-model"],
    ["calibrate", "--model", "no-such-model"],
    ["serve", "--model", "no-such-model", "--weights", "random"],
    ["remote", "no-such-sweep", "--loopback"],
    ["run", "no-such-sweep"],
    ["docs", "render", "no-such-folder", "--operation", "encode"],
    ["docs", "check", "no-such-page", "no-such-folder", "--operation", "encode"],
    ["doctor", "--client", "--ceilings"],
)


class Recorded(NamedTuple):
    """What a command printed, and how it ended."""

    stdout: str
    stderr: str
    code: int


Run = Callable[[list[str], float], Recorded]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """The process, in an empty folder."""
    folder = tmp_path_factory.mktemp("empty")
    command = [sys.executable, "-c", RECORDER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, bufsize=1
    ) as process:
        yield process


@pytest.fixture
def recorded(recorder: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Run a command with a notice's patience in seconds."""

    def run(arguments: list[str], patience_s: float) -> Recorded:
        assert recorder.stdin is not None
        assert recorder.stdout is not None
        output, errors = tmp_path / "stdout", tmp_path / "stderr"
        recorder.stdin.write(json.dumps([patience_s, str(output), str(errors), arguments]) + "\n")
        code = int(recorder.stdout.readline())
        return Recorded(output.read_text(), errors.read_text(), code)

    return run


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments[:2]))
def test_a_command_that_takes_a_while_says_so_before_anything_else(arguments: list[str], recorded: Run) -> None:
    done = recorded(arguments, 0)
    first, *rest = done.stderr.splitlines()
    assert first.endswith(" ...")
    assert rest[-1].startswith("error: ")
    assert done.stdout == ""
    assert done.code == 2


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments[:2]))
def test_an_error_that_follows_at_once_stands_alone(arguments: list[str], recorded: Run) -> None:
    done = recorded(arguments, NEVER)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("IMPORT ")]
    assert [line.partition(": ")[0] for line in lines] == ["error"]


def test_it_is_said_before_torch_is_loaded_whatever_the_patience(recorded: Run, tmp_path: Path) -> None:
    options = ["--model", "tiny", "--resolution", "64", "--device", "cpu", "--out", str(tmp_path), "--json"]
    done = recorded(["profile", *options], NEVER)
    lines = done.stderr.splitlines()
    assert lines.index("IMPORT torch") == 1
    assert lines[0].endswith(" ...")
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [["cost", "no-such-folder", "--quiet"], ["run", "smoke", "--dry-run"], ["predict", "no-such-sweep", "--quiet"]],
)
def test_nothing_is_said_where_quiet_is_asked_for_or_nothing_is_waited_for(arguments: list[str], recorded: Run) -> None:
    lines = recorded(arguments, 0).stderr.splitlines()
    assert not [line for line in lines if not line.startswith(("IMPORT ", "error: "))]


def test_what_waits_in_python_is_announced_by_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a standard error in a pipe, of which the block waits for the first line
    monkeypatch.setattr("bench.commands.notice._PATIENCE_S", 0.01)
    reader, writer = os.pipe()
    with os.fdopen(reader) as ours, os.fdopen(writer, "w") as errors:
        monkeypatch.setattr(sys, "stderr", errors)
        # when a block goes on until it is read
        with saying("Waiting"):
            line = ours.readline()
    # then it was said while the block ran
    assert line == "Waiting ...\n"


def _on_a_terminal(arguments: list[str]) -> tuple[str, str]:
    """Standard output in a file, and what a terminal gets of standard error."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "bench", *arguments]
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    folder = Path(__file__).parents[3]
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(command, stdout=output, stderr=terminal, env=environment, cwd=folder) as process,
    ):
        os.close(terminal)
        shown = bytearray()
        with contextlib.suppress(OSError):  # the end, on Linux
            while part := os.read(controller, 4096):
                shown += part
        os.close(controller)
        process.wait(timeout=300)
        output.seek(0)
        return output.read(), shown.decode()


def test_on_a_terminal_a_spinner_turns_and_is_cleared_and_json_is_pure() -> None:
    output, shown = _on_a_terminal(["cost", "--json"])

    assert json.loads(output)
    assert "Reading results ..." in shown
    assert shown.rstrip("\r\n").endswith("\r\x1b[2K")  # the line is clear at the end


def test_an_error_stands_alone_in_its_line_after_the_spinner() -> None:
    _, shown = _on_a_terminal(["cost", "no-such-folder"])

    last = shown.rstrip("\r\n").rpartition("\x1b[2K")[2]
    assert last.startswith("error: ")
    assert "no-such-folder" in last
