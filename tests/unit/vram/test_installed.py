"""The version of cuDNN that torch's package requires, on a machine with a GPU and on others."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.vram import installed


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """A folder as /dev is on a machine with an NVIDIA GPU."""
    (tmp_path / "nvidia0").touch()
    return tmp_path


def install(folder: Path, name: str, version: str, *requires: str) -> None:
    """Put a package's metadata into a folder, as pip does."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))


def test_it_is_that_of_the_package_that_torch_requires(
    devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a torch with CUDA, and the cuDNN of another torch beside it
    site = tmp_path / "site"
    site.mkdir()
    install(site, "torch", "2.14.1", "numpy", "nvidia-cudnn-cu13==9.19.0.56; platform_system == 'Linux'")
    install(site, "nvidia-cudnn-cu13", "9.19.0.56")
    install(site, "nvidia-cudnn-cu12", "9.10.2.21")
    monkeypatch.syspath_prepend(site)
    # Then its own counts where there is a GPU, and none elsewhere
    assert installed.cudnn_version(devices) == "9.19.0.56"
    assert installed.cudnn_version(site) is None


@pytest.mark.parametrize("requires", [[], ["nvidia-cudnn-cu12==9.10.2.21"]], ids=["own build", "cuDNN removed"])
def test_it_is_unknown_if_pip_does_not_know_it(
    requires: list[str], devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(site, "torch", "2.9.0", *requires)
    monkeypatch.setattr("sys.path", [str(site)])
    assert installed.cudnn_version(devices) is None


def test_it_is_unknown_without_torch(devices: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert installed.cudnn_version(devices) is None
