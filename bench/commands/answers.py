"""The verdicts that come with the program, with what was measured, and the answer for the machine measured last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.commands.stderr import warn
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.analysis.hybrid.local_or_remote import Comparison
    from bench.analysis.verdicts.questions import Verdicts
    from bench.record import Record

#: More answers than this are on the page alone.
_MOST_LINES = 8


def verdicts_of(records: Sequence[Record], comparison: Comparison) -> Verdicts | None:
    """The verdicts, overlaid with these records; None, with a warning, if the file of verdicts can't be read."""
    from bench.predictions import measured_verdicts, verdicts

    try:
        return measured_verdicts.overlaid(verdicts.load(), records, comparison)
    except BenchError as error:
        warn([f"{error} The pages are written without answers."])
        return None


def lines(verdicts: Verdicts, records: Sequence[Record]) -> list[str]:
    """A sentence for each model and operation that was measured on the device of the latest run.

    `verdicts` are overlaid with the records.
    """
    from bench.analysis.verdicts.device_card import card_of
    from bench.config import load_gpus
    from bench.report.pages import overview_page, run_details

    measured = [record for record in run_details.local(records) if record.kind == "measured"]
    if not measured:
        return []
    card = card_of(run_details.begun_last(measured).device, verdicts.cards, load_gpus())
    answers = [] if card is None else overview_page.shown_on(verdicts, card.name)
    return [answer.sentence for answer in answers[:_MOST_LINES]]
