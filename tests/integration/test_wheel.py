"""The wheel: what is in it, and that it knows what the checkout knows, wherever it is run."""

from __future__ import annotations

import configparser
import email
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ADVISE = ["advise", "--gpu", "3070", "--model", "sd-v1", "--resolution", "512", "--operation", "decode", "--json"]


@pytest.fixture(scope="module")
def wheel(built_wheel: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(built_wheel)


@pytest.fixture(scope="module")
def prefix(built_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip installs it, with its scripts, but without what it depends on."""
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("prefix")
    options = ["--prefix", str(folder), "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--ignore-installed", *options, str(built_wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def site(prefix: Path) -> Path:
    """The folder that has the installed package."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(prefix)}))


def script(prefix: Path, site: Path, name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an installed command."""
    return subprocess.run(
        [Path(sysconfig.get_path("scripts", vars={"base": str(prefix)})) / name, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(site), "COLUMNS": "120"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def under(wheel: zipfile.ZipFile, folder: str) -> dict[str, bytes]:
    names = [name for name in wheel.namelist() if name.startswith(f"{folder}/")]
    return {name.removeprefix(f"{folder}/"): wheel.read(name) for name in names}


@pytest.mark.parametrize(
    ("inside", "here"),
    [
        ("bench/published", "results/published"),
        ("bench/configs", "configs"),
        ("bench/traces/data", "bench/traces/data"),
        ("bench/report/site/assets", "bench/report/site/assets"),
    ],
)
def test_the_docs_figures_the_sweeps_and_the_traces_are_in_the_wheel(
    wheel: zipfile.ZipFile, inside: str, here: str
) -> None:
    files = {path.name: path.read_bytes() for path in (ROOT / here).iterdir() if path.is_file()}
    assert files
    assert under(wheel, inside) == files


def test_the_verdicts_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("bench/verdicts.json") == (ROOT / "results/predicted/verdicts.json").read_bytes()
    assert wheel.read("bench/pipelines.json") == (ROOT / "results/predicted/pipelines.json").read_bytes()


def test_nothing_else_of_the_checkout_is(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0].partition("-")[0] for name in wheel.namelist()} == {"bench", "hybrid_bench"}
    assert not [name for name in wheel.namelist() if "predicted/" in name or name.endswith(".got")]


def requirements(wheel: zipfile.ZipFile, extra: str = "") -> set[str]:
    """The packages that an installation brings, with an extra and those that it includes; without one, the base."""
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = email.message_from_bytes(wheel.read(name))
    brought: set[str] = set()
    for line in metadata.get_all("Requires-Dist", []):
        package, _, marker = line.partition(";")
        if marker.strip() == (f"extra == '{extra}'" if extra else ""):
            included = re.fullmatch(r"hybrid-bench\[(.*)\]", package.strip())
            names = included[1].split(",") if included else ()
            brought |= {other for name in names for other in requirements(wheel, name)}
            brought |= set() if included else set(re.findall(r"^[\w.-]+", package))
    return brought


def test_torch_comes_with_what_measures_and_not_with_the_base(wheel: zipfile.ZipFile) -> None:
    measures = {"torch", "diffusers", "transformers", "accelerate", "safetensors", "scikit-image"}
    assert requirements(wheel) >= {"numpy", "pydantic", "typer"}
    assert not requirements(wheel) & (measures | {"huggingface-hub"})
    assert requirements(wheel, "measure") == measures
    assert all(requirements(wheel, extra) > measures for extra in ("endpoint", "remote", "dev", "mutants"))


def test_the_package_s_own_name_is_a_command_too(wheel: zipfile.ZipFile) -> None:
    # `pipx run hybrid-bench` and `uvx hybrid-bench` run the script that is named like the package
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(name).decode())
    assert dict(scripts["console_scripts"]) == {"bench": "bench.cli:main", "hybrid-bench": "bench.cli:main"}


def test_parquet_and_its_package_are_an_extra(wheel: zipfile.ZipFile) -> None:
    assert requirements(wheel, "parquet") == {"pyarrow"}
    assert requirements(wheel, "dev") >= {"pyarrow"}
    assert "pyarrow" not in requirements(wheel)


@pytest.mark.parametrize("name", ["bench", "hybrid-bench"])
def test_an_installed_command_tells_its_version_and_its_own_name(
    name: str, prefix: Path, site: Path, wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    version = script(prefix, site, name, "--version", cwd=tmp_path)
    assert (version.returncode, version.stdout.strip()) == (0, Path(str(wheel.filename)).name.split("-")[1])
    usage = script(prefix, site, name, "--help", cwd=tmp_path)
    assert usage.returncode == 0
    assert f"Usage: {name} " in usage.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("name", ["bench", "hybrid-bench"])
def test_completion_is_installed_for_a_shell_and_completes(name: str, prefix: Path, site: Path, tmp_path: Path) -> None:
    # Given a user of bash with an empty home
    scripts = sysconfig.get_path("scripts", vars={"base": str(prefix)})
    home = {"HOME": str(tmp_path), "PYTHONPATH": str(site), "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}

    def bash(text: str) -> str:
        done = subprocess.run(
            ["bash", "--norc", "-c", text],
            env=os.environ | home,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout

    # When completion is installed, and the shell that has read its start-up file completes a word
    bash(f"{name} --install-completion; :")
    words = f"COMP_WORDS=({name} comp); COMP_CWORD=1"
    completed = bash(
        f"source ~/.bashrc; {words}; "
        f"$(complete -p {name} | sed 's/.*-F \\([^ ]*\\).*/\\1/') {name}; echo \"${{COMPREPLY[@]}}\""
    )
    # Then it knows the command
    assert completed.split() == ["compare"]


def test_the_package_is_typed_and_has_its_functions(site: Path, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    assert "bench/py.typed" in wheel.namelist()
    code = "import bench; print(bench.__file__); print(len(bench.load()), len(bench.predict('tiny', gpu='3070')))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    place, counts = done.stdout.splitlines()
    assert Path(place).is_relative_to(site)
    assert counts == "130 16"


def advice(cwd: Path, python_path: Path) -> Any:
    env = os.environ | {"PYTHONPATH": str(python_path)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench", *ADVISE],
        cwd=cwd,
        env=env,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return json.loads(done.stdout)


def test_the_wheel_gives_the_checkout_s_advice_in_any_folder(site: Path, tmp_path: Path) -> None:
    # Given the package of the wheel, and this checkout
    place = subprocess.run(
        [sys.executable, "-P", "-c", "import bench; print(bench.__file__)"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert Path(place.stdout.strip()).is_relative_to(site)
    # When both are asked, in the checkout and in another folder
    told = [advice(ROOT, ROOT), advice(tmp_path, ROOT), advice(tmp_path, site)]
    # Then all of them know the docs' time, and say the same
    assert all(one == told[0] for one in told)
    (untiled,) = [way for way in told[0]["advice"][0]["ways"] if way["way"] == "untiled"]
    assert (untiled["time"]["kind"], untiled["time"]["seconds"]) == ("published", 0.102)
    assert told[0]["time_model"]["times"] == 114
