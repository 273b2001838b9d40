"""The help of every command, and output that its reader closes."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from bench import cli
from bench.cli import main
from bench.commands.docs import docs

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "tests" / "golden" / "vae_encode_tables.md"
COMMANDS = [name for name in cli.COMMANDS if name != "docs"]


@pytest.mark.parametrize("command", [*([name] for name in COMMANDS), *(["docs", n] for n in ("import", "check"))])
@pytest.mark.parametrize("columns", ["80", "200"])
def test_help_names_values_and_has_no_python_types(
    command: list[str], columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    for kind in ("bool", "str", "int", "float", "path", "list"):
        assert f"<{kind}" not in text
    assert "Exit codes:" in text or command == ["models"]


def _commands(command: Any) -> list[Any]:
    """A command, or those of a group and its groups."""
    below = getattr(command, "commands", None)
    return [each for child in below.values() for each in _commands(child)] if below else [command]


def test_help_shows_what_is_in_square_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    """Typer takes a word in brackets for the name of a style, and leaves it out: [parquet] of a package's extra."""
    app = typer.Typer()
    for name in COMMANDS:
        app.command(name)(getattr(import_module(f"bench.commands.{name}"), name))
    app.add_typer(docs, name="docs")
    texts = [
        str(getattr(parameter, "help", "")) for command in _commands(get_command(app)) for parameter in command.params
    ]
    assert len(texts) > 50
    assert [text for text in texts if re.search(r"(?<!\\)\[[a-z]+\]", text)] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["models"], 0),
        (["docs", "render", str(ROOT / "results" / "published"), "--operation", "encode"], 0),
        (
            [
                "docs",
                "check",
                str(ROOT / "tests" / "golden" / "vae_encode_tables.md"),
                "{other}",
                "--operation",
                "encode",
            ],
            1,
        ),
    ],
)
def test_a_reader_that_closes_the_output_changes_no_exit_code(arguments: list[str], code: int, tmp_path: Path) -> None:
    # given results that differ from the docs' page, and a reader that closes the output before anything is printed
    other = tmp_path / "other.jsonl"
    published = (ROOT / "results" / "published" / "vae_encode.jsonl").read_text()
    other.write_text(published.replace('"median_s":0.402', '"median_s":0.403'))
    arguments = [argument.format(other=other) for argument in arguments]
    command = [sys.executable, "-m", "bench", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    # then the command ends as it does when all is read
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


@pytest.mark.skipif(sys.platform == "win32", reason="closes standard output by a POSIX shell")
def test_output_that_is_closed_from_the_start_is_no_error() -> None:
    command = ["sh", "-c", 'exec "$0" -m bench models >&-', sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
