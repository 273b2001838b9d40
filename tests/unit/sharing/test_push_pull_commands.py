"""`bench push` and `bench pull`: what they print, and their errors: each says what happened and what to do."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import a_run, measured, published, write_lines
from standins import hub

pytest.importorskip("huggingface_hub")
pytest.importorskip("pyarrow")

from bench import packages
from bench.cli import main
from bench.store import disk

NAME = "alice/results"
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the library's own upload


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub.Hub]:
    """A hub, to which this process is logged in as alice; the working directory has a results folder."""
    write_lines(tmp_path / "results" / "nvidia-test" / "run-1.jsonl", [measured(run=a_run(id="run-1"))])
    monkeypatch.chdir(tmp_path)
    with hub.serving() as server:
        hub.log_in(server, monkeypatch, tmp_path, "alice")
        yield server


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    """The error that was printed: one, of at most two sentences."""
    (text,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert text.rstrip(".").replace("e.g. ", "").count(". ") <= 1
    return text


def test_a_dry_run_lists_what_would_be_sent_and_sends_nothing(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.log_in(server, monkeypatch, tmp_path, None)

    assert main(["push", NAME, "--dry-run"]) == 0

    text = capsys.readouterr().out
    for path in ("README.md", "results/nvidia-test/run-1.jsonl", "parquet/device=nvidia-test/run-1.parquet"):
        assert path in text
    assert "records of NVIDIA Test" in text
    assert "would be created" in text
    assert not any(request.startswith(("POST", "PUT")) for request in server.requests)


def test_a_push_and_a_pull_say_what_they_did(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", NAME]) == 0
    assert f"{server.url}/datasets/{NAME}/commit/" in capsys.readouterr().out
    assert main(["push", NAME]) == 0
    assert "Nothing to send" in capsys.readouterr().out

    assert main(["pull", NAME, "-o", "there"]) == 0
    assert "bench report there" in capsys.readouterr().out
    assert main(["report", "there", "-o", "pages", "--quiet"]) == 0


def test_both_print_json(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", NAME, "--json"]) == 0
    pushed = json.loads(capsys.readouterr().out)
    assert pushed["added_records"] == 1
    assert pushed["devices"] == {"NVIDIA Test": 1}
    assert pushed["commit"].startswith(server.url)

    assert main(["pull", NAME, "-o", "there", "--json"]) == 0
    pulled = json.loads(capsys.readouterr().out)
    assert pulled["written"] == ["there/nvidia-test/run-1.jsonl"]
    assert (pulled["added_records"], pulled["conflicts"]) == (1, [])


@pytest.mark.usefixtures("server")
def test_quiet_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["push", NAME, "--quiet"]) == 0
    assert main(["pull", NAME, "-o", "there", "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_a_private_repository_and_a_licence_are_made_as_asked(server: hub.Hub) -> None:
    assert main(["push", NAME, "--private", "--license", "cc-by-4.0"]) == 0
    assert server.dataset(NAME).private
    assert b"license: cc-by-4.0" in server.dataset(NAME).files["README.md"]


def test_private_is_refused_for_a_public_repository(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.create(NAME)

    assert main(["push", NAME, "--private"]) == 2
    assert "public" in _error(capsys)
    assert len(server.dataset(NAME).commits) == 1


def test_a_gated_dataset_says_where_to_ask(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.refuse("GET /api/datasets", 403, X_Error_Code="GatedRepo")

    assert main(["pull", NAME]) == 2
    assert f"{server.url}/datasets/{NAME}" in _error(capsys)


@pytest.mark.parametrize(
    "name", ["results", "a/b/c", "hf://datasets/a/b", "-a/b", "a--b/c", "a/b.git", "", "a/", "ä/b"]
)
@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_wrong_name_is_refused_before_anything_is_asked(
    server: hub.Hub, command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--", name]) == 2
    assert "OWNER/NAME" in _error(capsys)
    assert server.requests == []


def test_a_push_without_a_token_says_how_to_log_in(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.log_in(server, monkeypatch, tmp_path, None)

    assert main(["push", NAME]) == 2
    assert "hf auth login" in _error(capsys)


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_token_that_is_not_accepted_is_not_repeated(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.create(NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")

    assert main([command, NAME]) == 2
    text = _error(capsys)
    assert "hf auth login" in text
    assert "hf_wrong" not in text


def test_a_token_without_write_access_is_refused(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", server.token("alice", may_write=False))
    server.create(NAME)

    assert main(["push", NAME]) == 2
    assert "403" in _error(capsys)
    assert len(server.dataset(NAME).commits) == 1


def test_a_name_of_somebody_else_is_refused(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "bob/results"]) == 2
    assert "403" in _error(capsys)


@pytest.mark.parametrize("user", ["alice", None])
def test_a_dataset_that_is_not_there_or_private_can_t_be_pulled(
    server: hub.Hub,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    user: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub.log_in(server, monkeypatch, tmp_path, user)
    server.create("bob/secret", private=True)

    for name in ("bob/none", "bob/secret"):
        assert main(["pull", name]) == 2
        assert name in _error(capsys)


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_model_is_no_dataset(server: hub.Hub, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    server.create(NAME, "models")

    assert main([command, NAME]) == 2
    assert "model" in _error(capsys)


def test_a_revision_that_is_not_there_is_named(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.create(NAME)

    assert main(["pull", NAME, "--revision", "v9"]) == 2
    assert "v9" in _error(capsys)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"Retry_After": "77"}, "77 seconds"), ({"RateLimit": '"api";r=0;t=55'}, "55 seconds"), ({}, "some minutes")],
)
def test_a_rate_limit_says_when_to_come_again(
    server: hub.Hub, headers: dict[str, str], wait: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuse("GET /api/datasets", 429, **headers)

    assert main(["pull", NAME]) == 1
    assert wait in _error(capsys)


def test_a_fault_of_the_hub_changes_nothing(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.create(NAME)
    server.refuse("POST .*/commit/", 500)

    assert main(["push", NAME]) == 1
    assert "500" in _error(capsys)
    assert len(server.dataset(NAME).commits) == 1
    assert main(["push", NAME]) == 0


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_hub_that_can_t_be_reached_is_named(
    monkeypatch: pytest.MonkeyPatch, server: hub.Hub, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert main([command, NAME]) == 1
    assert "http://127.0.0.1:9" in _error(capsys)


@pytest.mark.parametrize("endpoint", ["http://[", "hub.example", "ftp://hub.example", "http://a b"])
@pytest.mark.parametrize("command", ["push", "pull"])
def test_an_address_of_the_hub_that_is_none_is_refused(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, command: str, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)

    assert main([command, NAME]) == 2
    assert "HF_ENDPOINT" in _error(capsys)


def test_no_hub_is_asked_offline(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert main(["pull", NAME]) == 1
    assert "HF_HUB_OFFLINE" in _error(capsys)
    assert server.requests == []


def test_a_full_disk_leaves_what_was_there(
    server: hub.Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", NAME]) == 0
    capsys.readouterr()

    def refuse(fd: int, data: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "_write_all", refuse)
    assert main(["pull", NAME, "-o", "there"]) == 2
    assert "No space left" in capsys.readouterr().err
    assert not list(Path("there").rglob("*.jsonl"))


def test_the_extra_is_named_if_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, server: hub.Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packages, "_is_installed", lambda name, *, in_child: name != "huggingface_hub")

    for command in ("push", "pull"):
        assert main([command, NAME]) == 2
        assert "hybrid-bench[share]" in _error(capsys)


def test_conflicts_of_a_pull_end_with_1(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", NAME]) == 0
    write_lines(Path("mine/nvidia-test/run-1.jsonl"), [measured(9.0, run=a_run(id="run-1"))])

    assert main(["pull", NAME, "-o", "mine"]) == 1
    assert "run-1" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_refused_with_those_that_are(
    server: hub.Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", NAME]) == 0
    capsys.readouterr()

    assert main(["pull", NAME, "-o", "there", "--device", "RTX 9999"]) == 2
    assert "nvidia-test" in _error(capsys)


def test_metadata_that_the_hub_refuses_is_reported_in_its_words(
    server: hub.Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuse("POST /api/validate-yaml", 400, {"errors": [{"message": "license must be known"}]})

    assert main(["push", NAME, "--license", "mine"]) == 2
    assert "license must be known" in _error(capsys)


def test_an_empty_repository_has_no_results(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.create(NAME)

    assert main(["pull", NAME, "-o", "there"]) == 0
    assert "no results" in capsys.readouterr().out


def test_nothing_to_push_is_an_error(server: hub.Hub, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(Path("other/x.jsonl"), [published()])

    assert main(["push", NAME, "other"]) == 2
    assert "measured" in _error(capsys)
    assert main(["push", NAME, "nowhere"]) == 2
