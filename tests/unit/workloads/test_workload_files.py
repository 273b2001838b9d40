"""Workloads in files of somebody else: what is wrong with one is an error that names it, never a traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import refusal

from bench import config
from bench.errors import ConfigError
from bench.workloads import models, plugins

TOY = Path(__file__).parents[2] / "toy_workload.py"
GOOD = """
from bench.workloads.base import Axis, Spec, Workload

class Mine(Workload):
    name, part, page, operations = "mine", "part", "Mine", ("go",)
    def specs(self): return (Spec(key="mine", title="Mine"),)
    def axes(self, key): return (Axis("tokens"),)
    def load(self, case, device): raise NotImplementedError

WORKLOAD = Mine()
"""
FAULTS = {
    "no Python": "def",
    "raises": "raise RuntimeError('no')",
    "exits": "raise SystemExit(3)",
    "nothing": "",
    "a number": "WORKLOAD = 5",
    "a class": GOOD.replace("Mine()", "Mine"),
    "abstract": GOOD.replace('    def specs(self): return (Spec(key="mine", title="Mine"),)\n', ""),
    "no name": GOOD.replace('"mine", "part"', 'None, "part"'),
    "a text of operations": GOOD.replace('("go",)', '"go"'),
    "no operations": GOOD.replace('("go",)', "()"),
    "a page that is a path": GOOD.replace('"Mine", (', '"../x", ('),
    "a key that is a path": GOOD.replace('key="mine"', 'key="a/../b"'),
    "specs that are none": GOOD.replace('(Spec(key="mine", title="Mine"),)', '("mine",)'),
    "specs that raise": GOOD.replace('return (Spec(key="mine", title="Mine"),)', "1 / 0"),
    "an axis that is a text": GOOD.replace('(Axis("tokens"),)', '("tokens",)'),
    "two axes of one name": GOOD.replace('(Axis("tokens"),)', '(Axis("tokens"), Axis("tokens"))'),
    "no axes": GOOD.replace('(Axis("tokens"),)', "()"),
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is known of workloads is looked up anew, and again afterwards."""
    cached = (models.workloads, models._all, models.zoo, models.aliases, config.sweep_model)
    for one in cached:
        one.cache_clear()
    yield
    monkeypatch.undo()
    for one in cached:
        one.cache_clear()


def _name(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setenv(plugins.VARIABLE, os.pathsep.join(map(str, paths)))


def _written(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_outside_is_a_kind_of_workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _name(monkeypatch, _written(tmp_path, GOOD), TOY)
    assert {"mine", "toy"} <= models.zoo().keys()
    assert {"tokens", "length", "width"} <= set(config.sweep_model().axes())


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS.keys())
def test_what_is_wrong_with_a_file_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert text != GOOD
    _name(monkeypatch, _written(tmp_path, text))
    said = refusal(ConfigError, models.zoo)
    assert "mine.py" in said
    assert plugins.VARIABLE in said


@pytest.mark.parametrize("name", ["gone.py", "no_such_module", "."])
def test_a_file_or_module_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _name(monkeypatch, Path(name))
    assert plugins.VARIABLE in refusal(ConfigError, models.zoo)


@pytest.mark.parametrize("value", ["", "  ", os.pathsep])
def test_a_variable_that_names_nothing_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(plugins.VARIABLE, value)
    assert "tiny" in models.zoo()


@pytest.mark.parametrize("axis", ["models", "dtype", "id", "lists", "values_of", "model_dump", "aliases"])
def test_an_axis_of_the_name_of_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axis: str
) -> None:
    _name(monkeypatch, _written(tmp_path, GOOD.replace("tokens", axis)))
    assert axis in refusal(ConfigError, config.sweep_model)


def test_two_kinds_that_read_one_axis_differently_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = GOOD.replace("mine", "yours").replace("Mine", "Yours").replace('"tokens"', '"tokens", parse=int')
    _name(monkeypatch, _written(tmp_path, GOOD), _written(tmp_path, other, "yours.py"))
    assert "tokens" in refusal(ConfigError, config.sweep_model)


@pytest.mark.parametrize(
    "parse", ["lambda value: 0", "lambda value: -5", "lambda value: 1 / 0", "lambda value: 'x'", "lambda value: 2**70"]
)
def test_what_an_axis_reads_wrong_is_an_error_of_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parse: str
) -> None:
    _name(monkeypatch, _written(tmp_path, GOOD.replace('"tokens"', f'"tokens", parse={parse}')))
    sweep = _written(tmp_path, "models: mine\ntokens: 5\n", "mine.yaml")
    said = refusal(ConfigError, config.load, sweep)
    assert "tokens" in said


def test_what_a_file_prints_goes_to_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _name(monkeypatch, _written(tmp_path, f"print('hello')\n{GOOD}"))
    assert "mine" in models.zoo()
    assert capsys.readouterr() == ("", "hello\n")
