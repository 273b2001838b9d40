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

#: Tells of the first import of each slow package, on the stream on which notices are given.
RECORDER = """
import os, sys
class Recorder:
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "matplotlib", "diffusers", "scipy", "numpy", "yaml", "bench.record"}:
            os.write(2, f"IMPORT {name}\\n".encode())
        return None
sys.meta_path.insert(0, Recorder())
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""
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
    ["doctor", "--client", "--ceilings"],
)


def _recorded(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RECORDER, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=300)


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_command_speaks_before_it_loads_anything_slow(arguments: list[str], tmp_path: Path) -> None:
    done = _recorded(arguments, tmp_path)
    first, *others = done.stderr.splitlines()
    assert first.endswith(" ...")
    assert any(line.startswith("IMPORT ") for line in others)  # so that there was something to wait for
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [["cost", "no-such-folder", "--quiet"], ["run", "smoke", "--dry-run"], ["predict", "no-such-sweep", "--quiet"]],
)
def test_nothing_is_said_where_quiet_is_asked_for_or_nothing_is_waited_for(
    arguments: list[str], tmp_path: Path
) -> None:
    lines = _recorded(arguments, tmp_path).stderr.splitlines()
    assert not [line for line in lines if not line.startswith(("IMPORT ", "error: "))]


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
