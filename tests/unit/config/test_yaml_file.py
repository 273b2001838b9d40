"""YAML read by libyaml where PyYAML has it, else by PyYAML itself: the same values, and errors with their place."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from bench.config import yaml_file
from bench.errors import ConfigError

SHIPPED = sorted(yaml_file.configs().items())


@pytest.fixture(params=["libyaml", "PyYAML"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, as it is with libyaml and without."""
    if request.param == "libyaml":
        if not yaml.__with_libyaml__:
            pytest.skip("this PyYAML was built without libyaml")
        return yaml_file
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    spec = importlib.util.spec_from_file_location("yaml_file_without_libyaml", yaml_file.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_libyaml_reads_where_it_is_there(reader: ModuleType) -> None:
    c_loader = getattr(yaml, "CSafeLoader", None)
    assert issubclass(reader.Loader, c_loader or yaml.SafeLoader)


@pytest.mark.parametrize(("name", "path"), SHIPPED, ids=[name for name, _ in SHIPPED])
def test_shipped_files_have_the_same_values_in_both(name: str, path: Path, reader: ModuleType) -> None:
    text = path.read_text(encoding="utf-8")
    assert reader.parse(text) == yaml.load(text, Loader=yaml.SafeLoader)


@pytest.mark.parametrize(
    ("text", "place", "named"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 3, column 3", "'c'"),  # the mapping with a duplicate key
        ("a: 1\nb: *other\n", "line 2, column 4", "'other'"),
        ("a: 1\nb: !!bool maybe\n", "line 2, column 4", "'maybe'"),
        ("a: 1\nb: 99999999999999999999\n", "line 2, column 4", "64 bits"),
        ("a: 1\nb: !!python/none x\n", "line 2, column 4", "python/none"),
        ("a: 1\nb: [1, 2\n", "line 3, column 1", "','"),
        ("a: 1\n\tb: 2\n", "line 2, column 1", ""),
    ],
)
def test_an_error_names_file_place_and_what_is_wrong(
    text: str, place: str, named: str, reader: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        reader.read_mapping(path, "a file", ["a"], "`a`")
    assert str(error.value).startswith(f"{path}, {place}: ")
    assert named in str(error.value)
