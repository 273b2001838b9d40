"""A base installation, without torch and diffusers: what it can do, and what it says where it can't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from same_predictions import without_times

from bench import packages
from bench.cli import COMMANDS
from bench.workloads import models

ROOT = Path(__file__).parents[2]
PUBLISHED = str(ROOT / "results" / "published")
PAGE = str(ROOT / "tests" / "golden" / "seed_vae_encode.md")
#: The packages of the extras that a base installation lacks; `pip install hybrid-bench` brings all others.
LACKING = {
    *("torch", "diffusers", "transformers", "accelerate", "safetensors"),
    *("httpx2", "av", "h11", "prometheus_client", "starlette", "uvicorn"),
    "pyarrow",
}
HIDING = f"""
import sys
class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LACKING}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None
sys.meta_path.insert(0, Hiding())
"""
#: Runs each line of standard input, a folder and arguments, in a fork of a process that has loaded what is slow to load
#: of a base installation: standard output, standard error and the loaded modules go to files in the folder.
FORKING = """
import json, os, sys
import matplotlib.figure, pandas, psutil, scipy.optimize, scipy.stats
from bench import cli, config, doctor, plan, record, store
from bench.report.pages import advice_page, predicted_page
for line in sys.stdin:
    folder, *arguments = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(os.path.join("..", name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        code = cli.main(arguments)
        open(os.path.join("..", "modules"), "w").write(" ".join(sys.modules))
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
ADVISE = ["advise", "--gpu", "3070", "--model", "sdxl", "--resolution", "1024", "--operation", "decode"]
#: The image models whose traces come with the program: all but the tiny siblings of other classes than the first.
IMAGE_KEYS = [
    key for key in models.zoo() if models.workload(key).name == "image VAE" and (key == "tiny" or "tiny-" not in key)
]
IMAGE_MODELS = [word for key in IMAGE_KEYS for word in ("--model", key)]
#: One of the docs' own, one whose small passes have templates of their own, and a small one.
SOME_KEYS = ["sd-v1", "sana", "taesd"]
SOME_MODELS = [word for key in SOME_KEYS for word in ("--model", key)]
PREDICT = ["predict", "docs", *SOME_MODELS, "--resolution", "512", "--resolution", "1024", "--gpu", "3070", "--quiet"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, its output, the modules that it had loaded."""

    code: int
    stdout: str
    stderr: str
    modules: frozenset[str]


Run = Callable[..., Ended]


def environment(site: Path) -> dict[str, str]:
    """The variables of a process that finds the packages in a folder before all others."""
    return os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}


def started(site: Path) -> subprocess.Popen[str]:
    """The process that forks for each command."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", FORKING],
        env=environment(site),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def ended(process: subprocess.Popen[str], folder: Path, *arguments: str) -> Ended:
    """Run `bench` in a new and empty folder, below that one."""
    assert process.stdin is not None
    assert process.stdout is not None
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    process.stdin.write(json.dumps([str(empty), *arguments]) + "\n")
    code = int(process.stdout.readline())
    modules = frozenset((folder / "modules").read_text().split())
    return Ended(code, (folder / "stdout").read_text(), (folder / "stderr").read_text(), modules)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A process that does not find the packages that a base installation lacks, nor do those that it starts."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "sitecustomize.py").write_text(HIDING)
    with started(folder) as process:
        yield process


@pytest.fixture
def run(base: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Run `bench` in an empty folder, as a base installation would."""
    return partial(ended, base, tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "docs", "--model", "sdxl", "--gpu", "3070"],
        ["predict", "docs", "--gpu", "3070", "--operation", "encode", "--format", "docs"],
        ADVISE,
        ["report", PUBLISHED, "--out", "pages"],
        ["compare", PUBLISHED, PUBLISHED],
        ["hybrid", PUBLISHED, "--gpu", "4090"],
        ["cost", PUBLISHED, "--model", "sdxl", "--resolution", "1024"],
        ["docs", "render", PUBLISHED, "--operation", "encode"],
        ["docs", "import", PAGE, "--out", "page.jsonl"],
        ["docs", "check", PAGE, PUBLISHED, "--operation", "encode"],
        ["models"],
        ["profile", "--gpu", "3070"],
        ["export", PUBLISHED],
        ["run", "docs", "--dry-run"],
        ["remote", "--loopback", "--dry-run"],
        *([name, "--help"] for name in COMMANDS),
    ],
    ids=" ".join,
)
def test_what_measures_nothing_works(arguments: list[str], run: Run) -> None:
    done = run(*arguments)
    assert done.code == 0, done.stderr
    assert not done.modules & LACKING


@pytest.mark.parametrize(
    ("arguments", "lacking", "extra"),
    [
        (["run"], packages.MEASURE, "measure"),
        (["run", "smoke"], packages.MEASURE, "measure"),
        (["run", "--dry-run"], packages.MEASURE, "measure"),
        (["calibrate"], packages.MEASURE, "measure"),
        (["profile", "--measured"], packages.MEASURE, "measure"),
        (["profile", "--device", "cpu"], packages.MEASURE, "measure"),
        (["doctor", "--client"], packages.MEASURE, "measure"),
        (["doctor", "--ceilings"], packages.MEASURE, "measure"),
        (["serve", "--model", "tiny", "--weights", "random"], packages.ENDPOINT, "endpoint"),
        (["remote", "--endpoint", "http://127.0.0.1:1"], packages.REMOTE, "remote"),
        (["remote", "--endpoint", "http://127.0.0.1:1", "--dry-run"], packages.HTTP, "remote"),
        (["remote", "--loopback"], packages.LOOPBACK, "endpoint,remote"),
        (["export", "--parquet", "--out", "a.parquet"], packages.PARQUET, "parquet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_needs_torch_says_so_in_one_line_and_writes_nothing(
    arguments: list[str], lacking: packages.Extra, extra: str, run: Run, tmp_path: Path
) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: `bench {arguments[0]}")
    assert all(name in line for name in lacking.modules)
    assert line.endswith(f"pip install 'hybrid-bench[{extra}]'")
    assert not list((tmp_path / "empty").iterdir())


def test_doctor_says_what_it_can(run: Run) -> None:
    done = run("doctor", "--json")
    assert done.code == 1
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["machine"]["level"] == "ok"
    assert findings["device"]["level"] == "problem"
    assert "hybrid-bench[measure]" in findings["device"]["said"]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A process whose torch lacks a library, as do those that it starts; diffusers is found as ever."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text('raise OSError("libcudart.so.99: cannot open shared object file")\n')
    with started(folder) as process:
        yield process


@pytest.mark.parametrize(
    "arguments",
    [["run", "smoke"], ["calibrate"], ["profile", "--measured"], ["serve", "--model", "tiny", "--weights", "random"]],
    ids=" ".join,
)
def test_a_broken_torch_is_reported_with_what_failed(
    arguments: list[str], broken: subprocess.Popen[str], tmp_path: Path
) -> None:
    done = ended(broken, tmp_path, *arguments)
    assert done.code == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "OSError: libcudart.so.99: cannot open shared object file" in last
    assert "diffusers" not in last
    assert "Traceback" not in done.stderr


def test_a_client_that_can_t_be_imported_is_a_finding(broken: subprocess.Popen[str], tmp_path: Path) -> None:
    done = ended(broken, tmp_path, "doctor", "--client", "--json")
    assert done.code == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["subject"], finding["level"]) == ("client", "problem")
    assert "libcudart.so.99" in finding["said"]


def claiming(folder: Path, version: str) -> Path:
    """A folder with a torch that claims to be a version, and that fails if anything is asked of it."""
    package, info = folder / "torch", folder / f"torch-{version}.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    lines = [f'__version__ = "{version}"', "def __getattr__(name):", "    raise AssertionError(name)"]
    (package / "__init__.py").write_text("\n".join([*lines, ""]))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    return folder


def told(process: subprocess.Popen[str], folder: Path) -> tuple[list[str], Any]:
    """The predicted records of some image models, and the advice for one image; neither loads torch or diffusers."""
    out = folder / "predicted.jsonl"
    predicted, advised = ended(process, folder, *PREDICT, "--out", str(out)), ended(process, folder, *ADVISE, "--json")
    assert (predicted.code, advised.code) == (0, 0), predicted.stderr + advised.stderr
    assert not (predicted.modules | advised.modules) & {"torch", "diffusers"}
    return without_times(out), json.loads(advised.stdout)


def test_predictions_and_advice_are_the_same_with_any_torch_or_none(
    base: subprocess.Popen[str], tmp_path: Path
) -> None:
    # Given no torch, the installed one, and an older and a newer one by their claims
    installed = tmp_path / "installed"
    installed.mkdir()
    sites = [installed, *(claiming(tmp_path / version, version) for version in ("2.11.0", "2.14.1"))]
    # When predictions and advice are made with each
    records, advice = told(base, tmp_path)
    # Then all are the same
    assert {json.loads(record)["case"]["model"] for record in records} == set(SOME_KEYS)
    for site in sites:
        with started(site) as process:
            assert told(process, site) == (records, advice)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_each_image_model_is_predicted_in_any_precision(dtype: str, run: Run) -> None:
    # Given a size at which the last tile of Sana has 4x4 latent pixels, and computes attention in another way
    done = run("predict", "docs", *IMAGE_MODELS, "--resolution", "1024", "--gpu", "3070", "--dtype", dtype, "--json")
    # Then without torch each is there, untiled and tiled, decoded and encoded
    assert (done.code, done.modules & {"torch", "diffusers"}) == (0, set())
    cases = [record["case"] for record in json.loads(done.stdout)]
    ways = {(case["model"], case["operation"], case["tiling"] == "off") for case in cases}
    assert ways >= {(key, operation, True) for key in IMAGE_KEYS for operation in ("encode", "decode")}
    assert {key for key, operation, is_whole in ways if (operation, is_whole) == ("decode", False)} >= {"sana", "taesd"}


@pytest.mark.parametrize("command", ["predict", "advise", "profile"])
def test_a_video_model_needs_torch_and_the_message_says_what_to_install(command: str, run: Run) -> None:
    # Given a size that nobody has a kept trace of
    done = run(command, "--model", "wan-2.1", "--gpu", "4090", "--resolution", "88x72", "--frames", "13")
    assert done.code == 2
    assert "hybrid-bench[measure]" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_odd_sizes_batches_tiles_and_slices_load_no_torch(run: Run, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "name: odd\nmodels: [sd-v1, sdxl, flux, tiny, flux2, taesd]\nresolutions: [264, 1928x520]\nbatch: [1, 3]\n"
        "tiling: ['off', 'on', 320/64]\nvariants: [default, sliced]\n"
    )
    done = run("predict", str(sweep), "--gpu", "T4", "--quiet")
    assert done.code == 0, done.stderr
    assert not done.modules & {"torch", "diffusers"}
