"""Chooses, among the records read, those that tables show and the run to continue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from bench.core.garbage import uncollected
from bench.errors import ResultsError
from bench.record import Record, SweepOnCards, grouped
from bench.store.reading import AnyRecord, ResultsFile, each_unbuilt, first_record, read, read_file
from bench.store.unbuilt import UnbuiltRecord


def read_latest(paths: Sequence[Path], *, strict: bool = False) -> tuple[list[Record], list[str]]:
    """The records that tables show (`latest`) of results files and folders, and all warnings and notes.

    Raises ResultsError as `read` does.
    """
    warnings: list[str] = []
    with uncollected():  # records are many, live on, and hold no cycles
        chosen, notes = latest(each_unbuilt(paths, warnings, strict=strict))
        records = list(_built(chosen))
    return records, [*warnings, *notes]


def _built(chosen: list[Record | UnbuiltRecord]) -> Iterator[Record]:
    """The records in their order; each line is let go as soon as its record is built, because both are large."""
    chosen.reverse()
    while chosen:
        record = chosen.pop()
        yield record.build() if isinstance(record, UnbuiltRecord) else record


def read_all(paths: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """Every record of results files and folders, in the order of the files, and all warnings.

    Raises ResultsError as `read` does.
    """
    files, warnings = read(paths)
    return [record for file in files for record in file.records], warnings


def latest(files: Iterable[ResultsFile[AnyRecord]]) -> tuple[list[AnyRecord], list[str]]:
    """The records that tables show, in the files' order, and notes on unfinished runs and cards of one name.

    For each (case, device, VRAM limit, kind) that is the record of the latest finished run. A record of an unfinished
    run is used, with a note, only if no finished run has the case. Unfinished runs of one plan and device that share a
    file, as `bench merge` puts them, are finished if together they have every case. Each file is looked at once, and
    only what is shown of it so far is kept.
    """
    chosen: dict[tuple[str, str, int | None, str], tuple[tuple[bool, str], AnyRecord]] = {}
    unfinished: dict[str, str] = {}
    cards: dict[str, set[str]] = {}
    for file in files:
        for records, whole in _runs(file.records):
            run_id, planned = records[0].run.id, records[0].run.cases
            if not whole:
                unfinished[run_id] = incomplete_note(run_id, len(records), planned)
            for record in records:
                key = (record.case.id, record.device.name, record.vram_limit_bytes, record.kind)
                rank = (whole, record.run.started_at)
                if key not in chosen or rank >= chosen[key][0]:
                    chosen[key] = (rank, record)  # assigning to an existing key keeps its place in the dict
                if record.device.identity is not None:
                    cards.setdefault(record.device.name, set()).add(record.device.identity)
    used = [record for _, record in chosen.values()]
    shown_runs = {record.run.id for record in used}
    notes = [note for run_id, note in unfinished.items() if run_id in shown_runs]
    return used, [*notes, *_shared_names(used, cards)]


def _runs(records: Sequence[AnyRecord]) -> Iterator[tuple[list[AnyRecord], bool]]:
    """The runs of a file, and whether each has, or is part of what has, every case of its plan."""
    runs = grouped(records, lambda record: record.run.id)
    known = [{record.key[:-1] for record in run} for run in runs]
    parts: dict[Hashable, set[Hashable]] = {}
    for run, cases in zip(runs, known, strict=True):
        if len(cases) < run[0].run.cases:
            parts.setdefault(_place(run), set()).update(cases)
    for run, cases in zip(runs, known, strict=True):
        planned = run[0].run.cases
        yield run, len(cases) >= planned or len(parts[_place(run)]) >= planned


def _place(run: Sequence[AnyRecord]) -> Hashable:
    """What is equal of unfinished runs that continue each other."""
    places = {(record.device.name, record.vram_limit_bytes, record.kind) for record in run}
    return run[0].run.plan, frozenset(places)


def _shared_names(chosen: Iterable[AnyRecord], cards: Mapping[str, set[str]]) -> Iterator[str]:
    """A note for each device name that stands for several cards, because their figures share one table."""
    for name in dict.fromkeys(record.device.name for record in chosen):
        count = len(cards.get(name, ()))
        if count > 1:
            yield shared_name_note(name, count)


def incomplete_note(run: str, records: int, planned: int) -> str:
    """The note on an unfinished run whose records are shown."""
    return f"run {run} is incomplete: {records} of {planned} cases"


def shared_name_note(device: str, cards: int) -> str:
    """The note on a device's name that several cards have."""
    return (
        f"{device}: {cards} cards of this name have figures here; for each case the latest finished run is used, "
        "whichever card it ran on"
    )


