"""Users, passwords and queries out of URLs, which results and pages must not hold."""

from __future__ import annotations

import re

_URL = re.compile(r"://\S+")
#: `user:password@host` without a scheme, but not `host:8000/@path`. Bounded, so that no text takes long to search.
_LOGIN = re.compile(r"(?<![^\s/])[^\s/:@]+:(?!\d*/)\S{0,300}@")


def without_secrets(url: str) -> str:
    """The URL without user, password, query and fragment. Applied on reading too: a line may be edited or foreign."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    place = rest.partition("#")[0].partition("?")[0]
    host, slash, path = place.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def without_url_secrets(text: str) -> str:
    """The text with nothing of a URL in it that may be secret, and without `user:password@`."""
    if "://" in text:
        text = _URL.sub(lambda url: without_secrets(url[0]), text)
    return _LOGIN.sub("", text) if "@" in text else text
