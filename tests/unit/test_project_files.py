"""The files around the code: workflows, examples, issue forms and the texts for contributors name what exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import a_run, measured, write_lines
from packaging.requirements import Requirement
from processes import STANDIN_BENCH

from bench import cli, config

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = [*(ROOT / ".github" / "workflows").glob("*.yml"), *(ROOT / "examples" / "github-actions").glob("*.yml")]
FORMS = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
TEXTS = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *FORMS]
EXAMPLES = ROOT / "examples" / "github-actions"
ELEMENTS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
NO_BASH = pytest.mark.skipif(shutil.which("bash") is None, reason="the steps of a workflow are run by bash")


def read(path: Path) -> dict[Any, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def script(path: Path, name: str) -> str:
    """What a workflow's step of that name runs."""
    (step,) = [step for step in steps(path) if step.get("name") == name]
    return str(step["run"])


def run(text: str, cwd: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def command(path: Path, *words: str) -> None:
    """Write a command that runs these words, with the arguments that it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)


def test_there_are_workflows_forms_and_texts() -> None:
    assert {path.name for path in WORKFLOWS} >= {"test.yml", "compat.yml", "compare.yml", "docs-page.yml"}
    assert len(FORMS) >= 3
    assert all(path.is_file() for path in TEXTS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_jobs_with_steps_and_may_only_read(path: Path) -> None:
    workflow = read(path)
    assert {"name", True, "jobs", "permissions"} <= workflow.keys()  # YAML 1.1 reads the key `on` as True
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert 0 < job["timeout-minutes"] <= 360
    for step in steps(path):
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v1"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_runs_is_bash_and_has_every_variable(path: Path) -> None:
    workflow = read(path)
    known = {*workflow.get("env", {}), "GITHUB_STEP_SUMMARY"}
    for text in [step["run"] for step in steps(path) if "run" in step]:
        plain = re.sub(r"\$\{\{.*?\}\}", "value", text)
        done = subprocess.run(["bash", "-n"], input=plain, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", plain))
        assert used <= known


def test_the_project_s_workflows_run_targets_on_versions_that_are_supported() -> None:
    tests, compat = (read(ROOT / ".github" / "workflows" / f"{name}.yml") for name in ("test", "compat"))
    assert tests["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert "make test" in " ".join(step.get("run", "") for step in tests["jobs"]["test"]["steps"])
    torches = compat["jobs"]["compat"]["strategy"]["matrix"]["torch"]
    assert all((2, 6) <= tuple(map(int, version.split(".")[:2])) < (3, 0) for version in torches)
    assert "make compat" in " ".join(step.get("run", "") for step in compat["jobs"]["compat"]["steps"])
    assert {event for event in compat[True] if event == "schedule"}


@pytest.mark.parametrize("path", [*WORKFLOWS, *TEXTS], ids=lambda path: path.name)
def test_each_target_and_command_that_a_file_names_exists(path: Path) -> None:
    text = path.read_text()
    targets = set(re.findall(r"(?:^\s*(?:- (?:run: )?)?|`)make ([a-z-]+)", text, flags=re.MULTILINE))
    assert all(re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE) for target in targets), targets
    commands = set(re.findall(r"`bench ([a-z]+)", text)) | set(re.findall(r'/bin/bench"? ([a-z]+)', text))
    assert commands <= cli.COMMANDS.keys()


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_has_what_github_asks_for(path: Path) -> None:
    form = read(path)
    assert form.keys() <= {"name", "description", "title", "labels", "assignees", "body"}
    assert form["name"]
    assert form["description"]
    ids = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert len(set(ids)) == len(ids) > 0
    for element in form["body"]:
        assert element["type"] in ELEMENTS
        attributes = element["attributes"]
        assert attributes["value" if element["type"] == "markdown" else "label"]
        assert element["type"] not in {"dropdown", "checkboxes"} or attributes["options"]


def test_the_card_of_the_text_for_contributors_is_that_of_the_file() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    cards = yaml.safe_load((ROOT / "configs" / "gpus.yaml").read_text())["cards"]
    ((name, figures),) = yaml.safe_load(block).items()
    assert cards[name] == figures


@pytest.mark.parametrize("name", ["compare.yml"])
def test_the_sweep_of_an_example_is_one(name: str) -> None:
    assert config.find(read(EXAMPLES / name)["env"]["SWEEP"]).is_file()


@NO_BASH
@pytest.mark.parametrize(("name", "step"), [("compare.yml", "Install both sides"), ("docs-page.yml", "Install")])
def test_an_example_installs_the_package_from_its_repository(name: str, step: str, tmp_path: Path) -> None:
    # Given a Python that only prints what it is asked to do, also as that of both sides
    for folder in ("bin", "venv-base/bin", "venv-head/bin"):
        command(tmp_path / folder / "python", "echo")
    variables = {**read(EXAMPLES / name)["env"], "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    # When the packages are installed
    done = run(script(EXAMPLES / name, step), tmp_path, variables)
    # Then the package comes from an address, because no index has it
    assert done.returncode == 0, done.stderr
    asked = re.findall(r"(hybrid-bench\S*(?: @ \S+)?)", done.stdout)
    assert asked
    assert {str(Requirement(text).url).partition("://")[0] for text in asked} == {"git+https"}


@NO_BASH
def test_the_example_measures_both_sides_with_their_own_command(tmp_path: Path) -> None:
    # Given both sides installed, over a worker that measures nothing
    for side in ("base", "head"):
        command(tmp_path / f"venv-{side}" / "bin" / "bench", *STANDIN_BENCH)
    (tmp_path / "one.yaml").write_text("models: tiny\noperations: decode\nresolutions: 64\ntiling: off\nrepeats: 1\n")
    # When they are measured
    variables = {"SWEEP": "one.yaml", "RUNS": "1", "PYTHONPATH": str(ROOT)}
    done = run(script(EXAMPLES / "compare.yml", "Measure them in turns"), tmp_path, variables)
    # Then each run has a file of its side
    assert done.returncode == 0, done.stderr
    assert [len(list((tmp_path / "results" / side).rglob("*.jsonl"))) for side in ("base", "head")] == [1, 1]


@NO_BASH
@pytest.mark.parametrize(("head_s", "code"), [(0.02, 0), (0.08, 1)])
def test_the_example_compares_head_with_base_and_writes_the_summary(head_s: float, code: int, tmp_path: Path) -> None:
    # Given as many runs of each side as the example makes
    example = EXAMPLES / "compare.yml"
    given = read(example)["env"]
    for side, seconds in (("base", 0.02), ("head", head_s)):
        for number in range(int(given["RUNS"])):
            record = measured(seconds + number * 1e-4, run=a_run(id=f"{side}-{number}"))
            write_lines(tmp_path / "results" / side / f"{number}.jsonl", [record])
    command(tmp_path / "venv-head" / "bin" / "bench", sys.executable, "-m", "bench")
    # When they are compared
    summary = tmp_path / "step-summary.md"
    variables = {**given, "GITHUB_STEP_SUMMARY": str(summary), "PYTHONPATH": str(ROOT)}
    done = run(script(example, "Compare"), tmp_path, variables)
    # Then the gate holds if nothing changed, and the summary has the comparison either way
    assert done.returncode == code, done.stderr
    assert f"{code} worse" in summary.read_text()


@NO_BASH
@pytest.mark.parametrize(("edit", "code"), [(("", ""), 0), (("0.402", "0.403"), 1)])
def test_the_example_checks_a_page_of_the_docs(edit: tuple[str, str], code: int, tmp_path: Path) -> None:
    # Given a page, the figures behind it, and an installed command
    page = (ROOT / "tests" / "golden" / "seed_vae_encode.md").read_text().replace(*edit)
    example = EXAMPLES / "docs-page.yml"
    variables = {**read(example)["env"], "PYTHONPATH": str(ROOT)}
    path = tmp_path / variables["PAGE"]
    path.parent.mkdir(parents=True)
    path.write_text(page)
    shutil.copytree(ROOT / "results" / "published", tmp_path / variables["RESULTS"])
    command(tmp_path / "bin" / "bench", sys.executable, "-m", "bench")
    variables["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # When the step is run
    done = run(script(example, "Check the page"), tmp_path, variables)
    # Then it fails if the page's figures are others, with a diff, and writes nothing
    assert done.returncode == code, done.stderr
    assert ("0.403" in done.stdout) == bool(code)
    assert path.read_text() == page
