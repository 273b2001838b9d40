"""Where endpoints are, and what must never be told of them."""

from __future__ import annotations

import pytest
from factories import refusal

from bench.errors import ConfigError
from bench.wire.address import Endpoints, Redactor, Token, check_secrecy, parse, parse_endpoints, parse_token

FULL = "http://me:pa55%40word@host.example:8000/deep/?key=abcdef#part"


def test_an_address_is_shown_without_user_password_query_and_fragment() -> None:
    address = parse(FULL)
    assert address.shown == "http://host.example:8000/deep/"
    assert "pa55" not in repr(address)
    assert address.place == "host.example:8000"


def test_a_path_goes_before_the_query() -> None:
    below = parse(FULL).below("sd-v1/encode")
    assert below.url == "http://me:pa55%40word@host.example:8000/deep/sd-v1/encode?key=abcdef"
    assert below.shown == "http://host.example:8000/deep/sd-v1/encode"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://[::1]:8000", True),
        ("http://127.0.0.1.example", False),
        ("https://10.0.0.1", False),
    ],
)
def test_this_very_machine_is_known(url: str, loopback: bool) -> None:
    assert parse(url).is_loopback == loopback


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host:8000",
        "ftp://host",
        "http://",
        "http://u:pa/55@host",
        "http://u:pa55@[::1",
        "http://h:99999",
        "http://a b",
    ],
)
def test_an_invalid_url_is_refused_without_being_repeated(text: str) -> None:
    message = refusal(ConfigError, parse, text)
    assert "55" not in message
    assert "URL" in message


def test_endpoints_are_one_of_this_kind_or_one_an_operation() -> None:
    assert parse_endpoints(["http://h:1/x"]).of("sdxl", "decode") == parse("http://h:1/x/sdxl/decode")
    two = parse_endpoints(["sd-v1/encode=https://a.example/?x=1", "sd-v1/decode=https://b.example"])
    assert two.of("sd-v1", "encode") == parse("https://a.example/?x=1")
    assert two.of("sdxl", "encode") is None
    assert two.name == "a.example and 1 more"
    assert parse_endpoints(["kolors/decode=https://a.example"]).of("sdxl", "decode") == parse("https://a.example")


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["sd-v9/encode=http://h"], "Did you mean 'sd-v1'"),
        (["sd-v1/encod=http://h"], "Did you mean 'encode'"),
        (["sd-v1/encode=http://h", "sd-v1/encode=http://i"], "--endpoint sd-v1/encode"),
        (["http://h", "http://i"], "--endpoint"),
        (["http://h", "sd-v1/encode=http://i"], "--endpoint"),
        (["sd-v1/encode="], "--endpoint sd-v1/encode"),
    ],
)
def test_invalid_endpoints_are_refused(texts: list[str], words: str) -> None:
    assert words in refusal(ConfigError, parse_endpoints, texts)


def test_texts_are_redacted_and_put_on_one_line() -> None:
    tell = Redactor(Endpoints(base=parse(FULL)), Token("tok3n"))
    message = tell("401 for tok3n at me:pa55%40word@host?key=abcdef, pa55@word\n\x1b[31mend" + "x" * 1000)
    for secret in ("tok3n", "pa55", "abcdef", "\n", "\x1b"):
        assert secret not in message
    assert len(message) <= 300


def test_a_token_does_not_show_itself() -> None:
    assert "abc" not in f"{Token('abc')} {Token('abc')!r}"


@pytest.mark.parametrize("value", ["two words", "new\nline", "caf\u00e9"])
def test_a_token_that_no_header_carries_is_refused_without_being_repeated(value: str) -> None:
    assert value not in refusal(ConfigError, parse_token, value, "MY_TOKEN")


def test_a_token_does_not_travel_unencrypted() -> None:
    token, far = Token("abc"), parse_endpoints(["http://host.example"])
    message = refusal(ConfigError, lambda: check_secrecy(far, token, "MY_TOKEN", insecure=False))
    assert "--insecure-token" in message
    assert "abc" not in message

    # but may be sent over https, to this machine, or where that is wanted
    check_secrecy(far, token, "MY_TOKEN", insecure=True)
    check_secrecy(far, None, "MY_TOKEN", insecure=False)
    check_secrecy(parse_endpoints(["https://host.example"]), token, "MY_TOKEN", insecure=False)
    check_secrecy(parse_endpoints(["http://127.0.0.1:9"]), token, "MY_TOKEN", insecure=False)


def test_a_token_and_a_user_in_the_url_are_refused_together() -> None:
    both = parse_endpoints(["https://u:p@host.example"])
    assert "unset MY_TOKEN" in refusal(
        ConfigError, lambda: check_secrecy(both, Token("abc"), "MY_TOKEN", insecure=False)
    )


@pytest.mark.parametrize(
    "echoed", ["key=a%20b%2Bc!d", "key=a+b%2Bc%21d", "key=a%20b%2Bc%21d", "key=a b+c!d", "a%20b+c!d"]
)
def test_a_query_is_redacted_in_every_library_s_spelling(echoed: str) -> None:
    tell = Redactor(Endpoints(base=parse("http://h/?key=a%20b%2Bc!d")), None)
    assert "b" not in tell(f"no: {echoed}").removeprefix("no: ")
