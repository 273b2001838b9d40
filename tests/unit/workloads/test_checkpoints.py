"""Where a checkpoint's config.json is found, and every way in which it can't be read."""

from __future__ import annotations

import builtins
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ConfigError
from bench.workloads import checkpoints

CONFIG = {"_class_name": "AutoencoderKL", "latent_channels": 4}
TEXT = json.dumps(CONFIG)


def refused(source: str) -> str:
    """The message of the error that a checkpoint ends in."""
    with pytest.raises(ConfigError) as caught:
        checkpoints.read(source)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in message
    assert len(message) < 700
    return message


def write(path: Path, text: str = TEXT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_s_config_is_read_without_weights(tmp_path: Path) -> None:
    file = write(tmp_path / "my-vae" / "config.json")
    found = checkpoints.read(str(file.parent))
    assert found == checkpoints.Checkpoint(str(file.parent), "my-vae", str(file), CONFIG)


def test_a_pipeline_s_vae_is_taken(tmp_path: Path) -> None:
    # Given a pipeline, even one with a config.json of its own
    write(tmp_path / "pipeline" / "model_index.json", "{}")
    write(tmp_path / "pipeline" / "config.json", "{}")
    file = write(tmp_path / "pipeline" / "vae" / "config.json")
    # Then its VAE is read, under the pipeline's name, as it is when its folder is given
    for folder in (tmp_path / "pipeline", file.parent):
        found = checkpoints.read(str(folder))
        assert (found.name, found.file, found.config) == ("pipeline", str(file), CONFIG)


def test_a_folder_with_a_vae_in_it_needs_no_model_index(tmp_path: Path) -> None:
    file = write(tmp_path / "vae" / "config.json")
    assert checkpoints.read(str(tmp_path)).file == str(file)


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "checkpoint" / "config.json")
    assert checkpoints.read("~/checkpoint").config == CONFIG


@pytest.mark.parametrize("source", ["", "random", "hub", "/no/such/folder", "a" * 5000, "~nobody-here/x", "\0"])
def test_no_folder_is_refused_with_what_to_give(source: str) -> None:
    assert "hub:OWNER/NAME" in refused(source)


def test_what_looks_like_a_repository_is_recognised() -> None:
    assert "hub:stabilityai/sdxl-vae" in refused("stabilityai/sdxl-vae")


def test_a_file_is_refused(tmp_path: Path) -> None:
    assert "file" in refused(str(write(tmp_path / "model.safetensors")))


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "model_index.json", "{}")
    (tmp_path / "config.json").mkdir()
    message = refused(str(tmp_path))
    assert "vae/config.json" in message


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert "neither" in refused(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1', "[1]", "null", '"text"', "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "\ud800", "{'a': 1}"],
    ids=["empty", "brace", "cut", "list", "null", "string", "deep", "huge number", "surrogate", "quotes"],
)
def test_what_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert str(file) in refused(str(tmp_path))


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a folder into which nobody may look, as root could all the same
    write(tmp_path / "config.json")
    stat = os.stat

    def forbidden(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if str(path).endswith(".json"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", forbidden)
    assert "neither" in refused(str(tmp_path))


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "config.json")

    def forbidden(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert "Permission denied" in refused(str(tmp_path))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.touch()
    os.truncate(file, 2**40)  # a hole: it takes no room
    assert "1 MiB" in refused(str(tmp_path))


def test_control_characters_of_a_path_are_escaped(tmp_path: Path) -> None:
    assert "\x1b" not in refused(str(tmp_path / "\x1b[31m"))


# The hub


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


class _Answers(BaseHTTPRequestHandler):
    """A hub that has one file, `folder/config.json` of `owner/name`, and fails by the repository's name."""

    asked: list[str]
    FAULTS = {  # noqa: RUF012 - a constant
        "gone": (404, "RepoNotFound"),
        "gated": (403, "GatedRepo"),
        "old": (404, "RevisionNotFound"),
        "broken": (500, ""),
    }

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(TEXT.encode())

    def _answer(self, body: bytes) -> None:
        type(self).asked.append(f"{self.command} {self.path}")
        _owner, name, *rest = self.path.strip("/").split("/")
        status, code = self.FAULTS.get(
            name, (200, "") if "/".join(rest).endswith("/vae/config.json") else (404, "EntryNotFound")
        )
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
        else:
            self.send_header("ETag", '"abc"')
            self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(TEXT) if status == 200 else 0))
        self.end_headers()
        if status == 200:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine; yields what it was asked."""
    constants = pytest.importorskip("huggingface_hub.constants")
    _Answers.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield _Answers.asked
    server.shutdown()
    thread.join()
    server.server_close()


def cached(hub_cache: Path, name: str, inside: str = "", revision: str = "main") -> None:
    """Put a config.json into the hub's cache."""
    repository = hub_cache / f"models--{name.replace('/', '--')}"
    write(repository / "snapshots" / ("1" * 40) / inside / "config.json")
    write(repository / "refs" / revision, "1" * 40)


@pytest.mark.parametrize(
    ("source", "inside", "revision"),
    [
        ("hub:owner/name", "", "main"),
        ("hub:owner/name", "vae", "main"),
        ("hub:owner/name/first/second", "first/second", "main"),
        ("hub:owner/name@v1.0", "", "v1.0"),
        ("hub:owner/name/vae@refs/pr/3", "vae", "refs/pr/3"),
        (f"hub:owner/name@{'1' * 40}", "", "main"),
    ],
)
def test_a_copy_in_the_hub_s_cache_needs_no_network(
    source: str, inside: str, revision: str, hub_cache: Path, hub: list[str]
) -> None:
    cached(hub_cache, "owner/name", inside, revision)
    found = checkpoints.read(source)
    assert (found.source, found.name, found.config) == (source, "name", CONFIG)
    assert hub == []


def test_a_pipeline_on_the_hub_is_asked_for_its_vae(hub: list[str]) -> None:
    found = checkpoints.read("hub:owner/name")
    assert found.config == CONFIG
    assert [line.partition("/resolve/")[2] for line in hub if line.startswith("HEAD")][:2] == [
        "main/config.json",
        "main/vae/config.json",
    ]
    # And the next time nothing is asked
    hub.clear()
    assert checkpoints.read("hub:owner/name") == found
    assert hub == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hub:owner/gone", "no such repository"),
        ("hub:owner/gated", "hf auth login"),
        ("hub:owner/old@v9", "revision"),
        ("hub:owner/broken", "network"),
        ("hub:owner/name/unet", "config.json"),
    ],
)
def test_what_the_hub_refuses_is_said(source: str, words: str, hub: list[str]) -> None:
    assert words in refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "hub:",
        "hub:/",
        "hub:a/b/../c",
        "hub:../x",
        "hub:a b/c",
        "hub:a/b@",
        "hub:@main",
        f"hub:{'a/' * 300}b",
        "hub:a--b/c..d",
    ],
)
def test_what_is_no_name_of_a_repository_is_refused(source: str, hub_cache: Path) -> None:
    assert "OWNER/NAME" in refused(source)


def test_without_a_network_it_is_said_at_once(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a hub at whose address nothing listens
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    )
    assert "network" in refused("hub:owner/name")


def test_without_the_hub_s_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "huggingface_hub":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "hybrid-bench[measure]" in refused("hub:owner/name")
