"""Whether the packages of an extra are installed and work, and what is said if not."""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest
from factories import a_case

from bench import packages
from bench.cli import main
from bench.errors import PackageError
from bench.packages import MEASURE, Extra
from bench.traces import shipped, tracing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which Python looks for packages."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def refusal(extra: Extra) -> str:
    """What `load` says; `require` must say the same, or nothing if it is only the import that fails."""
    with pytest.raises(PackageError) as refused:
        packages.load("`bench run`", extra)
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_all_that_is_missing_is_named_and_nothing_else(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "xtra_here.py").touch()
    monkeypatch.setitem(sys.modules, "xtra_blocked", None)
    extra = Extra("some", ("xtra_blocked", "xtra_here", "xtra_gone"))
    with pytest.raises(PackageError) as refused:
        packages.require("`bench run`", extra)
    assert str(refused.value) == (
        "`bench run` needs xtra_blocked and xtra_gone, which are not installed. Install them: "
        "pip install 'hybrid-bench[some]'"
    )
    assert refusal(extra) == str(refused.value)
    assert "xtra_here" not in sys.modules


class Refusing:
    """A finder that hides a package."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.name:
            raise ModuleNotFoundError(name)


@pytest.mark.parametrize("arguments", [["run", "smoke"], ["calibrate"], ["doctor", "--client"]], ids=" ".join)
def test_a_command_without_diffusers_alone_names_only_diffusers(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "meta_path", [Refusing("diffusers"), *sys.meta_path])
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "needs diffusers, which is not installed" in error
    assert "torch" not in error


def test_what_this_process_has_loaded_says_nothing_about_a_child(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given one module that only this process can't import, and one that only this process has
    (site / "xtra_here.py").touch()
    monkeypatch.setitem(sys.modules, "xtra_here", None)
    monkeypatch.setitem(sys.modules, "xtra_gone", ModuleType("xtra_gone"))
    extra = Extra("some", ("xtra_here", "xtra_gone"))
    # Then a child lacks the other one
    with pytest.raises(PackageError, match="needs xtra_here, which"):
        packages.require("`bench run`", extra)
    with pytest.raises(PackageError, match="needs xtra_gone, which"):
        packages.require("`bench run`", extra, in_child=True)


def test_a_folder_that_an_uninstalled_package_left_does_not_count(site: Path) -> None:
    (site / "xtra_left" / "lib").mkdir(parents=True)
    assert "not installed" in refusal(Extra("some", ("xtra_left",)))


def test_a_finder_that_refuses_a_package_makes_it_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [Refusing("xtra_refused"), *sys.meta_path])
    assert "not installed" in refusal(Extra("some", ("xtra_refused",)))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('raise OSError("libcudart.so.99: cannot open\\nshared object file")', "OSError: libcudart.so.99: cannot open"),
        ("import xtra_of_another", "ModuleNotFoundError: No module named 'xtra_of_another'"),
        ("None.missing", "AttributeError: 'NoneType' object has no attribute 'missing'"),
        (
            "try:\n    import xtra_of_another\nexcept ImportError as e:\n    raise RuntimeError('see above') from e",
            "ModuleNotFoundError: No module named 'xtra_of_another'",
        ),
    ],
    ids=["library", "its own import", "anything", "cause"],
)
def test_a_package_that_can_t_be_imported_is_named_with_the_reason_in_one_line(
    source: str, reason: str, site: Path
) -> None:
    (site / "xtra_broken.py").write_text(source)
    extra = Extra("some", ("json", "xtra_broken"))
    packages.require("`bench run`", extra)
    message = refusal(extra)
    assert reason in message
    assert "needs xtra_broken, which is installed" in message
    assert "\n" not in message


@pytest.mark.parametrize("is_collecting", [True, False])
def test_an_import_leaves_garbage_collection_as_it_was(is_collecting: bool, site: Path) -> None:
    # Given a package that notes whether garbage is collected while it is imported, and a broken one
    (site / f"xtra_notes_{is_collecting}.py").write_text("import gc\nenabled = gc.isenabled()\n")
    (site / f"xtra_fails_{is_collecting}.py").write_text("raise OSError\n")
    was_enabled = gc.isenabled()
    (gc.enable if is_collecting else gc.disable)()
    try:
        # When both are imported
        packages.load("A test", Extra("some", (f"xtra_notes_{is_collecting}",)))
        refusal(Extra("some", (f"xtra_fails_{is_collecting}",)))
        # Then none was collected during the import, and what was switched on is on again
        assert sys.modules[f"xtra_notes_{is_collecting}"].enabled is False
        assert gc.isenabled() is is_collecting
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_an_import_does_not_recommend_other_packages(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Given a package that warns as bitsandbytes does, and as any other does
    logger = "bitsandbytes.backends.cpu.ops"
    logging.getLogger(logger).setLevel(logging.NOTSET)
    warns = "import logging\nfor name in ({!r}, 'xtra'):\n    logging.getLogger(name).warning('from %s', name)\n"
    (site / "xtra_warns.py").write_text(warns.format(logger))
    # When it is imported
    packages.load("A test", Extra("some", ("xtra_warns",)))
    # Then only the other warning is there
    assert caplog.messages == ["from xtra"]


def test_a_live_trace_names_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a model whose trace does not come with the program, and no torch
    monkeypatch.setattr(shipped, "trace_of", lambda _case: None)
    monkeypatch.setitem(sys.modules, "torch", None)
    # When it is traced
    with pytest.raises(PackageError) as refused:
        tracing.trace_of(a_case())
    # Then the message says which model, and what to install
    assert a_case().model in str(refused.value)
    assert str(refused.value).endswith("pip install 'hybrid-bench[measure]'")


def test_diffusers_is_tried_by_a_part_that_all_models_need() -> None:
    pytest.importorskip("diffusers")
    packages.load("A test", MEASURE)
    assert "diffusers.models.modeling_utils" in sys.modules


def test_warnings_of_kernels_that_are_not_used_are_left_out(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Given a package that warns when it is imported, as bitsandbytes does
    code = "import logging; logging.getLogger('bitsandbytes.backends.cpu').{}('no kernels')"
    for level in ("warning", "error"):
        (site / f"xtra_{level}.py").write_text(code.format(level))
    # When it is loaded
    packages.load("A test", Extra("some", ("xtra_warning",)))
    # Then nothing is said of that, but of errors
    assert not caplog.records
    packages.load("A test", Extra("some", ("xtra_error",)))
    assert "no kernels" in caplog.text
