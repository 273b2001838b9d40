"""Set-up of the whole suite: torch's threads, the fixture of golden files, the stand-in of the driver's library."""

from __future__ import annotations

import difflib
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from standins import nvml_library as nvml_builder

from bench.commands import notice
from bench.config import sweep_model
from bench.workloads import models

GOLDEN = Path(__file__).parent / "golden"
#: The tests' models are tiny: two threads that wait for each other gain nothing, and where something else uses a core
#: they take ten times as long. Read when torch is loaded, here and in each worker.
os.environ.setdefault("OMP_NUM_THREADS", "1")
#: Output is as wide as COLUMNS says, which pytest-xdist sets for its workers: a test that wants a width sets it itself.
os.environ.pop("COLUMNS", None)
#: A shell ignores Ctrl-C in what it starts in the background, and processes inherit that: those of the tests heed it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
#: An example may take as long as it likes: a busy machine would fail what is right.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
#: Collecting garbage visits all objects of torch and of 5,000 tests, many times over while they are loaded.
gc.disable()


#: The folders whose files take longest: they begin first, so that no process is left alone with one at the end.
_LONG = ("integration", "unit/workloads", "unit/traces", "unit/vram", "unit/commands")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    folders = [f"{Path(__file__).parent / folder}{os.sep}" for folder in _LONG]
    items.sort(key=lambda item: next((n for n, folder in enumerate(folders) if str(item.path).startswith(folder)), 9))


def pytest_collection_finish() -> None:
    """Collect garbage from here on, but of the tests' own objects."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a slow command says out of what a test reads, however slow the machine is; processes say it still."""
    monkeypatch.setattr(notice, "_PATIENCE_S", 3600.0)
    monkeypatch.setattr(notice, "_SLOW_MODULES", frozenset[str]())


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare text with `tests/golden/NAME`; `make golden` (BENCH_GOLDEN=write) rewrites the file on purpose."""

    def check(name: str, got: str) -> None:
        path = GOLDEN / name
        if os.environ.get("BENCH_GOLDEN") == "write":
            path.write_bytes(got.encode())
        want = path.read_bytes().decode() if path.exists() else ""
        if got != want:
            path.with_name(f"{name}.got").write_bytes(got.encode())
            lines = difflib.unified_diff(
                want.splitlines(keepends=True), got.splitlines(keepends=True), f"golden/{name}", "got"
            )
            pytest.fail(f"golden file {name} differs; see {name}.got\n{''.join(lines)}", pytrace=False)

    return check


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in of libnvidia-ml, compiled once; see `standins.nvml_library` for how a process is given it."""
    return nvml_builder.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def toy_video(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The model of `toy_video.py`, which makes videos; the program knows it while the test runs."""
    monkeypatch.setenv("BENCH_WORKLOADS", str(Path(__file__).with_name("toy_video.py")))
    _read_workloads_again()
    yield "toy-video"
    monkeypatch.undo()
    _read_workloads_again()


def _read_workloads_again() -> None:
    for remembered in (models.workloads, models._all, models.zoo, models.aliases, sweep_model):
        remembered.cache_clear()
