"""The versions of bundles that are supported are those of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from bench.sharing.accept.supported_versions import SUPPORTED, is_supported

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


def test_they_are_those_of_the_extra() -> None:
    bounds = {}
    for requirement in PROJECT["optional-dependencies"]["measure"]:
        name, least, below = re.fullmatch(r"([a-z-]+)>=([\d.]+),<([\d.]+)", requirement).groups()  # type: ignore[union-attr]
        bounds[name] = (least, below)
    del bounds["scikit-image"]  # compares pictures, measures nothing
    assert bounds == SUPPORTED


@pytest.mark.parametrize(
    ("package", "version", "supported"),
    [
        ("torch", "2.13.0+cpu", True),
        ("torch", "2.15.0.dev20261101+cu130", True),
        ("torch", "2.5.1", False),
        ("torch", "3.0", False),
        ("torch", "git", False),
        ("diffusers", "0.43.0.dev0", True),
        ("numpy", "1.0", True),
    ],
)
def test_a_version_is_within_its_bounds(package: str, version: str, supported: bool) -> None:
    assert is_supported(package, version) == supported
