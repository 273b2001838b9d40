"""README and docs/ are true: each command in them runs, and each option, path and link exists.

What would measure runs over a worker that measures nothing; `documentation.REPLACED` has what else is replaced.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import documentation
import pytest
import sent_bundles
import typer
from checkpoint_folders import SDXL, checkpoint
from documentation import DOCUMENTS, ROOT, DocumentedCommand
from endpoints import Child, serving
from factories import GIB, a_case, a_device, a_run, measured, write_lines
from processes import STANDIN, STANDIN_BENCH, bench, warm
from standins import hub

from bench.cli import COMMANDS, app_for, main
from bench.config import load, load_gpus
from bench.plan import make, refusal
from bench.record import Memory, Record
from bench.run import executor
from bench.workloads import models

GOLDEN = ROOT / "tests" / "golden"
EVERY_COMMAND = [command for document in DOCUMENTS for command in documentation.commands(document)]
#: Models whose traces are captured with torch.
TRACED = ("tiny-t5-xxl", "tiny-flux2-text", "tiny-sdxl-txt2img", "tiny-flux-txt2img")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def of_program(name: str) -> list[DocumentedCommand]:
    """The documented commands of one program, without those for which the same would be run as for an earlier one."""
    commands = [command for command in EVERY_COMMAND if command.words[0] == name]
    first: dict[object, DocumentedCommand] = {}
    for command in commands:
        first.setdefault((documentation.replaced(command.text)[0], command.variables), command)
    return list(first.values())


def is_of_endpoint(command: DocumentedCommand) -> bool:
    """Whether the command is an endpoint, or measures one that runs already."""
    return command.words[1] == "serve" or "--endpoint" in command.words


def yaml_block(document: str, holds: str) -> str:
    """The one YAML block of a document that holds this text."""
    (text,) = [each.text for each in documentation.blocks(document) if each.language == "yaml" and holds in each.text]
    return text


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the documents' commands name."""
    folder = tmp_path_factory.mktemp("documented")
    shutil.copytree(ROOT / "results" / "published", folder / "results" / "published")
    cases = [a_case(model="sd-v1", operation=operation, size=512) for operation in ("encode", "decode")]
    for name in ("results/nvidia-test", "mine", "theirs", "before", "before-2", "after", "after-2"):
        run = a_run(id=name, cases=len(cases))
        records = [measured(case=case, run=run, memory=Memory(percent=8.4, peak_reserved_bytes=GIB)) for case in cases]
        write_lines(folder / name / "run.jsonl", records)
    pages = {operation: (GOLDEN / f"vae_{operation}_tables.md").read_text() for operation in ("encode", "decode")}
    for operation, page in pages.items():
        (folder / f"vae_{operation}.md").write_text(page)
    (folder / "overview.md").write_text("".join(f"## VAE {title}\n\n{page}\n" for title, page in pages.items()))
    (folder / "mine.yaml").write_text(yaml_block("docs/measuring.md", "name: mine"))
    (folder / "toy.yaml").write_text(yaml_block("docs/adding-a-workload.md", "models: toy"))
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "toy_workload.py", folder / "tests")
    shutil.copy(ROOT / "configs" / "prices.yaml", folder / "my-prices.yaml")
    checkpoint(folder / "my-vae", SDXL)
    made, stood_in = sent_bundles.records_of(), sent_bundles.stood_in(sent_bundles.records_of())
    sent_bundles.bundled(folder, made).path.rename(folder / documentation.BUNDLE)
    sent_bundles.bundled(folder, stood_in, stand_in="a test").path.rename(folder / documentation.STAND_IN_BUNDLE)
    return folder


@pytest.fixture(scope="module")
def dataset_hub() -> Iterator[hub.Hub]:
    """A hub of datasets, with one that documents push to and pull from."""
    with hub.serving() as server:
        server.create("alice/results")
        record = measured(device=a_device(name="NVIDIA GeForce RTX 4090"))
        path = "results/nvidia-geforce-rtx-4090/run-1.jsonl"
        server.add("alice/results", {path: record.to_json().encode() + b"\n"})
        yield server


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset_hub: hub.Hub) -> Path:
    """A copy of that folder, which is the working directory, over a worker that takes no device."""
    if find_spec("huggingface_hub"):
        hub.log_in(dataset_hub, monkeypatch, tmp_path, "alice")
    copy = tmp_path / "folder"
    shutil.copytree(files, copy)
    monkeypatch.chdir(copy)
    monkeypatch.delenv("BENCH_ENDPOINT_TOKEN", raising=False)
    monkeypatch.setattr(executor, "SubprocessExecutor", partial(executor.SubprocessExecutor, command=STANDIN))
    return copy


