"""What went wrong with a request, as a case's outcome: in one line, with what to do. Free of torch and of httpx2."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping

from bench.errors import chain
from bench.record import Failed, OutOfMemory, TimedOut
from bench.wire.address import Address, Discretion

Trouble = Failed | OutOfMemory | TimedOut

_ADVICE = {
    400: "Does the endpoint serve this model and operation?",
    401: "It wants a token, or another one: put it in the environment variable that --token-env names.",
    403: "The token may not use it: put another in the environment variable that --token-env names.",
    404: "Check the address, and what the endpoint serves.",
    405: "Check the address.",
    408: "The request was too slow for it.",
    413: "It takes no such size: choose smaller resolutions, or raise its --max-pixels.",
    415: "It does not take this form of payload.",
    422: "It could not use the payload.",
    429: "It is busy: wait, and give the same command with --fresh.",
    500: "Its log says more.",
    502: "Something between here and the endpoint can't reach it.",
    503: "It is busy, starting or scaled to zero: wait until it is ready, and give the same command with --fresh.",
    504: "It took too long for something between here and the endpoint.",
}
_REASON = re.compile(r"[a-z][a-z0-9_-]{0,39}")
#: Of the body of a refusal no more than these bytes are read.
READ_OF_AN_ERROR = 65536


class TroubleError(Exception):
    """A request failed; `outcome` says how."""

    def __init__(self, outcome: Trouble) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


def failed(kind: str, message: str) -> TroubleError:
    """A failure whose words are all this program's own."""
    return TroubleError(Failed(exception=kind, message=message))


def reason_of(body: bytes) -> str | None:
    """The word with which an endpoint of this kind says why it refuses; None where there is no such word."""
    said = _json(body)
    reason = said.get("reason") if isinstance(said, dict) else None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else None


def of_status(status: int, headers: Mapping[str, str], body: bytes, discretion: Discretion) -> TroubleError:
    """What a response other than 200 means; `body` is its beginning."""
    words = discretion(_words(body[:READ_OF_AN_ERROR]))
    if status == 507 or reason_of(body) == "out_of_memory":
        return TroubleError(OutOfMemory(where="device", message=words))
    if 300 <= status < 400:
        return failed(f"HTTP {status}", "The endpoint sends on to another address, which is not followed: give that.")
    if 200 <= status < 300:
        return failed(f"HTTP {status}", "The endpoint answers without a result: is the address that of a VAE?")
    advice = _ADVICE.get(status, "Its log may say more." if status >= 500 else "Check the address.")
    retry = headers.get("retry-after")
    wait = f" It asks to come again in {discretion(retry)[:20]} s." if retry else ""
    said = f"{words.rstrip('.')}. " if words else ""
    return failed(f"HTTP {status}", f"{said}{advice}{wait}")


def of_exception(error: BaseException, address: Address, discretion: Discretion) -> TroubleError:
    """What an exception of the network, of TLS or of a client means."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = discretion(str(error)) or "it said nothing"
    where = f"{address.shown}: {text.rstrip('.')}."
    if any(isinstance(one, ssl.SSLError) for one in chain(error)):
        return failed("TLSError", f"{where} Is it https, and its certificate one that this machine trusts?")
    if names & {"ConnectTimeout", "ConnectError", "ConnectionRefusedError", "gaierror", "ConnectionError"}:
        return failed(type(error).__name__, f"{where} Check the address, and that the endpoint runs.")
    if names & {"RemoteProtocolError", "ChunkedEncodingError", "IncompleteRead", "ReadError", "WriteError"}:
        return failed(type(error).__name__, f"{where} The endpoint, or something before it, broke the answer off.")
    return failed(type(error).__name__, where)


def _words(body: bytes) -> str:
    """What a refusal says: the `error` of its JSON, or its text."""
    said = _json(body)
    if isinstance(said, dict):
        error = said.get("error", said.get("message"))
        return error if isinstance(error, str) else ""
    text = body.decode("utf-8", errors="replace")
    return re.sub(r"<[^>]*>", " ", text) if "<" in text else text


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
