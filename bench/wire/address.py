"""Where endpoints are, and what must never be said: tokens, passwords, queries. Free of torch."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import SplitResult, quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

from bench.core.units import one_line
from bench.errors import ConfigError, nearest, printable, quoted
from bench.workloads import models

_ONE_OPERATION = re.compile(r"(?P<model>[^/=:?#]+)/(?P<operation>[^/=:?#]+)=(?P<url>.*)", re.DOTALL)
_HIDDEN = "***"
#: What requests never escapes.
_LEFT_ALONE = "!#$&'()*+,/:;=?@[]~"
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Address:
    """An http or https URL. `shown` is what may be printed and stored; `url` has whatever was given."""

    url: str = field(repr=False)
    shown: str
    host: str
    port: int
    tls: bool

    @property
    def place(self) -> str:
        """`host`, or `host:port` where the port is not the scheme's own."""
        return self.host if self.port == (443 if self.tls else 80) else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What its user, password and query might give away, as it was written and decoded."""
        parts = urlsplit(self.url)
        user, _, password = _user(parts).partition(":")
        known = {_user(parts), password, parts.query}
        known |= {value for item in parts.query.split("&") if len(value := item.partition("=")[2]) > 3}
        known = {spelling for text in known for spelling in _spellings(text)}
        known |= {base64.b64encode(unquote(_user(parts)).encode()).decode()} if user or password else set()
        return tuple(sorted(filter(None, known), key=len, reverse=True))

    def below(self, path: str) -> Address:
        """The same endpoint's address one path further, the query kept."""
        parts = urlsplit(self.url)
        return parse(urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}", fragment="")), "")


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; never part of a text."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return _HIDDEN


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Either one endpoint of this project's own kind (`base`), or addresses of single operations."""

    base: Address | None = None
    single: Mapping[tuple[str, str], Address] = field(default_factory=dict)

    def of(self, model: str, operation: str) -> Address | None:
        """Where one operation of one model is; None where no address was given for it."""
        if self.base is not None:
            return self.base.below(f"{model}/{operation}")
        return self.single.get((model, operation))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All of them."""
        return (self.base,) if self.base is not None else tuple(self.single.values())

    @property
    def name(self) -> str:
        """A name for the results folder: the first one's host, and how many more there are."""
        places = list(dict.fromkeys(address.place for address in self.addresses))
        return places[0] if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"


class Discretion:
    """Cuts out of a text what must not be printed or stored: the token, and what the addresses hide."""

    def __init__(self, endpoints: Endpoints, token: Token | None) -> None:
        secrets = {secret for address in endpoints.addresses for secret in address.secrets}
        secrets |= {token.value} if token else set()
        self._secrets = sorted(secrets, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text in one printable line of at most a few hundred characters, its secrets replaced by asterisks."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = one_line(" ".join(text.encode(errors="replace").decode().split()))
        return text if len(text) <= _LONGEST_WORDS else f"{text[: _LONGEST_WORDS - 3]}..."


def parse(text: str, option: str = "--endpoint: ") -> Address:
    """An address from text. Raises ConfigError, whose message holds nothing of a user, a password or a query."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:  # what it says may hold a part of a password
        host = port = None
    if not host or parts.scheme not in {"http", "https"}:
        _refuse(option, "this is no URL of an endpoint. Write http://host:8000 or https://host/path")
    tls = parts.scheme == "https"
    if not all("!" <= character <= "~" for character in text):
        _refuse(option, "the URL has a space or another character that URLs write as %XX")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc = f"{netloc}:{port}"
    return Address(
        url=urlunsplit(parts._replace(fragment="")),
        shown=urlunsplit(SplitResult(parts.scheme, netloc, parts.path, "", "")),
        host=host,
        port=port or (443 if tls else 80),
        tls=tls,
    )


def parse_endpoints(texts: Sequence[str]) -> Endpoints:
    """`http://host:8000` (of `bench serve`), or any number of `sd-v1/encode=URL`. Raises ConfigError."""
    bases: list[Address] = []
    single: dict[tuple[str, str], Address] = {}
    for text in texts:
        match = _ONE_OPERATION.fullmatch(text.strip())
        if match is None:
            bases.append(parse(text))
            continue
        model, operation = match["model"].strip(), match["operation"].strip()
        option = f"--endpoint {printable(f'{model}/{operation}', 80)}: "
        model = models.aliases().get(model, model)
        if model not in models.zoo():
            _refuse(option, f"unknown model {quoted(model)}. {nearest(model, models.zoo())}")
        operations = models.workload(model).operations
        if operation not in operations:
            _refuse(option, f"unknown operation {quoted(operation)}. {nearest(operation, operations)}")
        if (model, operation) in single:
            _refuse(option, "it was given twice")
        single[model, operation] = parse(match["url"], option)
    if len(bases) > 1 or (bases and single):
        raise ConfigError(
            "--endpoint: give one endpoint of `bench serve` (http://host:8000), or an address for each operation "
            "(sd-v1/encode=URL), not several of the first and not both. Measure them one after another."
        )
    return Endpoints(bases[0] if bases else None, single)


def parse_token(value: str, variable: str) -> Token:
    """A token from an environment variable's value. Raises ConfigError, which does not hold it."""
    if not all("!" <= character <= "~" for character in value):
        raise ConfigError(f"The token in {variable} has a space or another character that no token has. Set it again.")
    return Token(value)


def check_secrecy(endpoints: Endpoints, token: Token | None, variable: str, *, insecure: bool) -> None:
    """Raises ConfigError if the token would travel unencrypted, or beside another password."""
    for address in endpoints.addresses:
        if token and _user(urlsplit(address.url)):
            raise ConfigError(
                f"{address.shown}: the URL has a user, and {variable} holds a token; a request carries one of them. "
                f"Take the user out of the URL, or unset {variable}."
            )
        if token and not address.tls and not address.is_loopback and not insecure:
            raise ConfigError(
                f"{address.shown}: the token in {variable} would travel unencrypted for all between here and there to "
                f"read. Use https, or unset {variable}, or accept it with --insecure-token."
            )


def _spellings(text: str) -> Iterator[str]:
    """A text as it was written, decoded, and as libraries write it again: requests, urllib, httpx2."""
    yield text
    for plain in (unquote(text), unquote_plus(text)):
        yield from (plain, quote(plain), quote(plain, safe=""), quote_plus(plain), quote(plain, safe=_LEFT_ALONE))
    needless = re.sub("%[0-9A-Fa-f]{2}", lambda found: _if_unreserved(found.group()), text)
    yield quote(needless, safe=_LEFT_ALONE + "%")  # requests.utils.requote_uri


def _if_unreserved(escape: str) -> str:
    """`a` for `%61`, which means the same; anything else stays as it is."""
    plain = chr(int(escape[1:], 16))
    return plain if re.fullmatch("[A-Za-z0-9._~-]", plain) else escape


def _user(parts: SplitResult) -> str:
    """`user:password` as it stands in a URL, or nothing."""
    return parts.netloc.rpartition("@")[0]


def _refuse(option: str, what: str) -> NoReturn:
    raise ConfigError(f"{option}{what.rstrip('.')}.")
