"""What results may say of persons and private machines is noticed before it becomes public."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from endpoint_records import an_endpoint_record, facts, remote
from factories import a_case, measured

from bench import store
from bench.record import Failed, Record
from bench.sharing.hub.private_texts import Search, names_here
from bench.sharing.privacy import OwnName

ROOT = Path(__file__).parents[3]
NAMES = (OwnName("alice", "<user>"), OwnName("darkstar", "<host>"))


def _leaks(record: Record) -> list[tuple[str, str]]:
    return [(leak.kind, leak.text) for leak in Search(NAMES).of_record(record, "x.jsonl")]


def test_measurements_of_this_project_say_nothing_of_anybody() -> None:
    records, _ = store.read_all([ROOT / "results"])

    assert [leak for record in records for leak in Search(NAMES).of_record(record, "x.jsonl")] == []


@pytest.mark.parametrize(
    "text",
    [
        "no such file: /home/alice/models/vae/config.json",
        "/Users/bob/vae",
        r"C:\Users\bob\vae",
        "in /mnt/project-x/vae",
        "ask bob@example.com",
        "on Darkstar: out of memory",
        "user alice",
    ],
)
def test_paths_and_names_are_noticed(text: str) -> None:
    assert _leaks(measured(outcome=Failed(exception="OSError", message=text))) == [("name", text)]


@pytest.mark.parametrize(
    "text", ["/usr/lib/libcuda.so.1", "/proc/self/status", "encode/decode/64", "3/4 at 50 °C", "driver 570.86.10"]
)
def test_what_every_machine_has_is_not(text: str) -> None:
    assert _leaks(measured(warnings=(text,))) == []


def test_the_folder_of_a_checkpoint_is_noticed() -> None:
    record = measured(case=a_case(weights="/data/project/secret-vae"))

    assert _leaks(record) == [("name", "/data/project/secret-vae")]


@pytest.mark.parametrize("token", ["hf_" + "a" * 34, "ghp_" + "b" * 36])
def test_a_secret_is_noticed_and_not_repeated(token: str) -> None:
    (leak,) = Search(()).of_record(measured(warnings=(f"401 for {token}",)), "x.jsonl")

    assert leak.kind == "token"
    assert token not in str(leak)


def _of_endpoint(url: str) -> Record:
    return an_endpoint_record(remote=remote(endpoint=facts(url=url)))


def test_an_endpoint_elsewhere_is_noticed_and_one_on_this_machine_is_not() -> None:
    assert {kind for kind, _ in _leaks(_of_endpoint("https://vae.internal.example/decode"))} == {"endpoint"}
    assert _leaks(_of_endpoint("http://127.0.0.1:8000/decode")) == []


def test_an_address_in_a_text_is_noticed() -> None:
    assert _leaks(measured(warnings=("from http://10.0.0.7:8000/x",))) == [("endpoint", "from http://10.0.0.7:8000/x")]


def test_the_names_of_this_machine_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "zaphod-b")
    text = "asked by zaphod-b"

    (leak,) = Search(names_here([measured()])).of_record(measured(warnings=(text,)), "x.jsonl")

    assert (leak.kind, leak.text) == ("name", text)


def test_other_json_files_are_looked_through_too() -> None:
    content = json.dumps({"device": {"name": "X"}, "notes": ["from /home/alice/x"]}).encode()

    assert [leak.text for leak in Search(NAMES).of_json(content, "ceilings.json")] == ["from /home/alice/x"]
