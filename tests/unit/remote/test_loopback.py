"""Starting an endpoint on this machine: what happens while it starts, and that none is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import PackageError
from bench.remote import loopback


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the endpoint's process, in order; it answers with its address when asked."""
    order: list[str] = []

    class Process:
        alive, pid = False, 1

        def __init__(self, *_: Any, **__: Any) -> None:
            order.append("started")

        def line(self, _: float) -> str:
            order.append("asked for its address")
            return '{"url": "http://127.0.0.1:1"}'

        def kill(self, _: float) -> None:
            order.append("killed")

    monkeypatch.setattr(loopback, "Child", Process)
    monkeypatch.setattr(loopback.proxies, "spare", lambda _: None)
    return order


def test_other_work_is_done_while_the_endpoint_starts(events: list[str]) -> None:
    with loopback.serving(["tiny"], meanwhile=lambda: events.append("worked")) as server:
        assert server.address.shown == "http://127.0.0.1:1"
    assert events == ["started", "worked", "asked for its address", "killed"]


def test_no_endpoint_is_left_behind_if_that_work_fails(events: list[str]) -> None:
    def fail() -> None:
        raise PackageError("torch is broken")

    with pytest.raises(PackageError), loopback.serving(["tiny"], meanwhile=fail):
        pass
    assert events == ["started", "killed"]
