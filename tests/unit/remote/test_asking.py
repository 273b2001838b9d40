"""What is understood of `/health`, and what is said while an endpoint is not ready."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.remote import endpoint
from bench.remote.leash import Leash
from bench.wire.address import Endpoints, Redactor, parse

pytest.importorskip("httpx2")


@contextmanager
def healthy(*answers: object) -> Iterator[str]:
    """A server whose `/health` gives one answer after another."""
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(left.pop(0)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(5)


def ask(*answers: object) -> tuple[endpoint.Told, list[str]]:
    messages: list[str] = []
    with healthy(*answers) as url:
        address = parse(url)
        leash = Leash()
        info = endpoint.ask(
            address, None, Redactor(Endpoints(address), None), leash, messages.append, sleep=lambda _: None
        )
        leash.close()
    return info, messages


def health(dtype: str = "float16", **fields: object) -> dict[str, object]:
    return {"models": {"tiny": {"weights": "hub", "dtype": dtype, "routes": {"decode": "/tiny/decode"}}}, **fields}


def test_unknown_fields_of_a_device_are_ignored() -> None:
    info, _ = ask(health(device={"kind": "cpu", "name": "CPU", "total_bytes": 5, "mood": "good"}))
    assert info.facts.server_device is not None
    assert info.facts.server_device.name == "CPU"
    assert info.models is not None
    assert info.models["tiny"].dtype == "float16"


@pytest.mark.parametrize("dtype", ["float7", "model", ""])
def test_an_unknown_precision_means_another_kind_of_endpoint(dtype: str) -> None:
    info, _ = ask(health(dtype))
    assert info.models is None
    assert "bench serve" in str(info.problem)


def test_a_stand_in_device_is_reported_and_its_absence_means_a_real_device() -> None:
    info, _ = ask(health(stand_in="a test"))
    assert info.facts.stand_in == "a test"
    older, _ = ask(health())
    assert older.facts.stand_in is None


def test_waiting_for_an_endpoint_is_announced_once() -> None:
    info, messages = ask(health(ready=False), health(ready=False), health(ready=True))
    assert info.models is not None
    assert len(messages) == 1
    assert "120 s" in messages[0]


def test_an_endpoint_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_ANSWER_S", 0.05)
    release = threading.Event()
    monkeypatch.setattr(endpoint, "_ask_once", lambda *_: release.wait(20))
    info, _ = ask()
    release.set()
    assert "/health" in str(info.problem)


def test_the_start_that_an_endpoint_measured_is_kept_and_one_of_another_form_is_not() -> None:
    told, _ = ask(health(start={"seconds": 12.5, "since": "request"}))
    assert told.facts.start is not None
    assert (told.facts.start.seconds, told.facts.start.since) == (12.5, "request")
    for other in (None, {"seconds": 0, "since": "process"}, {"minutes": 2}, "soon"):
        assert ask(health(start=other))[0].facts.start is None
