"""The wheel: what is in it, and that it knows what the checkout knows, wherever it is run."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling", reason="hatchling builds the wheel: it comes with the dev extra")

ROOT = Path(__file__).parents[2]
ADVISE = ["advise", "--gpu", "3070", "--model", "sd-v1", "--resolution", "512", "--operation", "decode", "--json"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from this checkout, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def site(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, as an installation has it."""
    folder = tmp_path_factory.mktemp("site")
    wheel.extractall(folder)
    return folder


def under(wheel: zipfile.ZipFile, folder: str) -> dict[str, bytes]:
    names = [name for name in wheel.namelist() if name.startswith(f"{folder}/")]
    return {name.removeprefix(f"{folder}/"): wheel.read(name) for name in names}


@pytest.mark.parametrize(
    ("inside", "here"),
    [
        ("bench/published", "results/published"),
        ("bench/configs", "configs"),
        ("bench/traces/data", "bench/traces/data"),
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
    measures = {"torch", "diffusers", "accelerate", "safetensors"}
    assert requirements(wheel) >= {"numpy", "pydantic", "typer"}
    assert not requirements(wheel) & (measures | {"huggingface-hub", "transformers"})
    assert requirements(wheel, "measure") == measures
    assert all(requirements(wheel, extra) > measures for extra in ("endpoint", "remote", "dev", "mutants"))


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