def instead_of(command: DocumentedCommand) -> list[str]:
    """The arguments of what is run instead: it is short, and needs no GPU, no hub and no network."""
    return shlex.split(documentation.replaced(command.text)[0])[1:]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """The endpoints that the documents start, as one that serves all their models: starting takes seconds."""
    commands = [each for each in of_program("bench") if each.words[1] == "serve"]
    arguments = [word for command in commands for word in instead_of(command)[1:]]
    with serving(tmp_path_factory.mktemp("endpoint"), *arguments) as child:
        yield child


@pytest.mark.parametrize("command", [each for each in of_program("bench") if not is_of_endpoint(each)], ids=str)
def test_a_documented_command_runs(command: DocumentedCommand, folder: Path) -> None:
    # Given a folder with the files that it names
    arguments = instead_of(command)
    # When it runs: in a process of its own if variables were set for it, in one that has torch if it loads torch
    if command.variables:
        exit_code = bench(*arguments, env=dict(command.variables), command=STANDIN_BENCH, cwd=folder).returncode
    elif {"--client", "--measured", "video-cpu", *TRACED} & set(arguments[1:]) and "--dry-run" not in arguments:
        exit_code = bench(*arguments, cwd=folder).returncode
    else:
        exit_code = main(arguments)
    # Then it ends well (bench doctor: or finds that the machine is busy)
    assert exit_code in ({0, 1} if arguments[0] == "doctor" else {0})


