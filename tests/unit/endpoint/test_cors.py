"""Web pages that use the endpoint from a browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from endpoints import Live, live

from bench.endpoint.cors import parse_origins
from bench.errors import ConfigError

PAGE = "https://page.example"
ASKS = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
ALLOW = "access-control-allow-origin"


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    with live(origins=(PAGE, "http://localhost:3000"), token="horse") as running:  # noqa: S106 - a made-up one
        yield running


@pytest.mark.parametrize("path", ["/tiny/decode", "/tiny/decode/", "/tiny", "/tiny/encode?dtype=float32"])
def test_a_preflight_is_answered_without_a_token(server: Live, path: str) -> None:
    said = httpx2.options(f"{server.url}{path}", headers=ASKS)
    assert (said.status_code, said.content) == (204, b"")
    assert said.headers[ALLOW] == PAGE
    assert said.headers["access-control-allow-methods"] == "POST"
    assert {"authorization", "content-type"} <= set(said.headers["access-control-allow-headers"].lower().split(", "))
    assert "Origin" in said.headers["vary"]


def test_a_response_and_an_error_can_be_read_by_the_page(server: Live) -> None:
    headers = {"origin": PAGE, "authorization": "Bearer horse"}
    good = httpx2.post(f"{server.url}/tiny/decode", content=b"x", headers=headers)
    refused = httpx2.post(f"{server.url}/tiny/decode", content=b"x", headers={"origin": PAGE})
    lost = httpx2.post(f"{server.url}/nowhere", headers=headers)
    assert [said.status_code for said in (good, refused, lost)] == [200, 401, 404]
    for said in (good, refused, lost):
        assert said.headers[ALLOW] == PAGE
        exposed = said.headers["access-control-expose-headers"].lower().split(", ")
        assert {"shape", "dtype", "server-timing", "x-weights", "retry-after"} <= set(exposed)


@pytest.mark.parametrize("origin", ["https://other.example", "null", "", PAGE + ".evil.example", "http://page.example"])
def test_other_origins_are_told_nothing(server: Live, origin: str) -> None:
    said = httpx2.options(f"{server.url}/tiny/decode", headers={**ASKS, "origin": origin})
    assert (said.status_code, said.json()["reason"]) == (403, "origin")
    assert ALLOW not in said.headers
    said = httpx2.get(f"{server.url}/ready", headers={"origin": origin})
    assert (said.status_code, ALLOW in said.headers) == (200, False)


def test_options_that_is_no_preflight_is_refused(server: Live) -> None:
    said = httpx2.options(f"{server.url}/tiny/decode")
    assert (said.status_code, said.headers["allow"]) == (405, "POST")


def test_every_page_may_where_a_star_says_so() -> None:
    with live(origins=("*",)) as running:
        said = httpx2.options(f"{running.url}/health", headers={**ASKS, "origin": "null"})
        assert (said.status_code, said.headers[ALLOW]) == (204, "*")
        assert said.headers["access-control-allow-methods"] == "GET, HEAD"
        assert httpx2.get(f"{running.url}/health").headers[ALLOW] == "*"


def test_without_origins_options_is_refused_and_nothing_is_said() -> None:
    with live() as running:
        said = httpx2.options(f"{running.url}/tiny/decode", headers=ASKS)
        assert (said.status_code, said.headers["allow"], said.json()["reason"]) == (405, "POST", "method")
        told = httpx2.post(f"{running.url}/tiny/decode", content=b"x", headers={"origin": PAGE})
        assert not [name for name in (*said.headers, *told.headers) if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], ()),
        (["HTTPS://Page.Example/", "https://page.example"], ("https://page.example",)),
        (["http://localhost:3000", "http://[::1]:80", "null"], ("http://localhost:3000", "http://[::1]:80", "null")),
        (["https://page.example", "*"], ("*",)),
    ],
)
def test_origins_are_read_as_browsers_spell_them(given: list[str], meant: tuple[str, ...]) -> None:
    assert parse_origins(given) == meant


@pytest.mark.parametrize(
    "given", ["page.example", "https://", "ftp://x", "https://x/path", "https://a b", "", "x\r\ny"]
)
def test_what_is_no_origin_is_an_error(given: str) -> None:
    with pytest.raises(ConfigError, match="--cors"):
        parse_origins([given])
