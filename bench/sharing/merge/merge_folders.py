"""Merges results files and folders into one results folder, which then has each record once.

Each file of the folder is written as a whole or not at all. If the disk is full, the same command completes the folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import store
from bench.errors import ResultsError
from bench.sharing.merge import provenance
from bench.sharing.merge.folder_writer import FolderWriter, alone
from bench.sharing.merge.given import Given
from bench.sharing.merge.merge_planning import Content, MergePlan, Tracked, plan_merge, untracked
from bench.sharing.merge.merging import Prefer, joined

#: How many files are written at once.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class MergedFile:
    """A results file that is new or changed.

    Attributes:
        path: below the folder.
        added: records that it did not have.
        records: that it has now.
        is_new: whether it was not there.
    """

    path: str
    added: int
    records: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """What was merged, or would be.

    Attributes:
        files: the results files that are new or changed.
        device_files: the other files that are, by their paths below the folder.
        settled: a message for each of these that knows something which the one that is preferred does not.
        records: in the whole folder.
        identical: lines whose record another line has too.
        dropped: records that another one of their key was preferred to.
        left_out: a message for each given line and file that can't be used.
        kept_bad: a message for each line of the folder itself that can't be used; it stays.
    """

    files: tuple[MergedFile, ...]
    device_files: tuple[str, ...]
    settled: tuple[str, ...]
    records: int
    identical: int
    dropped: int
    left_out: tuple[str, ...]
    kept_bad: tuple[str, ...]

    @classmethod
    def of(cls, plan: MergePlan) -> Merged:
        """What a plan comes to."""
        return cls(
            tuple(MergedFile(new.path, new.added, len(new.lines), new.before is None) for new in plan.contents),
            tuple(sorted(plan.facts)),
            tuple(map(str, plan.settled)),
            len(plan.chosen.lines),
            plan.chosen.identical,
            plan.chosen.dropped,
            tuple(plan.left_out),
            tuple(message for _, file in zip(plan.own, plan.files, strict=False) for message in file.bad),
        )

    @property
    def added(self) -> int:
        """Records that the folder did not have."""
        return sum(file.added for file in self.files)


def merge(
    given: Sequence[Given],
    out: Path,
    *,
    prefer: Prefer | None = None,
    prefer_facts: Prefer | None = None,
    dry_run: bool = False,
    tracked: Tracked = untracked,
) -> Merged:
    """Add the records of files and folders to a results folder, which need not exist yet.

    What is in the folder comes before what is given. Where `prefer` is None, `prefer_facts` counts for files with facts
    of devices. Raises MergeConflictError if two records of one key differ and neither is preferred; ResultsError if a
    path does not exist, nothing in them is a record, the folder is being written to, or a stand-in's figures would be
    among measured ones. Nothing is written then.
    """
    for item in given:
        if not item.path.exists():
            raise ResultsError(f"There is no file or folder {item.path}. `bench run` writes results.")
    if out.exists() and not out.is_dir():
        raise ResultsError(f"{out} is a file, but merged results need a folder. Choose another one with --out.")
    plan_now = partial(plan_merge, given, out, prefer, tracked, prefer_facts)
    if dry_run:
        return Merged.of(plan_now())
    if out.exists():
        with alone(out):
            plan = plan_now()
            _write(plan, out, tracked)
        return Merged.of(plan)
    plan = plan_now()  # before there is a folder: what can't be merged leaves none behind
    if plan.has_news:
        store.prepare_folder(out)
        with alone(out):
            plan = plan_now() if _has_files(out) else plan  # another merge, or a run, was quicker
            _write(plan, out, tracked)
    return Merged.of(plan)


def _has_files(folder: Path) -> bool:
    return any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))


def _write(plan: MergePlan, out: Path, tracked: Tracked) -> None:
    """Write what is new or changes, while other merges are kept off. Raises ResultsError."""
    if not plan.has_news:
        return
    writer = FolderWriter(out)
    store.prepare_folder(out)
    for content in plan.contents:
        writer.check(content.path, content.before)
    if plan.provenance is not None:  # first: the command that completes the folder finds the same origins
        writer.write(provenance.NAME, plan.provenance.to_json())
    for place, data in plan.facts.items():
        writer.write(place, data)
    _write_results(plan, writer, tracked)


def _write_results(plan: MergePlan, writer: FolderWriter, tracked: Tracked) -> None:
    """Write the results files, several at once: most of the time each waits for the disk."""

    def write(content: Content) -> None:
        writer.replace(content.path, joined(plan.files, content.lines), content.before)

    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            written = pool.map(write, plan.contents)
            for _ in tracked(plan.contents, "Writing results"):
                next(written)
        except BaseException:  # also Ctrl-C: what has not begun is not written
            pool.shutdown(cancel_futures=True)
            raise
