"""`make traces`: what it writes, and that it writes whole files or none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.errors import TraceError
from bench.traces import capture_templates, shipped
from bench.traces.tape import Architecture
from bench.workloads.image_vae.zoo import ZOO

TINY = ZOO.get("tiny")
ARCHITECTURE = Architecture((1,), (), ())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the shipped files, and a zoo of `tiny` and a model with its architecture."""
    monkeypatch.setattr(shipped, "path_of", lambda model: tmp_path / "traces" / f"{model}.json")
    monkeypatch.setattr(shipped, "architecture_of", lambda _: {"class": "one"})
    monkeypatch.setattr(ZOO, "listed", lambda: (TINY, dataclasses.replace(TINY, key="twin", hub_id="tests/twin")))
    return tmp_path / "traces"


def test_one_file_is_written_for_an_architecture_and_progress_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_templates, "architecture", lambda _: ARCHITECTURE)
    capture_templates.main()
    assert [path.name for path in folder.iterdir()] == ["tiny.json"]
    written = shipped._read.__wrapped__("tiny")
    assert written.model == "tiny"
    assert written.config == {"class": "one"}
    assert written.architecture == ARCHITECTURE
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(":")[0] for line in err.splitlines()] == ["tiny", "tiny", "twin"]


def test_a_capture_that_fails_leaves_the_older_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "tiny.json").write_text("older")

    def refuse(_: str) -> None:
        raise TraceError("no")

    monkeypatch.setattr(capture_templates, "architecture", refuse)
    with pytest.raises(TraceError):
        capture_templates.main()
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"tiny.json": "older"}


def test_a_disk_that_is_full_leaves_the_older_file_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "tiny.json").write_text("older")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(capture_templates, "architecture", lambda _: ARCHITECTURE)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="space"):
        capture_templates.main()
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"tiny.json": "older"}


def test_the_shipped_file_of_tiny_is_what_a_capture_gives_now() -> None:
    traces = shipped.of_model("tiny")
    assert traces is not None
    assert capture_templates.architecture("tiny") == traces.architecture
