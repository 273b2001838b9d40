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
    response = httpx2.options(f"{server.url}{path}", headers=ASKS)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers[ALLOW] == PAGE
    assert response.headers["access-control-allow-methods"] == "POST"
    assert {"authorization", "content-type"} <= set(
        response.headers["access-control-allow-headers"].lower().split(", ")
    )
    assert "Origin" in response.headers["vary"]


def test_a_response_and_an_error_can_be_read_by_the_page(server: Live) -> None:
    headers = {"origin": PAGE, "authorization": "Bearer horse"}
    good = httpx2.post(f"{server.url}/tiny/decode", content=b"x", headers=headers)
    refused = httpx2.post(f"{server.url}/tiny/decode", content=b"x", headers={"origin": PAGE})
    lost = httpx2.post(f"{server.url}/nowhere", headers=headers)
    assert [response.status_code for response in (good, refused, lost)] == [200, 401, 404]
    for response in (good, refused, lost):
        assert response.headers[ALLOW] == PAGE
        exposed = response.headers["access-control-expose-headers"].lower().split(", ")
        assert {"shape", "dtype", "server-timing", "x-weights", "retry-after"} <= set(exposed)


@pytest.mark.parametrize("origin", ["https://other.example", "null", "", PAGE + ".evil.example", "http://page.example"])
def test_other_origins_get_no_cors_headers(server: Live, origin: str) -> None:
    response = httpx2.options(f"{server.url}/tiny/decode", headers={**ASKS, "origin": origin})
    assert (response.status_code, response.json()["reason"]) == (403, "origin")
    assert ALLOW not in response.headers
    response = httpx2.get(f"{server.url}/ready", headers={"origin": origin})
    assert (response.status_code, ALLOW in response.headers) == (200, False)


def test_options_that_is_no_preflight_is_refused(server: Live) -> None:
    response = httpx2.options(f"{server.url}/tiny/decode")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_a_star_allows_every_page() -> None:
    with live(origins=("*",)) as running:
        response = httpx2.options(f"{running.url}/health", headers={**ASKS, "origin": "null"})
        assert (response.status_code, response.headers[ALLOW]) == (204, "*")
        assert response.headers["access-control-allow-methods"] == "GET, HEAD"
        assert httpx2.get(f"{running.url}/health").headers[ALLOW] == "*"


def test_without_origins_options_is_refused_and_nothing_is_said() -> None:
    with live() as running:
        response = httpx2.options(f"{running.url}/tiny/decode", headers=ASKS)
        assert (response.status_code, response.headers["allow"], response.json()["reason"]) == (405, "POST", "method")
        response = httpx2.post(f"{running.url}/tiny/decode", content=b"x", headers={"origin": PAGE})
        assert not [name for name in (*response.headers, *response.headers) if name.startswith("access-control")]


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
def test_an_invalid_origin_is_an_error(given: str) -> None:
    with pytest.raises(ConfigError, match="--cors"):
        parse_origins([given])
