"""A stand-in of the hub's HTTP API, in this process: as much of it as `huggingface_hub` calls for datasets.

    with hub.serving() as server:
        hub.log_in(server, monkeypatch, tmp_path, "alice")      # this process
        environment = hub.environment(server, tmp_path, "alice")  # of a process that is started

It knows users by their tokens, creates repositories, lists trees, takes LFS objects and commits that name their parent,
and serves files with digests. It has no Xet, which is turned off in the client. What it answers is what the client's
source (huggingface_hub 2.4) expects; that the real hub answers so can't be tested here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

#: Files of a tree that one answer lists, as few as makes the client ask again.
_PAGE = 50
_LFS_ENDINGS = (".parquet",)
_YAML = re.compile(r"^\s*---\n([\S\s]*?)\n---")


def git_oid(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Commit:
    """A commit: its id, its message, and all files by path."""

    oid: str
    message: str
    files: dict[str, bytes]


@dataclass(slots=True)
class Repo:
    """A repository; the last commit is that of `main`."""

    private: bool
    commits: list[Commit]

    @property
    def files(self) -> dict[str, bytes]:
        """The files of `main`."""
        return self.commits[-1].files

    def at(self, revision: str) -> Commit | None:
        """The commit of a revision: `main` or a commit's id."""
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit.oid == revision), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Hub:
    """The state, and what tests change or look at.

    Attributes:
        repos: by kind (datasets, models) and name.
        objects: LFS objects by SHA-256.
        requests: `METHOD path` of each request so far.
        refusals: answers for the next requests whose `METHOD path` a pattern finds, each used once.
        before: called with `METHOD path` before each request is answered.
        served: changes the content of a file before it is sent.
    """

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    refusals: list[tuple[str, Answer]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    served: Callable[[str, bytes], bytes] = lambda _, content: content
    lock: threading.RLock = field(default_factory=threading.RLock)

    @staticmethod
    def token(user: str, *, may_write: bool = True) -> str:
        """The token of a user."""
        return f"hf_{user}_{'write' if may_write else 'read'}"

    def dataset(self, name: str) -> Repo:
        """A dataset that is there."""
        return self.repos["datasets", name]

    def create(self, name: str, kind: str = "datasets", *, private: bool = False) -> Repo:
        """Create a repository, with what the hub puts into a new one."""
        files = {".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}
        self.repos[kind, name] = Repo(private, [Commit(_commit_oid(name, 0), "initial commit", files)])
        return self.repos[kind, name]

    def add(self, name: str, files: dict[str, bytes | None], message: str = "by hand") -> str:
        """Add, replace or (None) delete files of a dataset in a commit of its own, and return its id."""
        with self.lock:
            repo = self.dataset(name)
            kept = {path: content for path, content in {**repo.files, **files}.items() if content is not None}
            oid = _commit_oid(name, len(repo.commits))
            repo.commits.append(Commit(oid, message, kept))
            return oid

    def refuse(self, pattern: str, status: int, body: object = None, times: int = 1, **headers: str) -> None:
        """Answer the next requests whose `METHOD path` the pattern finds with an error; `_` in a header is `-`."""
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        self.refusals += [(pattern, Answer(status, json.dumps(body or {}).encode(), named))] * times

    def kill_at(self, pattern: str, kill: Callable[[], None]) -> None:
        """Call `kill` at the first request whose `METHOD path` the pattern finds, and do not do what it asks."""

        def before(request: str) -> None:
            if re.search(pattern, request):
                self.before = lambda _: None
                self.refuse(pattern, 503)
                kill()

        self.before = before

    def answer(self, method: str, path: str, body: bytes, authorization: str) -> Answer:
        """The answer to a request."""
        request = f"{method} {path}"
        self.requests.append(request)
        self.before(request)
        for place, (pattern, refusal) in enumerate(self.refusals):
            if re.search(pattern, request):
                del self.refusals[place]
                return refusal
        with self.lock:
            return _Request(self, method, path, body, authorization).answer()


def environment(server: Hub, folder: Path, user: str | None) -> dict[str, str]:
    """The variables of a process whose hub this is, with a user's token; logged out if there is no user."""
    named = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}
    return named | ({"HF_TOKEN": server.token(user)} if user else {})


def log_in(server: Hub, monkeypatch: pytest.MonkeyPatch, folder: Path, user: str | None) -> None:
    """Give this process the hub and a user's token, or log it out. The client has read most variables already."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "hf" / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in environment(server, folder, user).items():
        monkeypatch.setenv(name, value)


def _commit_oid(name: str, number: int) -> str:
    return hashlib.sha1(f"{name}#{number}".encode(), usedforsecurity=False).hexdigest()


def _error(status: int, code: str, message: str = "") -> Answer:
    headers = (("X-Error-Code", code), ("X-Error-Message", message or code))
    return Answer(status, json.dumps({"error": message or code}).encode(), headers)


def _json(value: object, status: int = 200, *headers: tuple[str, str]) -> Answer:
    return Answer(status, json.dumps(value).encode(), (("Content-Type", "application/json"), *headers))


@dataclass(slots=True)
class _Request:
    hub: Hub
    method: str
    path: str
    body: bytes
    authorization: str

    def answer(self) -> Answer:
        if self.authorization and self.user is None:
            return _error(401, "", "Invalid credentials in Authorization header")
        place = unquote(urlsplit(self.path).path)
        for pattern, handle in self._routes():
            match = re.fullmatch(pattern, f"{self.method} {place}")
            if match:
                return handle(*match.groups())
        return _error(404, "EntryNotFound")

    @property
    def user(self) -> str | None:
        match = re.fullmatch(r"Bearer hf_(\w+)_(?:write|read)", self.authorization)
        return match[1] if match else None

    def _routes(self) -> list[tuple[str, Callable[..., Answer]]]:
        repo = r"(datasets|models)/([^/]+/[^/]+)"
        return [
            (r"GET /api/whoami-v2", lambda: _json({"name": self.user}) if self.user else _error(401, "")),
            (r"POST /api/repos/create", self._create),
            (r"POST /api/validate-yaml", self._validate),
            (rf"GET /api/{repo}(?:/revision/(.+))?", self._info),
            (rf"GET /api/{repo}/tree/([^/]+)", self._tree),
            (rf"POST /api/{repo}/preupload/main", self._preupload),
            (rf"POST /api/{repo}/commit/main", self._commit),
            (rf"POST /{repo}\.git/info/lfs/objects/batch", self._batch),
            (r"PUT /lfs/(\w+)", self._put),
            (r"(?:GET|HEAD) /lfs/(\w+)", lambda oid: Answer(200, self.hub.objects[oid])),
            (rf"(?:GET|HEAD) /{repo}/resolve/([^/]+)/(.+)", self._resolve),
        ]

    def _found(self, kind: str, name: str, revision: str = "main") -> tuple[Repo, Commit] | Answer:
        """A repository that this user may read, and its commit of a revision."""
        repo = self.hub.repos.get((kind, name))
        if repo is None or (repo.private and name.partition("/")[0] != self.user):
            return _error(404 if self.user else 401, "RepoNotFound", "Repository not found")
        commit = repo.at(revision)
        return (repo, commit) if commit is not None else _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def _refusal_to_write(self, name: str) -> Answer | None:
        if self.user is None:
            return _error(401, "", "Unauthorized")
        if self.authorization.endswith("_read") or name.partition("/")[0] not in {self.user, "team"}:
            return _error(403, "", f"You don't have the rights to create a model under the namespace of {name}")
        return None

    def _create(self) -> Answer:
        asked = json.loads(self.body)
        name = f"{asked['organization'] or self.user}/{asked['name']}"
        if refusal := self._refusal_to_write(name):
            return refusal
        url = f"{self.hub.url}/datasets/{name}"
        if ("datasets", name) in self.hub.repos:
            return _json({"url": url, "error": "You already created this dataset repo"}, 409)
        self.hub.create(name, private=asked.get("visibility") == "private")
        return _json({"url": url})

    def _validate(self) -> Answer:
        match = _YAML.match(json.loads(self.body)["content"])
        try:
            metadata = yaml.safe_load(match[1]) if match else {}
        except yaml.YAMLError as error:
            return _json({"errors": [{"message": str(error)}], "warnings": []}, 400)
        problems = [] if isinstance(metadata, dict) else [{"message": "metadata must be an object"}]
        return _json({"errors": problems, "warnings": []}, 400 if problems else 200)

    def _info(self, kind: str, name: str, revision: str | None) -> Answer:
        found = self._found(kind, name, revision or "main")
        if isinstance(found, Answer):
            return found
        repo, commit = found
        files = [{"rfilename": path} for path in commit.files]
        return _json({"id": name, "sha": commit.oid, "private": repo.private, "siblings": files, "tags": []})

    def _tree(self, kind: str, name: str, revision: str) -> Answer:
        found = self._found(kind, name, revision)
        if isinstance(found, Answer):
            return found
        begin = int(dict(re.findall(r"(\w+)=(\w+)", urlsplit(self.path).query)).get("cursor", 0))
        everything = sorted(found[1].files.items())
        page = [_tree_entry(path, content) for path, content in everything[begin : begin + _PAGE]]
        following = f"{self.hub.url}{urlsplit(self.path).path}?recursive=True&cursor={begin + _PAGE}"
        more = begin + _PAGE < len(everything)
        return _json(page, 200, *([("Link", f'<{following}>; rel="next"')] if more else []))

    def _preupload(self, kind: str, name: str) -> Answer:
        found = self._found(kind, name)
        if isinstance(found, Answer):
            return found
        files = []
        for file in json.loads(self.body)["files"]:
            there = found[1].files.get(file["path"])
            is_lfs = file["path"].endswith(_LFS_ENDINGS)
            oid = None if there is None else hashlib.sha256(there).hexdigest() if is_lfs else git_oid(there)
            mode = "lfs" if is_lfs else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return _json({"files": files})

    def _batch(self, kind: str, name: str) -> Answer:
        if refusal := self._refusal_to_write(name):
            return refusal
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            upload = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            missing = wanted["oid"] not in self.hub.objects
            objects.append({**wanted, **({"actions": upload} if missing else {})})
        return _json({"transfer": "basic", "objects": objects})

    def _put(self, oid: str) -> Answer:
        if hashlib.sha256(self.body).hexdigest() != oid:
            return _error(400, "", "the object's digest differs")
        self.hub.objects[oid] = self.body
        return Answer(200)

    def _commit(self, kind: str, name: str) -> Answer:
        found = self._found(kind, name)
        refusal = found if isinstance(found, Answer) else self._refusal_to_write(name)
        if refusal is not None or isinstance(found, Answer):
            return refusal or _error(404, "RepoNotFound")
        lines = [json.loads(line) for line in self.body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit", found[1].oid) != found[1].oid:
            return _error(412, "", "A commit has happened since. Please refresh and try again.")
        files: dict[str, bytes | None] = {}
        for line in lines:
            value: dict[str, Any] = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        oid = self.hub.add(name, files, header["summary"])
        return _json({"commitUrl": f"{self.hub.url}/{kind}/{name}/commit/{oid}", "commitOid": oid})

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> Answer:
        found = self._found(kind, name, revision)
        if isinstance(found, Answer):
            return found
        content = found[1].files.get(path)
        if content is None:
            return _error(404, "EntryNotFound")
        served = self.hub.served(path, content)
        headers = [("X-Repo-Commit", found[1].oid)]
        if path.endswith(_LFS_ENDINGS):
            oid = hashlib.sha256(content).hexdigest()
            self.hub.objects[oid] = served
            linked = [("X-Linked-Etag", f'"{oid}"'), ("X-Linked-Size", str(len(content)))]
            return Answer(302, b"", (*headers, *linked, ("Location", f"{self.hub.url}/lfs/{oid}")))
        return Answer(200, served, (*headers, ("ETag", f'"{git_oid(content)}"')))


def _tree_entry(path: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
    if path.endswith(_LFS_ENDINGS):
        sha256 = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
        entry |= {"oid": git_oid(pointer), "lfs": {"oid": sha256, "size": len(content), "pointerSize": len(pointer)}}
    return entry


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # a packet for each answer: the client would wait 40 ms for a second one
        disable_nagle_algorithm = True

        def _do(self) -> None:
            body = self._body()
            answer = hub.answer(self.command, self.path, body, self.headers.get("Authorization", ""))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
            """Say nothing."""

    for method in ("GET", "HEAD", "POST", "PUT"):
        setattr(Handler, f"do_{method}", Handler._do)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
