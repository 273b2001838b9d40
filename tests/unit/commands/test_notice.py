"""What is said before anything slow is loaded, and that it stays out of what is printed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.commands.notice import saying

#: Tells of the first import of torch, on the stream on which notices are given. A notice waits as long as it is told.
RECORDER = """
import os, sys
class Recorder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            os.write(2, b"IMPORT torch\\n")
        return None
sys.meta_path.insert(0, Recorder())
from bench.commands import notice
notice._PATIENCE_S = float(sys.argv[1])
from bench.cli import main
sys.exit(main(sys.argv[2:]))
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


def _recorded(arguments: list[str], folder: Path, patience_s: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RECORDER, str(patience_s), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=300)


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments[:2]))
def test_a_command_that_takes_a_while_says_so_before_anything_else(arguments: list[str], tmp_path: Path) -> None:
    done = _recorded(arguments, tmp_path, 0)
    first, *others = done.stderr.splitlines()
    assert first.endswith(" ...")
    assert others[-1].startswith("error: ")
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [arguments for arguments in COMMANDS if arguments[0] != "profile"],  # it loads torch before it looks at the model
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_error_that_follows_at_once_stands_alone(arguments: list[str], tmp_path: Path) -> None:
    done = _recorded(arguments, tmp_path, NEVER)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("IMPORT ")]
    assert [line.partition(": ")[0] for line in lines] == ["error"]


def test_it_is_said_before_torch_is_loaded_whatever_the_patience(tmp_path: Path) -> None:
    done = _recorded(["profile", "--model", "tiny", "--resolution", "64", "--json"], tmp_path, NEVER)
    lines = done.stderr.splitlines()
    assert lines.index("IMPORT torch") == 1
    assert lines[0].endswith(" ...")
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [["cost", "no-such-folder", "--quiet"], ["run", "smoke", "--dry-run"], ["predict", "no-such-sweep", "--quiet"]],
)
def test_nothing_is_said_where_quiet_is_asked_for_or_nothing_is_waited_for(
    arguments: list[str], tmp_path: Path
) -> None:
    lines = _recorded(arguments, tmp_path, 0).stderr.splitlines()
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
    assert last.startswith("error: no-such-folder")
