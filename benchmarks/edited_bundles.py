"""Which edits of records the checks of `bench accept` catch, and which they don't: records are edited and judged.

    python benchmarks/edited_bundles.py [--trials 4] [--write docs/sharing.md]

The records are runs of a CPU that were measured (results/cpu-*), and runs of the docs' five cards made up around the
docs' figures (`volunteer_records`). A careless edit changes figures alone; a careful one also computes again whatever
follows from them, with samples on the clock's grid that the program's own rule would have taken. An edit is
*refused*, *doubtful* (accepted, and listed), or *not noticed*. With --write the table goes into a document.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import record_edits as edits
import volunteer_records
from record_edits import Edit

from bench.analysis.plausibility.examine import examine
from bench.analysis.plausibility.finding import Facts, case_on_device
from bench.config import load_gpus
from bench.record import Record
from bench.sharing.accept.plausibility_facts import facts
from bench.store import read_ceilings, read_file

ROOT = Path(__file__).resolve().parents[1]
#: The lines of a document around the table.
BEGIN, END = "<!-- edited bundles: made by benchmarks/edited_bundles.py -->", "<!-- end of edited bundles -->"
#: Edits of each kind of each run in the docs' table.
TRIALS = 4
_ANSWERS = ("refused", "doubtful", "not noticed")

#: Each edit in words, and what makes it. A function gets the records of a run and a source of chance.
EDITS: tuple[tuple[str, Edit], ...] = (
    ("nothing at all", edits.nothing),
    ("a median / 3", edits.median_alone),
    ("a case's times / 3, statistics computed again", edits.times_of_a_case),
    ("a case's times / 3, careful", partial(edits.careful_case, factor=1 / 3)),
    ("a case's times / 1.5, careful", partial(edits.careful_case, factor=1 / 1.5)),
    ("all times / 3, careful", partial(edits.careful_run, factor=1 / 3)),
    ("all times / 2, careful, durations too", partial(edits.careful_run, factor=1 / 2, durations=True)),
    ("all times / 1.5, careful, durations too", partial(edits.careful_run, factor=1 / 1.5, durations=True)),
    ("all times / 1.1, careful, durations too", partial(edits.careful_run, factor=1 / 1.1, durations=True)),
    ("all times x 2, careful, durations too", partial(edits.careful_run, factor=2, durations=True)),
    ("slow samples of a case left out, statistics computed again", edits.without_slow_samples),
    ("samples of a case copied from another", edits.copied_samples),
    ("samples rounded to 10 us", edits.rounded_samples),
    ("a memory percentage / 2", edits.percent_alone),
    ("a case's memory / 2, percentage computed again", partial(edits.memory_of_a_case, factor=0.5)),
    ("a case's memory / 2, careful", partial(edits.careful_memory, factor=0.5)),
    ("a case's memory x 0.9, careful", partial(edits.careful_memory, factor=0.9)),
    ("two cases of different size swapped", edits.swapped_sizes),
    ("a tiled case swapped with its untiled one", edits.swapped_tiling),
    ("another card's name", edits.other_name),
    ("another card's name, memory and settings, careful", edits.other_card),
    ("the whole run once more, a day later", edits.once_more),
    ("a case made out of memory", edits.made_out_of_memory),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A run to edit, and what its records are judged by."""

    kind: str
    records: Sequence[Record]
    facts: Facts


def sources() -> list[Source]:
    """The runs: two of a CPU, and one of each card."""
    gpus = load_gpus()
    files = sorted((ROOT / "results").glob("cpu-*/*.jsonl"))[-2:]
    runs = [("CPU", read_file(path).records) for path in files]
    runs += [("cards", tuple(volunteer_records.records_of(card))) for card in volunteer_records.cards()]
    ceilings, _ = read_ceilings([ROOT / "results"])
    return [Source(kind, records, facts(records, volunteer_records.NOWHERE, gpus, ceilings)) for kind, records in runs]


def answer(source: Source, edit: Edit, chance: random.Random) -> str | None:
    """What the checks say of an edited run; None if the edit does not apply to it."""
    edited = edit(source.records, chance)
    if edited is None:
        return None
    known = {}
    if any(record.run.id != source.records[0].run.id for record in edited):
        known = {case_on_device(record): (record,) for record in source.records}
    given = replace(source.facts, known=known)
    severities = {finding.severity for finding in examine(edited, given)[0]}
    return "refused" if "refused" in severities else "doubtful" if "doubtful" in severities else "not noticed"


def counts(trials: int, seed: int = 0) -> dict[str, dict[str, Counter[str]]]:
    """For each edit and kind of run, how often each answer was given."""
    runs = sources()
    table: dict[str, dict[str, Counter[str]]] = {}
    for name, edit in EDITS:
        table[name] = {}
        for place, source in enumerate(runs):
            for trial in range(trials):
                made = answer(source, edit, random.Random(f"{seed} {name} {place} {trial}"))  # noqa: S311 - a seed
                if made is not None:
                    table[name].setdefault(source.kind, Counter())[made] += 1
    return table


def markdown(table: dict[str, dict[str, Counter[str]]]) -> str:
    """The table as the docs have it: of so many edited runs, how many were refused, doubtful and not noticed."""
    kinds = ("CPU", "cards")
    head = [f"{kind}: {answer}" for kind in kinds for answer in _ANSWERS]
    lines = [f"| edit | {' | '.join(head)} |", f"|---|{'--:|' * len(head)}"]
    for name, by_kind in table.items():
        cells = [str(by_kind[kind][answer]) if kind in by_kind else "-" for kind in kinds for answer in _ANSWERS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def replaced(text: str, table: str) -> str:
    """The text of a document with this table between its marks. Raises ValueError without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no line {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main() -> None:
    """Print the table, or write it into a document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS, help="edits of each kind of each run")
    parser.add_argument("--write", type=Path, help="the document whose table is replaced")
    arguments = parser.parse_args()
    table = markdown(counts(arguments.trials))
    if arguments.write is None:
        print(table)
        return
    arguments.write.write_text(replaced(arguments.write.read_text(), table))


if __name__ == "__main__":
    main()
