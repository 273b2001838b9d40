"""What a tour left on the disk, as the files of a bundle: results and logs, without what identifies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.units import format_bytes
from bench.sharing.bundles.bundle import SUFFIX
from bench.sharing.bundles.manifest import MANIFEST, Manifest
from bench.sharing.privacy import Remover, words_in
from bench.store.disk import reported

#: The most bytes of a log; the middle of a longer one is left out. And of a trace, which is left out as a whole.
_MOST_LOG, _MOST_TRACE = 2**20, 16 * 2**20
#: What files hold, by name; the first pattern that fits.
_WHAT = (
    (re.compile(r"results/endpoint-.*\.jsonl$"), "requests to an endpoint on this machine, a line for each case"),
    (re.compile(r"results/.*\.jsonl$"), "records, a line for each case: figures, device, versions, settings"),
    (re.compile(r"ceilings\.json$"), "the device's highest rates"),
    (re.compile(r"workspaces\.json$"), "the memory that convolutions take besides tensors"),
    (re.compile(r"logs/doctor\.json$"), "facts of the machine, and what would spoil a measurement"),
    (re.compile(r"logs/profiles/.*\.json$"), "what was alive during a call, by part of the model"),
    (re.compile(r"logs/.*\.log$"), "what the step {stem} printed"),
)
_RESULTS = (".jsonl", "ceilings.json", "workspaces.json")
_TEXTS = (".log", ".json")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*")


@dataclass(frozen=True, slots=True)
class Gathered:
    """The files of a bundle by their names in it, what each holds, and what was left out, with the reason."""

    files: dict[str, bytes] = field(default_factory=dict)
    what: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def has_results(self) -> bool:
        """Whether anything was measured."""
        return any(name.startswith("results/") for name in self.files)


def gather(measured: Path, logs: Path, remover: Remover) -> Gathered:
    """The results and logs of a tour, with markers in place of what identifies.

    Results are runs, ceilings and workspaces; of a run that was killed the torn last line is left out. Of logs, texts.
    Raises ResultsError if a file can't be read.
    """
    gathered = Gathered()
    for name, path in sorted({**dict(_named("results", measured)), **dict(_named("logs", logs))}.items()):
        with reported(path):
            content = path.read_bytes()
        if reason := _why_not(name, content):
            gathered.left_out[name] = reason
            continue
        gathered.files[name] = remover.file(name, _shortened(name, content))
        gathered.what[name] = next(
            (text.format(stem=path.stem) for pattern, text in _WHAT if pattern.search(name)), "other text"
        )
    return gathered


def form_words(measured: Path, logs: Path) -> frozenset[str]:
    """The words that a bundle has whoever made it: of its manifest, of its files' names, and of what these hold."""
    names = [name for root, folder in (("results", measured), ("logs", logs)) for name, _ in _named(root, folder)]
    return words_in(json.dumps(Manifest.model_json_schema()), SUFFIX, MANIFEST, *names, *(text for _, text in _WHAT))


def _named(root: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The regular files below a folder by their names in a bundle; none of those whose names begin with a dot."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not path.is_symlink() and all(map(_PART.fullmatch, parts)):
            yield "/".join((root, *parts)), path


def _why_not(name: str, content: bytes) -> str:
    """Why a file is not in a bundle; empty if it is."""
    if name.startswith("results/"):
        return "" if name.endswith(_RESULTS) else "not a file of records"
    if not name.endswith(_TEXTS):
        return "not a text, so nothing could be removed from it"
    if name.endswith(".json") and len(content) > _MOST_TRACE:
        return f"larger than {format_bytes(_MOST_TRACE)}"
    return ""


def _shortened(name: str, content: bytes) -> bytes:
    """A run without its torn last line; a log without the middle of what is too long."""
    if name.endswith(".jsonl"):
        return content[: content.rfind(b"\n") + 1]
    if name.endswith(".log") and len(content) > _MOST_LOG:
        half = _MOST_LOG // 2
        return b"%s\n... %d bytes left out ...\n%s" % (content[:half], len(content) - 2 * half, content[-half:])
    return content
