"""Names of files in a dataset repository: which ones are taken, and which file belongs to which."""

from __future__ import annotations

import subprocess

import pytest

from bench.sharing.hub import layout
from bench.sharing.hub.layout import RemoteFile


def test_the_table_of_a_run_is_in_the_partition_of_its_device() -> None:
    path = layout.run_path("nvidia-h100", "20260101T120000Z-docs")

    assert layout.run_device(path) == "nvidia-h100"
    assert layout.table_path(path) == "parquet/device=nvidia-h100/20260101T120000Z-docs.parquet"


@pytest.mark.parametrize(
    "path",
    [
        "results/../../etc/passwd.jsonl",
        "results/../secret.jsonl",
        "/results/a/run.jsonl",
        "results/a/b/run.jsonl",
        "results/a/.hidden.jsonl",
        "results/a/..jsonl",
        "results/A B/run.jsonl",
        "results/a/run.jsonl\n",
        "results/a/run\x1b[2J.jsonl",
        "results/a/run.jsonl.exe",
        "results\\a\\run.jsonl",
        "results/é/run.jsonl",
        f"results/a/{'x' * 300}.jsonl",
        "results/a/ceilings.jsonl/../x.jsonl",
        "Results/a/run.jsonl",
    ],
)
def test_other_names_are_not_those_of_runs(path: str) -> None:
    assert layout.run_device(path) is None
    assert layout.facts_device(path) is None


@pytest.mark.parametrize("name", ["ceilings.json", "workspaces.json", "quality-20260101T120000000000Z.json"])
def test_files_with_facts_of_a_device_are_known(name: str) -> None:
    assert layout.facts_device(f"results/cpu-x/{name}") == "cpu-x"


@pytest.mark.parametrize("name", ["provenance.json", "ceilings.json.txt", "quality-../x.json", "quality-.json"])
def test_other_files_of_a_device_are_not_taken(name: str) -> None:
    assert layout.facts_device(f"results/cpu-x/{name}") is None


def test_a_content_is_known_by_gits_own_name_for_it() -> None:
    git = subprocess.run(["git", "hash-object", "--stdin"], input=b"a\nb\n", capture_output=True, check=True)
    file = RemoteFile("results/a/run.jsonl", 4, git.stdout.decode().strip())

    assert file.holds(b"a\nb\n")
    assert not file.holds(b"a\nc\n")
    assert not file.holds(b"a\nb\n\n")


def test_a_large_file_is_known_by_its_sha256_alone() -> None:
    file = RemoteFile("x.parquet", 3, "oid of the pointer", layout.sha256(b"abc"))

    assert file.holds(b"abc")
    assert not file.holds(b"abd")
