"""Addresses of endpoints, and the redaction of tokens, passwords and queries."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

from bench.core.units import one_line
from bench.errors import ConfigError, known, printable
from bench.wire.messages import PREDICT_PATH
from bench.workloads import models

_ONE_OPERATION = re.compile(r"(?P<model>[^/=:?#]+)/(?P<operation>[^/=:?#]+)=(?P<url>.*)", re.DOTALL)
_HIDDEN = "***"
#: The characters that the library requests never escapes.
_LEFT_ALONE = "!#$&'()*+,/:;=?@[]~"
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Address:
    """An http or https URL. `shown` may be printed and stored; `url` may contain secrets."""

    url: str = field(repr=False)
    shown: str
    host: str
    port: int
    tls: bool

    @property
    def place(self) -> str:
        """`host`, or `host:port` if the port is not the scheme's default."""
        return self.host if self.port == (443 if self.tls else 80) else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the address is on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The user, password and query, as written, decoded and re-encoded."""
        parts = urlsplit(self.url)
        user, _, password = _user(parts).partition(":")
        known = {_user(parts), password, parts.query}
        known |= {value for item in parts.query.split("&") if len(value := item.partition("=")[2]) > 3}
        known = {spelling for text in known for spelling in _spellings(text)}
        known |= {base64.b64encode(unquote(_user(parts)).encode()).decode()} if user or password else set()
        return tuple(sorted(filter(None, known), key=len, reverse=True))

    def below(self, path: str) -> Address:
        """Return the address with `path` appended to its path, and the same query."""
        parts = urlsplit(self.url)
        return parse(urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}", fragment="")), "")


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, which never appears in text."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return _HIDDEN


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Either one endpoint of `bench serve` (`base`), or addresses of single operations."""

    base: Address | None = None
    single: Mapping[tuple[str, str], Address] = field(default_factory=dict)

    def of(self, model: str, operation: str, transport: str | None = None) -> Address | None:
        """Return the address of one operation of one model, or None if there is none that answers over the transport.

        A single address of a text encoder is taken to speak FLUX.2's protocol, as all but this program's do, unless it
        ends as this program's other one does: in `/encode-text`.
        """
        if self.base is not None:
            return self.base.below(f"{model}{PREDICT_PATH}" if transport == "predict" else f"{model}/{operation}")
        address = self.single.get((model, operation))
        if address is None or transport not in {"predict", "tensor"}:
            return address
        is_raw = urlsplit(address.url).path.rstrip("/").endswith(f"/{operation}")
        return address if is_raw == (transport == "tensor") else None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that were given, whichever form they have."""
        return (self.base,) if self.base is not None else tuple(self.single.values())

    @property
    def name(self) -> str:
        """A name for the results folder: the first host, and the number of further hosts."""
        places = list(dict.fromkeys(address.place for address in self.addresses))
        return places[0] if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"


class Redactor:
    """Removes from a text what must not be printed or stored: the token, and the secrets of the addresses."""

    def __init__(self, endpoints: Endpoints, token: Token | None) -> None:
        secrets = {secret for address in endpoints.addresses for secret in address.secrets}
        secrets |= {token.value} if token else set()
        self._secrets = sorted(secrets, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text as one printable line of at most 300 characters, with its secrets replaced by asterisks."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = one_line(" ".join(text.encode(errors="replace").decode().split()))
        return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."


def parse(text: str, option: str = "--endpoint: ") -> Address:
    """Parse an address. Raises ConfigError, whose message never contains a user, a password or a query."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:  # its message may contain a part of a password
        host = port = None
    if not host or parts.scheme not in {"http", "https"}:
        raise ConfigError(f"{option}not the URL of an endpoint. Write http://host:8000 or https://host/path.")
    tls = parts.scheme == "https"
    if not all("!" <= character <= "~" for character in text):
        raise ConfigError(f"{option}the URL contains a space or another invalid character. Write it as %XX.")
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
    """Parse `http://host:8000` (of `bench serve`), or any number of `sd-v1/encode=URL`. Raises ConfigError."""
    bases: list[Address] = []
    single: dict[tuple[str, str], Address] = {}
    for text in texts:
        match = _ONE_OPERATION.fullmatch(text.strip())
        if match is None:
            bases.append(parse(text))
            continue
        model, operation = match["model"].strip(), match["operation"].strip()
        option = f"--endpoint {printable(f'{model}/{operation}', 80)}: "
        model = known("model", models.aliases().get(model, model), models.zoo(), option.removesuffix(": "))
        known("operation", operation, models.workload(model).operations, option.removesuffix(": "))
        if (model, operation) in single:
            raise ConfigError(f"{option}this operation has two addresses. Give one.")
        single[model, operation] = parse(match["url"], option)
    if len(bases) > 1 or (bases and single):
        raise ConfigError(
            "--endpoint: several endpoints can't be measured at once. Give one endpoint of `bench serve` "
            "(http://host:8000), or an address for each operation (sd-v1/encode=URL)."
        )
    return Endpoints(bases[0] if bases else None, single)


def parse_token(value: str, variable: str) -> Token:
    """Parse a token from an environment variable's value. Raises ConfigError, whose message does not contain it."""
    if not all("!" <= character <= "~" for character in value):
        raise ConfigError(f"The token in {variable} contains a space or another invalid character. Set it again.")
    return Token(value)


def check_secrecy(endpoints: Endpoints, token: Token | None, variable: str, *, insecure: bool) -> None:
    """Raises ConfigError if the token would be sent unencrypted, or together with a user in the URL."""
    for address in endpoints.addresses:
        if token and _user(urlsplit(address.url)):
            raise ConfigError(
                f"{address.shown}: the URL has a user and {variable} has a token, but a request can carry only one. "
                f"Remove the user from the URL, or unset {variable}."
            )
        if token and not address.tls and not address.is_loopback and not insecure:
            raise ConfigError(
                f"{address.shown}: the token in {variable} would be sent unencrypted. Use https, unset {variable}, or "
                f"allow it with --insecure-token."
            )


def _spellings(text: str) -> Iterator[str]:
    """Yield a text as written, decoded, and as requests, urllib and httpx2 encode it again."""
    yield text
    for plain in (unquote(text), unquote_plus(text)):
        yield from (plain, quote(plain), quote(plain, safe=""), quote_plus(plain), quote(plain, safe=_LEFT_ALONE))
    unescaped = re.sub("%[0-9A-Fa-f]{2}", lambda escape: _if_unreserved(escape.group()), text)
    yield quote(unescaped, safe=_LEFT_ALONE + "%")  # requests.utils.requote_uri


def _if_unreserved(escape: str) -> str:
    """Return `a` for `%61`, which means the same; return the escapes of other characters unchanged."""
    plain = chr(int(escape[1:], 16))
    return plain if re.fullmatch("[A-Za-z0-9._~-]", plain) else escape


def _user(parts: SplitResult) -> str:
    """Return `user:password` as written in a URL, or an empty text."""
    return parts.netloc.rpartition("@")[0]
