"""No proxy stands between this machine and itself, and one elsewhere is told of."""

from __future__ import annotations

import os

import pytest

from bench.remote import proxies
from bench.wire.address import parse


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:pa55@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    monkeypatch.setenv("no_proxy", "inside.example")


def test_an_address_of_this_machine_is_spared_whichever_variable_a_client_reads() -> None:
    proxies.spare(parse("http://127.0.0.1:8000"))
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "inside.example,127.0.0.1"
    assert proxies.of(parse("http://127.0.0.1:8000")) is None


def test_an_address_elsewhere_changes_nothing() -> None:
    proxies.spare(parse("http://host.example"))
    assert os.environ["NO_PROXY"] == "inside.example"


def test_a_proxy_is_named_without_its_password() -> None:
    assert proxies.of(parse("http://host.example")) == "http://proxy.example:3128"
    assert proxies.of(parse("http://inside.example")) is None
