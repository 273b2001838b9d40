"""The commands of README and docs are commands: each is run, over a worker that measures nothing; `bench run` as a dry run."""

from __future__ import annotations

import re
import shlex
import shutil
from functools import partial
from pathlib import Path

import pytest
from processes import STANDIN

from bench.cli import main
from bench.config import load
from bench.plan import make, refusal
from bench.run import executor

ROOT = Path(__file__).parents[2]
README = "\n".join(path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in _blocks("sh") for line in block.splitlines() if line.startswith("bench ")]


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an empty folder with the published results in it
    shutil.copytree(ROOT / "results" / "published", tmp_path / "results" / "published")
    monkeypatch.chdir(tmp_path)
    # And a worker that takes no device
    over_standin = partial(executor.SubprocessExecutor, command=STANDIN)
    monkeypatch.setattr(executor, "SubprocessExecutor", over_standin)
    # When the command is given (what would measure: as a dry run, on the CPU)
    command = shlex.split(line, comments=True)[1:]
    if command[0] == "run":
        command += ["--dry-run", "--device", "cpu"]
    # Then it ends well
    assert main(command) == 0


def test_the_sweep_of_the_readme_is_one(tmp_path: Path) -> None:
    text = _blocks("yaml")[1]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert len(make(load(path)).cases) == 3 * 2 * 2 * 2 * 3


def test_the_readme_s_tiles_of_videos_are_tiles(tmp_path: Path) -> None:
    # Given the README's tiles in a sweep of a model whose class takes each of them
    text = _blocks("yaml")[2]
    path = tmp_path / "mine.yaml"
    path.write_text(f"models: hunyuan-video\noperations: decode\n{text}")
    # When it is planned
    cases = make(load(path)).cases
    # Then each is a case that can run
    assert len(cases) == 3
    assert not any(map(refusal, cases))


def test_the_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^make ([a-z]+)", "\n".join(_blocks("")), flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert targets == {"bench", "test", "install"}
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)
