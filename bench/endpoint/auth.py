"""The bearer token: read from an environment variable, compared in constant time, never told or logged."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from bench.wire.address import parse_token
from bench.wire.messages import RefusedError


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who may post: everyone where there is no token."""

    _token: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, text: str | None, variable: str) -> Bearer:
        """The token that the variable holds. Raises ConfigError if no header could carry it."""
        return cls(parse_token(text, variable).value.encode("ascii")) if text else cls()

    @property
    def required(self) -> bool:
        """Whether requests need a token."""
        return self._token is not None

    def admits(self, authorization: bytes | None) -> bool:
        """Whether the Authorization header carries the token, or none is needed."""
        try:
            self.check(authorization)
        except RefusedError:
            return False
        return True

    def check(self, authorization: bytes | None) -> None:
        """Raises RefusedError (401) unless the Authorization header carries the token, or none is needed."""
        if self._token is None:
            return
        scheme, _, given = (authorization or b"").partition(b" ")
        right = hmac.compare_digest(given.strip(), self._token)
        if scheme.lower() != b"bearer" or not right:
            what = "is wrong" if authorization else "is missing"
            raise RefusedError(401, f"The token {what}. Send `Authorization: Bearer TOKEN`.", "unauthorized")