@pytest.mark.parametrize("command", [each for each in of_program("bench") if "--endpoint" in each.words], ids=str)
def test_a_documented_measurement_of_an_endpoint_runs(
    command: DocumentedCommand, folder: Path, endpoint: Child
) -> None:
    # When the documented endpoint is measured
    arguments = [word.replace("{endpoint}", endpoint.url) for word in instead_of(command)]
    done = bench(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    # Then there are records of it, unless only the plan was asked for
    assert list(folder.glob("results/endpoint-*/*.jsonl")) or "--dry-run" in arguments


@pytest.mark.usefixtures("folder")
def test_the_documented_notebook_runs() -> None:
    names: dict[str, Any] = {}
    for text in documentation.python("docs/python.md"):
        exec(compile(text, "docs/python.md", "exec"), names)  # noqa: S102 - it is the documents' own


def test_the_documented_clients_of_an_endpoint_run(endpoint: Child, tmp_path: Path) -> None:
    # Given the clients with the address of the documented endpoint, in a file that shows what the last one got
    text = "\n".join([*documentation.python("docs/endpoint.md"), "print(tuple(prompt_embeds.shape))\n"])
    file = tmp_path / "client.py"
    addresses = {"http://127.0.0.1:8000/sd-v1": f"{endpoint.url}/tiny", "http://127.0.0.1:8000": endpoint.url}
    for documented, served in addresses.items():
        text = text.replace(documented, served)
    file.write_text(text)
    # When it runs, in a process that has torch
    command, environment = warm(os.environ, str(file))
    parent = str(os.getpid())  # which the server expects of all but `bench`
    done = subprocess.run(
        [*command, parent], env=environment, cwd=tmp_path, check=True, timeout=500, stdout=subprocess.PIPE, text=True
    )
    # Then there are an image and embeddings
    assert (tmp_path / "image.jpg").read_bytes().startswith(b"\xff\xd8")
    assert "(1, 512, " in done.stdout


def test_all_python_is_tested() -> None:
    assert {each for each in DOCUMENTS if documentation.python(each)} == {"docs/endpoint.md", "docs/python.md"}


def test_what_is_replaced_is_documented() -> None:
    used = {pattern for command in EVERY_COMMAND for pattern in documentation.replaced(command.text)[1]}
    assert {pattern for pattern, _ in documentation.REPLACED} == used


def test_every_line_for_a_shell_is_tested() -> None:
    assert {command.words[0] for command in EVERY_COMMAND} == {"bench", "make", "pip", "python", "ray"}


@pytest.mark.parametrize("command", of_program("make"), ids=str)
def test_a_documented_target_exists(command: DocumentedCommand) -> None:
    done = subprocess.run(["make", "--dry-run", *command.words[1:]], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("command", of_program("pip"), ids=str)
def test_a_documented_extra_exists(command: DocumentedCommand) -> None:
    _, install, package = command.words
    name, _, extras = package.removesuffix("]").partition("[")
    assert install == "install"
    assert name in {".", PROJECT["name"]}
    assert set(filter(None, extras.split(","))) <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("command", of_program("python"), ids=str)
def test_a_documented_script_exists(command: DocumentedCommand) -> None:
    program, *arguments = command.words[1:]
    if program == "-m":
        assert find_spec(arguments[0]) is not None
        return
    source = (ROOT / program).read_text()
    assert all(argument in source for argument in arguments if argument.startswith("--"))


@pytest.mark.parametrize("command", of_program("ray"), ids=str)
def test_a_documented_command_of_ray_has_these_options(command: DocumentedCommand) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts")
    name, *arguments = command.words[1:]
    known = {option for parameter in scripts.cli.commands[name].params for option in parameter.opts}
    assert {argument.partition("=")[0] for argument in arguments} <= known


def options_of(*names: str) -> set[str]:
    """The options of a command; of a group of commands those of all its commands."""
    command = typer.main.get_command(app_for(names[:1]))
    for name in names:
        command = command.commands[name]  # type: ignore[attr-defined]
    each = [command, *getattr(command, "commands", {}).values()]
    return {option for command in each for parameter in command.params for option in parameter.opts}


def mentions() -> Iterator[tuple[str, str]]:
    """The inline code of all documents, with its document."""
    for document in DOCUMENTS:
        for text in sorted(documentation.code(document)):
            yield document, text


def test_a_command_in_a_sentence_has_these_options() -> None:
    checked = 0
    for document, text in mentions():
        words = text.split()
        if words[:1] != ["bench"] or len(words) < 2 or not words[1].isalpha():
            continue
        assert words[1] in COMMANDS, f"{document}: {text}"
        names = words[1:3] if words[1] == "docs" and len(words) > 2 else words[1:2]
        named = {word for word in words if word.startswith("--")}
        if named:
            assert named <= options_of(*names) | {"--help"}, f"{document}: {text}"
            checked += 1
    assert checked


def test_an_option_in_a_sentence_exists() -> None:
    known = {option for name in COMMANDS for option in options_of(name)} | {"--help"}
    for document, text in mentions():
        if text.startswith("--"):
            assert text.split()[0] in known, f"{document}: {text}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_link_leads_somewhere(document: str) -> None:
    for address in documentation.links(document):
        if "://" in address:
            continue
        path, _, anchor = address.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), address
        if anchor:
            assert anchor in documentation.anchors(target.resolve().relative_to(ROOT).as_posix()), address


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_file_in_a_sentence_exists(document: str) -> None:
    for text in documentation.code(document):
        if re.fullmatch(r"(bench|benchmarks|configs|docs|examples|tests)/[\w/.-]+", text):
            assert (ROOT / text).exists(), text


def test_readme_is_short() -> None:
    assert len(documentation.text_of("README.md").splitlines()) <= 150


def test_every_document_is_reached_from_readme() -> None:
    reached = {f"docs/{path.name}" for path in (ROOT / "docs").iterdir()}
    linked = {address.partition("#")[0] for address in documentation.links("README.md")}
    assert (reached | set(DOCUMENTS)) - linked == {"README.md", "docs/schema-5-to-6.json"}


def test_readme_s_table_is_the_docs_own(capsys: pytest.CaptureFixture[str]) -> None:
    # Given the rows of README's first table
    rows = re.findall(r"^\| (NVIDIA .+?) +\|(.+)$", documentation.text_of("README.md"), flags=re.MULTILINE)
    # When the published tables are printed
    assert main(["docs", "render", str(ROOT / "results" / "published"), "--operation", "encode"]) == 0
    printed = re.findall(r"^\| (NVIDIA .+?) +\|(.+)$", capsys.readouterr().out, flags=re.MULTILINE)
    # Then README's are among them
    assert rows
    assert set(rows) <= set(printed)


def test_readme_s_advice_is_the_program_s(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given README's first `bench advise` and the table below it
    command = next(each for each in documentation.commands("README.md") if each.words[1] == "advise")
    rows = re.findall(r"^\| (remote|tile|untiled)(.*)\|$", documentation.text_of("README.md"), flags=re.MULTILINE)
    figures = [re.findall(r"\d+/\d+|[\d.]+ (?:GiB|ms|s)\b|\d+%", "".join(row)) for row in rows]
    # When it runs where nothing was measured
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    assert main(command.words[1:]) == 0
    # Then it prints a line with all figures of each row
    printed = re.sub("[†‡§]", "", capsys.readouterr().out).splitlines()
    assert len(figures) == 3
    for row in figures:
        assert row
        assert any(all(figure in line for figure in row) for line in printed), row


def test_readme_counts_what_the_program_knows() -> None:
    text = documentation.text_of("README.md")
    counts = re.search(r"(\d+) cards.*?(\d+) image VAEs and (\d+) video VAEs", text, flags=re.DOTALL)
    kinds = [models.workload(key).name for key, spec in models.zoo().items() if spec.hub_id is not None]
    vaes = [kinds.count(name) for name in ("image VAE", "video VAE")]
    assert counts is not None
    assert [int(count) for count in counts.groups()] == [len(load_gpus().cards), *vaes]


def test_the_page_of_each_kind_lists_every_model() -> None:
    pages = {"text encoder": "docs/text-encoders.md", "pipeline": "docs/pipelines.md"}
    for key, spec in models.zoo().items():
        if spec.hub_id is not None:
            page = pages.get(models.workload(key).name, "docs/measuring.md")
            assert key in documentation.code(page), page


def test_the_documented_workload_is_the_tested_one() -> None:
    # Given the blocks on a workload, after the one on a model of the zoo
    _, *shown = [each.text for each in documentation.blocks("docs/adding-a-workload.md") if each.language == "py"]
    # Then each is a part of the file that is tested
    file = (ROOT / "tests" / "toy_workload.py").read_text()
    assert shown
    assert all(text.rstrip() in file for text in shown)


def test_the_documented_sweep_is_one(files: Path) -> None:
    assert len(make(load(files / "mine.yaml")).cases) == 3 * 2 * 2 * 2 * 3


def test_the_documented_tiles_of_videos_are_tiles(tmp_path: Path) -> None:
    # Given the tiles in a sweep of a model whose class takes each of them
    path = tmp_path / "mine.yaml"
    tiles = yaml_block("docs/measuring.md", "overlap_frames")
    path.write_text(f"models: hunyuan-video\noperations: decode\n{tiles}")
    # When it is planned
    cases = make(load(path)).cases
    # Then each is a case that can run
    assert len(cases) == 3
    assert not any(map(refusal, cases))


def test_every_field_of_a_record_is_documented() -> None:
    assert set(Record.model_fields) <= documentation.code("docs/record.md")


def test_the_documented_places_of_figures_exist() -> None:
    # Given the stage of a record that was measured, as JSON
    stage = measured().model_dump()["stages"][0]
    # When the documented places are looked up
    places = [text.split(".")[1:] for text in documentation.code("docs/record.md") if text.startswith("stages[0].")]
    # Then each is there
    assert len(places) >= 6
    assert all(figure in stage[part] for part, figure in places)


def test_every_reason_of_a_refusal_is_documented() -> None:
    documented = documentation.code("docs/protocol.md")
    reasons = set()
    for path in (ROOT / "bench" / "endpoint").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"RefusedError", "BusyError"}:
                reasons |= {each.value for each in node.args[2:3] if isinstance(each, ast.Constant)}
    assert {"too_large", "stopping"} <= reasons
    assert {str(reason) for reason in reasons} <= documented
