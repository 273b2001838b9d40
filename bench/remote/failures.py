"""Turns a request's error into a case's outcome, with one line of advice."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping

from bench.errors import chain
from bench.record import Failed, OutOfMemory, TimedOut
from bench.wire.address import Address, Redactor

FailedOutcome = Failed | OutOfMemory | TimedOut

_ADVICE = {
    400: "Does the endpoint serve this model and operation?",
    401: "It needs a valid token. Put one into the environment variable that --token-env names.",
    403: "The token is not allowed to use it. Put another into the environment variable that --token-env names.",
    404: "Check the address, and which models the endpoint serves.",
    405: "Check the address.",
    408: "The request arrived too slowly.",
    413: "The request is too large for it. Choose smaller sizes, or raise its limits, such as --max-pixels.",
    415: "It does not accept this form of payload.",
    422: "It could not use the payload.",
    429: "It is busy. Wait, then repeat the command with --fresh.",
    500: "Its log shows the error.",
    502: "A proxy between here and the endpoint can't reach it.",
    503: "It is busy, starting or scaled to zero. Wait until it is ready, then repeat the command with --fresh.",
    504: "It took too long for a proxy between here and the endpoint.",
}
_REASON = re.compile(r"[a-z][a-z0-9_-]{0,39}")
#: The most bytes that are read of an error's body.
READ_OF_AN_ERROR = 65536
CHECK_ADDRESS = "Check the address and that the endpoint is running."


class RequestError(Exception):
    """A request failed; `outcome` says how."""

    def __init__(self, outcome: FailedOutcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


def text_of(error: BaseException, redact: Redactor) -> str:
    """Return an error's message without its number: `Connection refused`."""
    return redact(re.sub(r"\[Errno -?\d+\] ?", "", str(error)))


def failed(kind: str, message: str) -> RequestError:
    """Return a failure with this program's own message."""
    return RequestError(Failed(exception=kind, message=message))


def reason_of(body: bytes) -> str | None:
    """Return the `reason` in an error of `bench serve`; None if the body has none."""
    content = _json(body)
    reason = content.get("reason") if isinstance(content, dict) else None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else None


def of_status(status: int, headers: Mapping[str, str], body: bytes, redact: Redactor) -> RequestError:
    """Return the error for a response other than 200; `body` is its beginning."""
    message = redact(_message(body[:READ_OF_AN_ERROR]))
    if status == 507 or reason_of(body) == "out_of_memory":
        return RequestError(OutOfMemory(where="device", message=message))
    if 300 <= status < 400:
        return failed(f"HTTP {status}", "The endpoint redirects to another address. Give that address instead.")
    if 200 <= status < 300:
        return failed(f"HTTP {status}", "The endpoint answers without a result. Check the address.")
    advice = _ADVICE.get(status, "Its log may show the error." if status >= 500 else "Check the address.")
    retry = headers.get("retry-after")
    wait = f" It asks to retry in {redact(retry)[:20]} s." if retry else ""
    prefix = f"{message.rstrip('.')}. " if message else ""
    return failed(f"HTTP {status}", f"{prefix}{advice}{wait}")


def of_exception(error: BaseException, address: Address, redact: Redactor) -> RequestError:
    """Return the error for an exception of the network, of TLS or of a client."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = text_of(error, redact) or "no message"
    where = f"{address.shown}: {text.rstrip('.')}."
    if any(isinstance(cause, ssl.SSLError) for cause in chain(error)):
        return failed("TLSError", f"{where} Check that it uses https and a certificate that this machine trusts.")
    if names & {"ConnectTimeout", "ConnectError", "ConnectionRefusedError", "gaierror", "ConnectionError"}:
        return failed(type(error).__name__, f"{where} {CHECK_ADDRESS}")
    if names & {"RemoteProtocolError", "ChunkedEncodingError", "IncompleteRead", "ReadError", "WriteError"}:
        return failed(type(error).__name__, f"{where} The endpoint or a proxy interrupted the answer. Try again.")
    return failed(type(error).__name__, where)


def _message(body: bytes) -> str:
    """Return an error's message: `error`, `message` or `detail` in its JSON, or its text."""
    content = _json(body)
    if isinstance(content, dict):
        error = content.get("error", content.get("message", content.get("detail")))
        return error if isinstance(error, str) else ""
    text = body.decode("utf-8", errors="replace")
    return re.sub(r"<[^>]*>", " ", text) if "<" in text else text


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
