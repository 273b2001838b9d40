"""What is found out about a machine: the host by reading it, the GPU behind fakes of torch and NVML."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from factories import a_device

from bench.device.cpu import host
from bench.run import surroundings

CPU = a_device(kind="cpu", name="Test CPU")


# --- the host, without torch


def test_the_host_facts_are_complete(tmp_path: Path) -> None:
    host = surroundings.look(tmp_path)
    assert host.cores == psutil.cpu_count()
    assert 0 < host.usable_cores <= host.cores
    assert host.ram_bytes > host.available_bytes > 0
    assert set(host.packages) <= set(surroundings.PACKAGES)
    assert host.results.trouble is None
    assert host.results.free_bytes > 0


def test_looking_at_a_results_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    # Given a folder that does not exist yet, in one that does
    result = surroundings.folder(tmp_path / "results" / "of" / "mine")
    assert result.trouble is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    for folder in (tmp_path / "results", tmp_path / "results" / "deeper"):
        assert "file" in (surroundings.folder(folder).trouble or "")


def test_a_link_that_leads_nowhere_or_round_in_a_circle_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "not there")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("nowhere", "circle", "circle/deeper"):
        assert "link" in (surroundings.folder(tmp_path / name).trouble or "")


def test_a_folder_that_can_t_be_written_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(surroundings.tempfile, "TemporaryFile", refuse)
    trouble = str(surroundings.folder(tmp_path).trouble)
    assert str(tmp_path) in trouble
    assert "Read-only file system" in trouble


def test_relevant_variables_are_returned_without_folders() -> None:
    kept = surroundings.variables(
        {
            "LD_PRELOAD": "/home/me/lib/libjemalloc.so:/opt/other.so",
            "PYTORCH_ALLOC_CONF": "backend:native,expandable_segments:True",
            "MALLOC_CONF": "prof:true,prof_prefix:/home/me/jeprof",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "CUDNN_VERSION": "9.1.0",  # container images set these
            "CUBLAS_LIBRARY_PATH": "/usr/lib",
            "HOME": "/home/me",
        }
    )
    assert kept == {
        "LD_PRELOAD": "libjemalloc.so:other.so",
        "PYTORCH_ALLOC_CONF": "backend:native,expandable_segments:True",
        "MALLOC_CONF": "prof:true,prof_prefix:jeprof",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups in a folder of the test's own, the process in /box/inner; a machine of 64 cores."""
    root = tmp_path / "sys/fs/cgroup"
    (root / "box" / "inner").mkdir(parents=True)
    own = tmp_path / "proc/self/cgroup"
    own.parent.mkdir(parents=True)
    own.write_text("0::/box/inner\n")
    lines = host.lines
    monkeypatch.setattr(host, "lines", lambda path: lines(tmp_path / path.relative_to("/")))
    monkeypatch.setattr(surroundings.psutil, "cpu_count", lambda: 64)
    monkeypatch.setattr(surroundings.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return root


def test_cores_are_bounded_by_affinity(groups: Path) -> None:
    assert surroundings.usable_cores() == 16


@pytest.mark.parametrize(("text", "cores"), [("250000 100000", 2.5), ("max 100000", 16), ("", 16)])
@pytest.mark.parametrize("group", ["", "box", "box/inner"])
def test_cores_are_bounded_by_the_quota_of_any_group_above(groups: Path, group: str, text: str, cores: float) -> None:
    (groups / group / "cpu.max").write_text(text)
    assert surroundings.usable_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("400000", 4), ("-1", 16)])
def test_cores_are_bounded_by_a_version_1_quota(groups: Path, quota: str, cores: float) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (groups / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert surroundings.usable_cores() == cores


def test_each_governor_is_returned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, governor in enumerate(("powersave", "performance", "powersave")):
        (tmp_path / f"cpu{number}" / "cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{number}" / "cpufreq" / "scaling_governor").write_text(f"{governor}\n")
    monkeypatch.setattr(surroundings, "_CPUS", tmp_path)
    assert surroundings.look(tmp_path).governors == ("performance", "powersave")


def test_variables_for_other_machines_are_as_they_are_and_name_no_cards_or_files_here() -> None:
    environment = {
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        "CUDA_VISIBLE_DEVICES": "1",
        "LD_PRELOAD": "/usr/lib/libjemalloc.so",
        "HOME": "/root",
        "BENCH_WORKLOADS": "/srv/toy.py",
    }
    assert surroundings.shippable(environment) == {
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        "BENCH_WORKLOADS": "/srv/toy.py",
    }
