"""What `huggingface_hub` raises, as errors that say in two sentences what happened and what to do.

No message has a token in it: those of the library, of which a line may be repeated, have none either.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

from bench.errors import HubError, HubRefusalError, chain, printable

#: The most characters of the hub's own words in a message.
_MOST_WORDS = 200
_LOGIN = "Log in with `hf auth login`, or set HF_TOKEN to a token that may"


@contextmanager
def reported(name: str, endpoint: str, revision: str | None = None) -> Iterator[None]:
    """Raise what the block raises about the dataset `name` as HubError, or HubRefusalError if the hub refuses."""
    try:
        yield
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        for cause in chain(error):  # the library wraps errors of downloads and uploads
            problem = _problem(cause, name, endpoint, revision)
            if problem is not None:
                raise problem from error
        raise HubError(f"{name}: {_words(error)} Run the command again, or see {endpoint}/datasets/{name}.") from error


def _problem(  # noqa: PLR0911 - one return for each kind of failure
    error: BaseException, name: str, endpoint: str, revision: str | None
) -> HubError | None:
    """The error to raise for one in a chain of causes; None if it says too little."""
    match error:
        case OfflineModeIsEnabled():
            return HubError("HF_HUB_OFFLINE is set, so the hub is not asked. Unset it to push or pull.")
        case LocalTokenNotFoundError():
            return HubRefusalError(f"You are not logged in to the hub. {_LOGIN} read {name}.")
        case RevisionNotFoundError():
            return HubRefusalError(
                f"{name} has no revision {printable(revision or 'main', 80)!r}. Give a branch, a tag or a commit of it."
            )
        case GatedRepoError():
            return HubRefusalError(f"{name} is gated: ask for access at {endpoint}/datasets/{name}, then log in.")
        case RepositoryNotFoundError():
            return HubRefusalError(
                f"There is no dataset {name} on {endpoint}, or you may not read it. Check the name, or log in: "
                "`hf auth login`, or HF_TOKEN."
            )
        case HfHubHTTPError():
            return _refusal(error, name, endpoint)
        case HTTPError():
            return HubError(
                f"{endpoint} can't be reached ({type(error).__name__}). Check the network and HF_ENDPOINT, then run "
                "the command again: what was finished stays."
            )
        case OSError() if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return HubError("The disk is full, so a file could not be stored. Make room, then run the command again.")
    return None


def _refusal(error: HfHubHTTPError, name: str, endpoint: str) -> HubError:
    """The error for an answer of the hub that is not 2xx and has no class of its own."""
    code = error.response.status_code
    if code == 401:
        return HubRefusalError(f"{endpoint} does not accept the token. {_LOGIN} use {name}.")
    if code == 403:
        return HubRefusalError(
            f"This token may not do that with {name} (403). Use one that may write there: `hf auth login`, or HF_TOKEN."
        )
    if code == 404:
        return HubRefusalError(f"{endpoint} has no such file or dataset {name} (404). Check the name and HF_ENDPOINT.")
    if code == 429:
        wait = _wait_s(error)
        again = f"in {wait:,} seconds" if wait is not None else "in some minutes"
        return HubError(f"{endpoint} limits how often it is asked (429). Run the command again {again}.")
    if code >= 500:
        return HubError(f"{endpoint} has a fault of its own ({code}). Run the command again later: nothing was lost.")
    return HubRefusalError(f"{endpoint} refuses this ({code}): {_words(error)}")


def _wait_s(error: HfHubHTTPError) -> int | None:
    """Seconds after which the hub may be asked again, as it says."""
    headers = error.response.headers
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds
    after = headers.get("Retry-After", "").strip()
    return int(after) if after.isdecimal() else None


def _words(error: BaseException) -> str:
    """A sentence of what an error says: the hub's own words if there are any."""
    text = getattr(error, "server_message", None) or next(iter(str(error).strip().splitlines()), "")
    return f"{printable(text, _MOST_WORDS).rstrip('. ') or type(error).__name__}."
