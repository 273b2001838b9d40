"""Of all that was read: the records that tables show, and the run to go on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bench.errors import ResultsError
from bench.record import Record
from bench.store.reading import ResultsFile, read_file


def latest(files: Sequence[ResultsFile]) -> tuple[list[Record], list[str]]:
    """The records that tables show, in the files' order, and notes on what is not whole.

    Of each (case, device, vram limit, kind) the one of the latest run; finished runs come before unfinished ones,
    whose records are used, with a note, only where no finished run has the case.
    """
    runs: dict[tuple[Path, str], list[Record]] = {}
    for file in files:
        for record in file.records:
            runs.setdefault((file.path, record.run.id), []).append(record)
    chosen: dict[tuple[str, str, int | None, str], tuple[tuple[bool, str], Record]] = {}
    unfinished: dict[str, str] = {}
    for (_, run_id), records in runs.items():
        planned = records[0].run.cases
        whole = len({record.key for record in records}) >= planned
        if not whole:
            unfinished[run_id] = f"run {run_id} is unfinished: {len(records)} of {planned} cases"
        for record in records:
            key = (record.case.id, record.device.name, record.vram_limit_bytes, record.kind)
            rank = (whole, record.run.started_at)
            if key not in chosen or rank >= chosen[key][0]:
                chosen[key] = (rank, record)  # an update keeps the place of the first
    used = [record for _, record in chosen.values()]
    shown_runs = {record.run.id for record in used}
    notes = [note for run_id, note in unfinished.items() if run_id in shown_runs]
    return used, [*notes, *_of_twins(used, files)]


def _of_twins(chosen: Iterable[Record], files: Iterable[ResultsFile]) -> Iterator[str]:
    """A note on each name that several cards have whose figures are here: their tables are one."""
    cards: dict[str, set[str]] = {}
    for file in files:
        for record in file.records:
            if record.device.identity is not None:
                cards.setdefault(record.device.name, set()).add(record.device.identity)
    for name in dict.fromkeys(record.device.name for record in chosen):
        count = len(cards.get(name, ()))
        if count > 1:
            yield (
                f"{name}: {count} cards of this name have figures here; of each case those of the latest finished run "
                "are used, whichever card it was"
            )


def unfinished(
    folder: Path,
    plan: str,
    vram_limit_bytes: int | None,
    identity: str | None,
    same_setting: Callable[[Record], bool],
) -> ResultsFile | None:
    """The latest run of `plan` in a device's folder, if it is unfinished and was made in the same setting.

    A run that has records of another card of this name (`identity`) is another's; records of older versions do not say
    of which card they are, and any may go on with them. A case whose line is bad counts as one that is yet to be
    measured. Files that can't be read, or that a newer version wrote in, are passed over: they are for `report` to
    complain of.
    """
    runs: list[ResultsFile] = []
    for path in folder.glob("*.jsonl"):
        try:
            file = read_file(path)
        except ResultsError:
            continue
        first = file.records[0] if file.records and not file.has_newer_lines else None
        if first and first.run.plan == plan and first.vram_limit_bytes == vram_limit_bytes and same_setting(first):
            cards = {record.device.identity for record in file.records} - {None, identity}
            runs += [] if cards else [file]
    if not runs:
        return None
    last = max(runs, key=lambda file: file.records[0].run.started_at)
    done = {record.case.id for record in last.records}
    return last if len(done) < last.records[0].run.cases else None