def is_finished(run: ResultsFile[Record]) -> bool:
    """Whether a run has every case of its plan."""
    return len({record.case.id for record in run.records}) >= run.records[0].run.cases


def latest_run(
    folder: Path,
    plan: str,
    vram_limit_bytes: int | None,
    identity: str | None,
    same_setting: Callable[[Record], bool],
    *,
    shared: bool = False,
) -> ResultsFile[Record] | None:
    """The latest run of `plan` in a device's folder that was made in the same setting.

    If `shared`, only runs that equal cards shared count, whichever of them measured what. Otherwise only runs of one
    card count, and a run with records of another card of this name (`identity`) is skipped. Records of older versions
    do not name their card, so any card may continue them. A case whose line is bad is measured again. Files that can't
    be read, or that have lines of a newer version, are skipped here; `bench report` warns about them. Each case has one
    record.
    """
    candidates: list[tuple[str, Path]] = []
    for path in folder.glob("*.jsonl"):
        try:
            first = first_record(path)
        except OSError:
            continue
        is_of_this_sort = first is not None and first.run.plan == plan and first.run.is_shared == shared
        if first and is_of_this_sort and first.vram_limit_bytes == vram_limit_bytes and same_setting(first):
            candidates.append((first.run.started_at, path))
    for _, path in sorted(candidates, key=itemgetter(0), reverse=True):  # most of a folder's runs are never read whole
        try:
            run = read_file(path)
        except ResultsError:
            continue
        is_continued = shared or {record.device.identity for record in run.records} <= {None, identity}
        if is_continued and not run.has_newer_lines:
            return replace(run, records=tuple({record.case.id: record for record in run.records}.values()))
    return None


def unfinished_sweep(
    results: Path, plan: str, vram_limit_bytes: int | None, *, shared: bool, cards: Collection[str] | None = None
) -> SweepOnCards | None:
    """The latest sweep of `plan` on several cards, if one of its runs is unfinished or has not begun.

    With `cards`, of the sweeps on exactly the cards of these identities.

    If `shared`, of the sweeps whose cards share the cases, otherwise of the others. Of several runs of a device in the
    sweep (begun anew, because its setting changed) the latest counts.
    """
    runs: dict[str, list[tuple[Record, Path]]] = {}
    for path in results.glob("*/*.jsonl"):
        try:
            first = first_record(path)
        except OSError:
            continue
        sweep = first.run.sweep if first else None
        if first is None or sweep is None or sweep.shared != shared:
            continue
        if first.run.plan == plan and first.vram_limit_bytes == vram_limit_bytes:
            runs.setdefault(sweep.id, []).append((first, path))
    if cards is not None:
        runs = {sweep_id: begun for sweep_id, begun in runs.items() if _is_on(cards, [first for first, _ in begun])}
    if not runs:
        return None
    latest_runs: dict[tuple[str, str | None], Path] = {}
    for first, path in sorted(runs[max(runs)], key=lambda run: run[0].run.started_at):
        latest_runs[first.device.name, None if shared else first.device.identity] = path
    sweep = runs[max(runs)][0][0].run.sweep
    is_complete = sweep is not None and len(latest_runs) >= sweep.runs and all(map(_is_whole, latest_runs.values()))
    return None if is_complete else sweep


def _is_on(cards: Collection[str], begun: Sequence[Record]) -> bool:
    """Whether a sweep is on these cards, by the first records of its runs; some of them may not have begun."""
    sweep = begun[0].run.sweep
    return sweep is not None and sweep.runs == len(cards) and {first.device.identity for first in begun} <= set(cards)


def _is_whole(path: Path) -> bool:
    try:
        return is_finished(read_file(path))
    except ResultsError:
        return False
