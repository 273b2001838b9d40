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


def lines(records: Sequence[Record], comparison: Comparison) -> list[str]:
    """A sentence for each model and operation that was measured on the device of the latest run."""
    from bench.report.pages import overview_page

    local = [record for record in records if record.kind == "measured" and record.device.kind != "endpoint"]
    if not local:
        return []
    device = max(local, key=lambda record: record.run.started_at).device
    verdicts = verdicts_of([record for record in local if record.device == device], comparison)
    if verdicts is None:
        return []
    # its card may have another name: gpus.yaml has two that are called RTX 4060 Ti
    names = [card.name for card in verdicts.cards if card.is_device]
    answers = [answer for name in names for answer in overview_page.shown_on(verdicts, name)]
    return [answer.sentence for answer in answers[:_MOST_LINES]]
