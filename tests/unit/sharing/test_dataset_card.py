"""The dataset card and the table of contents of a dataset repository."""

from __future__ import annotations

import pytest
import yaml
from factories import a_case, a_device, measured

pytest.importorskip("pyarrow")

from bench.errors import ResultsError
from bench.sharing.hub import contents, dataset_card
from bench.sharing.hub.contents import Entry
from bench.sharing.hub.layout import RemoteFile, git_oid


def _entry(content: bytes = b"x", device: str = "NVIDIA Test") -> Entry:
    return contents.entry_of(content, [measured(device=a_device(name=device)), measured(case=a_case(model="sdxl"))])


def _metadata(card: str) -> dict[str, object]:
    _, front, _ = card.split("---\n", 2)
    metadata: dict[str, object] = yaml.safe_load(front)
    return metadata


def test_a_new_card_has_what_the_viewer_needs_and_a_licence() -> None:
    metadata = _metadata(dataset_card.written("", "alice/results", {"a": _entry()}))

    assert metadata["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "parquet/*/*.parquet"}], "default": True}
    ]
    assert metadata["license"] == "apache-2.0"


def test_the_card_counts_runs_and_records_of_each_device() -> None:
    entries = {"a": _entry(b"1"), "b": _entry(b"2"), "c": _entry(b"3", device="Other | <b>card</b>")}

    card = dataset_card.written("", "alice/results", entries)

    assert "| NVIDIA Test | 2 | 4 | 2026-01-01 | sdxl, tiny |" in card
    assert "6 records of 3 runs" in card
    assert "<b>" not in card
    assert "| device_name | string |" in card
    assert not [line for line in card.splitlines() if line.startswith("|") and line.endswith("|  |")]


def test_what_a_person_added_stays_and_the_rest_is_renewed() -> None:
    first = dataset_card.written("", "alice/results", {"a": _entry()}, "cc-by-4.0")
    edited = first.replace("license: cc-by-4.0", "license: cc-by-4.0\nlanguage: en") + "\n## Thanks\n\nTo Bob.\n"
    edited = edited.replace("2 records of 1 run", "a lie")

    again = dataset_card.written(edited, "alice/results", {"a": _entry(b"1"), "b": _entry(b"2")})

    assert again.count("bench begin") == 1
    assert "4 records of 2 runs" in again
    assert "a lie" not in again
    assert again.endswith("\n## Thanks\n\nTo Bob.\n")
    assert _metadata(again)["language"] == "en"
    assert _metadata(again)["license"] == "cc-by-4.0"
    assert dataset_card.written(again, "alice/results", {"a": _entry(b"1"), "b": _entry(b"2")}) == again


def test_a_card_without_the_marked_part_keeps_its_text() -> None:
    card = dataset_card.written("# Mine\n\nSome words.\n", "alice/results", {"a": _entry()})

    assert card.endswith("# Mine\n\nSome words.\n")
    assert "2 records" in card


def test_metadata_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(ResultsError):
        dataset_card.written("---\n[: {\n---\ntext", "alice/results", {"a": _entry()})


def test_an_entry_counts_only_for_the_content_that_it_was_made_of() -> None:
    path, content = "results/a/run.jsonl", b"abc"
    file = contents.written({path: _entry(content)})

    assert contents.read(file, {path: RemoteFile(path, 3, git_oid(content))}).keys() == {path}
    assert contents.read(file, {path: RemoteFile(path, 3, git_oid(b"abd"))}) == {}
    assert contents.read(file, {}) == {}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 2, "files": {}}', b'{"version": 1, "files": {"a": {"records": -1}}}']
)
def test_a_table_of_contents_that_is_not_this_programs_is_ignored(content: bytes) -> None:
    assert contents.read(content, {}) == {}
