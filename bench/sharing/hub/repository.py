"""A dataset repository of the hub, through `huggingface_hub`: what is in it, its files' contents, and one commit.

The token is that of the library's own login or of HF_TOKEN, and the address that of HF_ENDPOINT. Needs the extra
`share`: what imports this asks for it first.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, get_session, validate_repo_id

from bench.errors import ConfigError, HubError, HubRefusalError, printable
from bench.sharing.hub.failures import reported
from bench.sharing.hub.layout import MOST_BYTES, MOST_SMALL_BYTES, RemoteFile, run_device

#: Seconds that the hub may take for the first answer, and that it may be silent afterwards.
_PATIENCE_S, _SILENCE_S = 30.0, 120.0
#: Files that are downloaded at once, and how many of them lie in a temporary folder.
_AT_ONCE, _BATCH = 8, 16
#: The hub's answers to a commit whose parent is no longer the newest one.
_RACED = {409, 412}
_DATASET = "dataset"


class RacedError(Exception):
    """Somebody else made a commit since the files were read. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a repository has at a commit, by path, and whether only its owners may read it."""

    commit: str
    files: Mapping[str, RemoteFile]
    private: bool = False


class Repository:
    """A dataset repository. Every method raises HubError in at most two sentences."""

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        """`name` is OWNER/NAME. Raises ConfigError for any other name."""
        check_name(name)
        self.name = name
        self.endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT
        self._api = HfApi(endpoint=self.endpoint, library_name="hybrid-bench")
        get_session().timeout = _SILENCE_S  # the library would wait for ever
        if quiet:
            disable_progress_bars()

    @property
    def address(self) -> str:
        """Where a browser shows it."""
        return f"{self.endpoint}/datasets/{self.name}"

    def require_token(self) -> None:
        """Raise HubError unless there is a token. It is not printed, and not tried."""
        with reported(self.name, self.endpoint):
            token = get_token()
        if token is None:
            raise HubRefusalError(
                "A push needs a token of the hub, and there is none. Log in with `hf auth login`, or set HF_TOKEN."
            )

    def head(self, revision: str | None = None) -> Head | None:
        """What it has at a revision, or now; None if there is no such dataset, or this token may not see it."""
        with reported(self.name, self.endpoint, revision):
            try:
                info = self._api.repo_info(self.name, repo_type=_DATASET, revision=revision, timeout=_PATIENCE_S)
            except RepositoryNotFoundError as error:
                if type(error) is not RepositoryNotFoundError:  # it exists, but is gated
                    raise
                self._refuse_model()
                return None
            commit = str(info.sha)
            tree = self._api.list_repo_tree(self.name, recursive=True, revision=commit, repo_type=_DATASET)
            files = {item.path: _remote_file(item) for item in tree if isinstance(item, RepoFile)}
            return Head(commit, files, bool(info.private))

    def create(self, *, private: bool) -> None:
        """Create it: private, or as its owner's settings say. One that exists by now stays as it is."""
        with reported(self.name, self.endpoint):
            self._api.create_repo(self.name, repo_type=_DATASET, private=private or None, exist_ok=True)

    def contents(self, head: Head, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """The content of each of these files at a commit, in order, checked by size and digest.

        They are downloaded into a temporary folder, because nothing unchecked may lie among results. Raises HubError
        for a file that is larger than any of this program's.
        """
        for path in paths:
            size, most = head.files[path].size, MOST_BYTES if run_device(path) else MOST_SMALL_BYTES
            if size > most:
                raise HubError(f"{self.name}: {path} has {size:,} bytes, and at most {most:,} are read of such a file.")
        for begin in range(0, len(paths), _BATCH):
            batch = paths[begin : begin + _BATCH]
            with tempfile.TemporaryDirectory() as place:
                self._download(head, batch, place)
                yield from ((path, self._checked(head, path, place)) for path in batch)

    def commit(self, files: Mapping[str, bytes], message: str, parent: str) -> str:
        """Add or replace these files in one commit on top of `parent`, and return its address.

        Until it is made the repository stays as it was. Raises RacedError if `parent` is not the newest commit.
        """
        additions = [CommitOperationAdd(path, content) for path, content in files.items()]
        with reported(self.name, self.endpoint):
            try:
                made = self._api.create_commit(
                    self.name, additions, commit_message=message, repo_type=_DATASET, parent_commit=parent
                )
            except HfHubHTTPError as error:
                if error.response.status_code in _RACED:
                    raise RacedError from error
                raise
        return str(made.commit_url)

    def _refuse_model(self) -> None:
        """Raise HubError if there is a model of this name."""
        try:
            self._api.repo_info(self.name, repo_type="model", timeout=_PATIENCE_S)
        except HfHubHTTPError:
            return
        raise HubRefusalError(
            f"{self.name} is a model repository on {self.endpoint}, not a dataset. Name a dataset, or a new name to "
            "push to."
        )

    def _download(self, head: Head, paths: Sequence[str], place: str) -> None:
        def download(path: str) -> str:
            return self._api.hf_hub_download(self.name, path, repo_type=_DATASET, revision=head.commit, local_dir=place)

        with reported(self.name, self.endpoint), ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(download, paths))

    def _checked(self, head: Head, path: str, place: str) -> bytes:
        with reported(self.name, self.endpoint):
            content = Path(place, path).read_bytes()
        if not head.files[path].holds(content):
            raise HubError(
                f"{self.name}: {path} is not what the hub lists (its digest differs). Run the command again."
            )
        return content


def check_name(name: str) -> None:
    """Raise ConfigError unless this is OWNER/NAME as the hub allows it."""
    problem = "a dataset is named OWNER/NAME, such as hybrid-bench/results"
    if name.count("/") != 1 or re.match(r"\w+:", name):
        raise ConfigError(f"{printable(name, 80)!r}: {problem}.")
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise ConfigError(
            f"{printable(name, 80)!r}: {problem}. Each part has letters, digits, `-`, `_` and `.`, and does not begin "
            "or end with `-` or `.`."
        ) from None


def _remote_file(item: RepoFile) -> RemoteFile:
    return RemoteFile(item.path, int(item.size), item.blob_id, item.lfs.sha256 if item.lfs else None)
