"""The bearer token: read from an environment variable, compared in constant time, never shown or logged.

Starlette's AuthenticationMiddleware would need a backend with the same comparison, and answers in plain text.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from bench.wire.address import parse_token
from bench.wire.messages import RefusedError

#: What diffusers' remote text encoder sends without a token.
_NO_TOKEN = b"bearer none"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Checks who may post. Without a token everyone may."""

    _token: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, text: str | None, variable: str) -> Bearer:
        """Return a check for the token in a variable's text. Raises ConfigError if a header can't carry the token."""
        return cls(parse_token(text, variable).value.encode("ascii")) if text else cls()

    @property
    def required(self) -> bool:
        """Whether requests need a token."""
        return self._token is not None

    def admits(self, authorization: bytes | None) -> bool:
        """Whether the Authorization header carries the token, or no token is needed."""
        if self._token is None:
            return True
        scheme, _, token = (authorization or b"").partition(b" ")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"

    def check(self, authorization: bytes | None) -> None:
        """Raises RefusedError (401) unless the Authorization header carries the token or no token is needed."""
        if not self.admits(authorization):
            problem = "is wrong" if authorization else "is missing"
            text = f"The token {problem}. Send `Authorization: Bearer TOKEN`."
            if (authorization or b"").strip().lower() == _NO_TOKEN:
                text = (
                    "The token is missing: `Bearer None` means that the client had none. diffusers sends that of "
                    "`hf auth login` or of the variable HF_TOKEN; set it to this endpoint's token."
                )
            raise RefusedError(401, text, "unauthorized")
