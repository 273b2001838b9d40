"""What results may say of persons and private machines is noticed before it becomes public."""

from __future__ import annotations

import json

import pytest
from endpoint_records import an_endpoint_record, facts, remote
from factories import a_case, measured

from bench.record import Failed, Record
from bench.sharing import leaks


def _leaks(record: Record, *names: str) -> list[tuple[str, str]]:
    return [(leak.kind, leak.text) for leak in leaks.of_records([(record, "x.jsonl")], names)]


def test_a_plain_measurement_says_nothing_of_anybody() -> None:
    assert _leaks(measured(warnings=("256/64 tiles, and 3/4 of it at 50 °C",)), "alice", "darkstar") == []


@pytest.mark.parametrize(
    ("text", "leak"),
    [
        ("no such file: /home/alice/models/vae/config.json", "/home/alice/models/vae/config.json"),
        ("/Users/alice/vae", "/Users/alice/vae"),
        ("in ~/models/vae", "~/models/vae"),
        (r"C:\Users\alice\vae", r"C:\Users\alice\vae"),
        ("/mnt/project-x/vae", "/mnt/project-x/vae"),
        ("ask alice@example.com", "alice@example.com"),
        ("on Darkstar: out of memory", "Darkstar"),
        ("user alice", "alice"),
    ],
)
def test_paths_and_names_are_noticed(text: str, leak: str) -> None:
    assert ("name", leak) in _leaks(measured(outcome=Failed(exception="OSError", message=text)), "alice", "darkstar")


@pytest.mark.parametrize("text", ["/usr/lib/libcuda.so.1", "/proc/self/status", "malice", "encode/decode/64"])
def test_what_every_machine_has_is_not(text: str) -> None:
    assert _leaks(measured(warnings=(text,)), "alice") == []


def test_the_folder_of_a_checkpoint_is_noticed() -> None:
    record = measured(case=a_case(weights="/data/alice/secret-vae"))

    assert ("name", "/data/alice/secret-vae") in _leaks(record)


@pytest.mark.parametrize("token", ["hf_" + "a" * 34, "ghp_" + "b" * 36])
def test_a_secret_is_noticed_and_not_repeated(token: str) -> None:
    (leak,) = leaks.of_records([(measured(warnings=(f"401 for {token}",)), "x.jsonl")], ())

    assert leak.kind == "token"
    assert token not in str(leak)


def _of_endpoint(url: str) -> Record:
    return an_endpoint_record(remote=remote(endpoint=facts(url=url)))


def test_an_endpoint_elsewhere_is_noticed_and_one_on_this_machine_is_not() -> None:
    assert {kind for kind, _ in _leaks(_of_endpoint("https://vae.internal.example/decode"))} == {"endpoint"}
    assert _leaks(_of_endpoint("http://127.0.0.1:8000/decode")) == []


def test_an_address_in_a_text_is_noticed() -> None:
    assert _leaks(measured(warnings=("from http://10.0.0.7:8000/x",))) == [("endpoint", "http://10.0.0.7:8000/x")]


def test_names_that_distinguish_nobody_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "node", lambda: "localhost")
    monkeypatch.setattr(leaks, "getuser", lambda: "root")
    monkeypatch.setattr(leaks.Path, "home", lambda: leaks.Path("/root"))
    assert leaks.names_here() == frozenset()

    monkeypatch.setattr(leaks, "node", lambda: "darkstar.example.com")
    assert leaks.names_here() == {"darkstar", "darkstar.example.com"}


def test_other_json_files_are_looked_through_too() -> None:
    content = json.dumps({"device": {"name": "X"}, "notes": ["from /home/alice/x"]}).encode()

    assert [leak.text for leak in leaks.of_json(content, "ceilings.json", ())] == ["/home/alice/x"]
