"""What `make install` and pip would install, without a network: nothing is installed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pip_arguments(*variables: str) -> list[str]:
    """What `make install` asks pip for on a fresh clone, by the Makefile's own account."""
    done = subprocess.run(
        ["make", "-n", "install", "VENV=no-such-venv", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    words = [shlex.split(line) for line in done.stdout.splitlines() if " -m pip install " in line]
    (line,) = words
    return line[line.index("install") + 1 :]


def planned(arguments: list[str], site: Path, tmp_path: Path) -> set[str]:
    """The packages that pip would install here, where `site` is a folder of packages before all others."""
    report = tmp_path / "report.json"
    options = ["--dry-run", "--no-index", "--no-build-isolation", "--report", str(report)]
    plain = [
        word for word in arguments if word != "-e"
    ]  # an editable install is planned alike, but needs more to do it
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, *plain],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return {item["metadata"]["name"] for item in json.loads(report.read_text())["install"]}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("version", ["2.9.1+cu130", "2.7.0a0+79aa17489c.nv25.04"])
def test_a_torch_of_the_machine_s_own_is_left_as_it_is(version: str, tmp_path: Path) -> None:
    pytest.importorskip("pip")
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: it comes with the dev extra")
    # Given a machine with a torch that no index has
    info = tmp_path / f"torch-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    # When the program is installed with all that measuring needs, by make or by pip
    by_make = planned(pip_arguments("SYSTEM_SITE=1"), tmp_path, tmp_path)
    by_pip = planned([".[measure]"], tmp_path, tmp_path)
    # Then nothing takes its place
    assert by_make == by_pip == {"hybrid-bench"}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_installs_what_measuring_needs_with_the_pins_unless_a_torch_is_there() -> None:
    assert pip_arguments()[-2:] == pip_arguments("SYSTEM_SITE=1")[-2:] == ["-e", ".[measure,endpoint,remote]"]
    assert "constraints.txt" in pip_arguments()
    assert "constraints.txt" not in pip_arguments("SYSTEM_SITE=1")
