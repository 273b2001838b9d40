"""The page `reports/predicted.md`: memory on cards that are not here, and how far it is off where figures are known.

Reads records; never torch.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.config import card_names
from bench.core.units import MIB, format_bytes, format_count, memory_bytes
from bench.record import OutOfMemory, Prediction, Record
from bench.report.pages import predicted_table as predicted
from bench.report.pages import run_details
from bench.report.pages.kinds import marked
from bench.report.render import markdown
from bench.vram.assumptions import ASSUMPTIONS
from bench.workloads.labels import label_of

#: Published peaks are whole even MiB, behind as many digits of a percentage as the page prints.
_ROUNDING_BYTES = 2 * MIB
#: How a case ended whose peak, or lack of memory, says something of a prediction.
_ENDED = ("measured", "out_of_memory")

_FITTED = (
    "Of published figures, the peaks of encodes decided how large workspaces are taken to be: one number for each "
    "precision and architecture, and how far the band reaches. So the ratios show how well that form fits, not what it "
    "does elsewhere; the verdicts owe nothing to them.",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A peak that was published or measured, beside the prediction of the same case on the same card.

    Attributes:
        rounding_bytes: how far the known peak may be from the true one.
    """

    known: Record
    predicted: Record
    prediction: Prediction
    rounding_bytes: int = _ROUNDING_BYTES

    @property
    def known_bytes(self) -> int | None:
        """The peak reserved; of a published percentage by the docs' arithmetic. None: out of memory, or not said."""
        memory, total = self.known.memory, self.predicted.vram_limit_bytes or self.predicted.device.total_bytes
        if memory is None or self.out_of_memory:
            return None
        if memory.peak_reserved_bytes is not None:
            return memory.peak_reserved_bytes
        if memory.percent is None or total is None:
            return None
        return memory_bytes(memory.percent, total)

    @property
    def out_of_memory(self) -> bool:
        """Whether the card really was."""
        return isinstance(self.known.outcome, OutOfMemory)

    @property
    def ratio(self) -> float | None:
        """Predicted over known peak reserved."""
        here = self.predicted.memory.peak_reserved_bytes if self.predicted.memory else None
        return None if self.known_bytes is None or here is None else here / self.known_bytes

    @property
    def allocated_ratio(self) -> float | None:
        """Predicted over known peak allocated, which no page publishes: measured ones alone have it."""
        known = self.known.memory.peak_allocated_bytes if self.known.memory else None
        here = self.predicted.memory.peak_allocated_bytes if self.predicted.memory else None
        return None if not known or here is None else here / known

    @property
    def within(self) -> bool | None:
        """Whether the known peak is in the band."""
        known = self.known_bytes
        if known is None:
            return None
        low, high = self.prediction.reserved_low_bytes, self.prediction.reserved_high_bytes
        return low - self.rounding_bytes <= known <= high + self.rounding_bytes

    @property
    def right(self) -> bool:
        """Whether the verdict is: tight counts as fits. What torch is said not to run on was known by another torch."""
        return (self.prediction.verdict == "out_of_memory") == self.out_of_memory


def cells(predictions: Iterable[Record], known: Iterable[Record]) -> list[Cell]:
    """The known peaks of CUDA cards that have a prediction, in the order of those. Limits must be alike."""
    by_case: dict[tuple[str, int | None], list[Record]] = {}
    for prediction in predictions:
        by_case.setdefault((prediction.case.id, prediction.vram_limit_bytes), []).append(prediction)
    decimals = _decimals(known)
    pairs = []
    for record in known:
        alike = by_case.get((record.case.id, record.vram_limit_bytes), [])
        match = next((one for one in alike if _is_of(record, one)), None)
        if match is not None and match.prediction is not None and record.outcome.status in _ENDED:
            total = match.vram_limit_bytes or match.device.total_bytes or 0
            half_digit = round(total * 0.005 / 10 ** decimals.get(record.run.id, 9))
            pairs.append(Cell(record, match, match.prediction, max(_ROUNDING_BYTES, half_digit)))
    return pairs


def _decimals(known: Iterable[Record]) -> dict[str, int]:
    """How many decimals a page prints of its percentages, trailing zeros aside, by the run its records stand for."""
    decimals: dict[str, int] = {}
    for record in known:
        if record.kind == "published" and record.memory is not None and record.memory.percent is not None:
            digits = len(repr(record.memory.percent).partition(".")[2])
            decimals[record.run.id] = max(digits, decimals.get(record.run.id, 0))
    return decimals


def _is_of(record: Record, prediction: Record) -> bool:
    """Whether a record was made on the card of a prediction."""
    device, card = record.device, prediction.device
    nominal = "total_bytes" in prediction.assumed
    return card_names.is_card(device.name, device.total_bytes, card.name, card.total_bytes, nominal=nominal)


def render(predictions: Sequence[Record], known: Sequence[Record]) -> str:
    """The page. Ends in a newline."""
    parts = [
        "# Memory on cards that are not here",
        "Written by `bench report` from the records of `bench predict` and the results; edit nothing here.",
    ]
    if not predictions:
        parts.append(
            "There are no predictions yet. `bench predict docs --out results/predicted/docs.jsonl` makes them."
        )
        return "\n\n".join(parts) + "\n"
    held = cells(predictions, known)
    parts.append(markdown.bullets([*_legend(predictions), *_answer(held), *_unmatched(held, known)]))
    for group in predicted.groups(predictions):
        parts += [
            f"## {markdown.safe(group.title)}",
            _cards(group),
            markdown.folded("What a call takes", _demands(group)),
        ]
    if held:
        parts += ["## Against what is known", *_FITTED, _against(held)]
    return "\n\n".join(parts) + "\n"


def _legend(records: Sequence[Record]) -> list[str]:
    first = (
        "Every figure in the tables of cards and calls is *predicted*: by a trace of the real module, a model of "
        "torch's allocator, and workspaces of convolutions from where the last column says."
    )
    return [
        first,
        *predicted.LEGEND,
        ASSUMPTIONS,
        *map(markdown.safe, predicted.memory_notes(records)),
        *map(markdown.safe, _unsupported(records)),
        *predicted.sources(records),
    ]


def _unsupported(records: Sequence[Record]) -> list[str]:
    """Which torch runs on cards that the one predicted for has no kernels for."""
    unsupported = {
        record.prediction.reason: None
        for record in records
        if record.prediction and record.prediction.verdict == "unsupported"
    }
    return [f"no torch: {reason}." for reason in unsupported]


def _answer(held: Sequence[Cell]) -> list[str]:
    """How far off the predictions are, in a sentence a kind of figure."""
    said = []
    for kind in dict.fromkeys(cell.known.kind for cell in held):
        mine = [cell for cell in held if cell.known.kind == kind]
        ratios = [cell.ratio for cell in mine if cell.ratio is not None]
        within = [cell.within for cell in mine if cell.within is not None]
        right = sum(cell.right for cell in mine)
        text = f"Against {format_count(len(mine), f'{kind} case')}: {right} of {len(mine)} verdicts are right"
        if ratios:
            text += (
                f"; predicted over {kind} peak reserved is {min(ratios):.2f} to {max(ratios):.2f}, median "
                f"{statistics.median(ratios):.2f}; {sum(within)} of {len(within)} are within the band"
            )
        allocated = [cell.allocated_ratio for cell in mine if cell.allocated_ratio is not None]
        if allocated:
            text += f"; of peak allocated it is {min(allocated):.3f} to {max(allocated):.3f}"
        said.append(f"{text}.")
    return said


def _unmatched(held: Sequence[Cell], known: Sequence[Record]) -> list[str]:
    """Of which published cells there is no prediction here, in a sentence; empty where there is one of all."""
    seen = {id(cell.known) for cell in held}
    left: dict[str, int] = {}
    for record in known:
        if record.kind == "published" and record.outcome.status in _ENDED and id(record) not in seen:
            left[record.device.name] = left.get(record.device.name, 0) + 1
    if not left:
        return []
    cards = ", ".join(f"{count} of {markdown.safe(name)}" for name, count in left.items())
    return [f"Of these published cases there is no prediction among the records: {cards}."]


def _cards(group: predicted.Group) -> str:
    headers = ["Card", *(predicted.short(case) for case in group.cases)]
    rows = [[markdown.safe(card), *map(predicted.cell, found)] for card, found in group.rows()]
    return markdown.table(headers, rows, "l" + "r" * len(group.cases))


def _demands(group: predicted.Group) -> str:
    rows = [[*cells, markdown.safe(source)] for *cells, source in predicted.demand_rows(group)]
    return markdown.table(predicted.DEMAND_HEADERS, rows, "lrrrrrl")


def _against(held: Sequence[Cell]) -> str:
    headers = ["Card", "Case", "Known peak reserved", "Predicted", "Ratio", "Band", "Of peak allocated"]
    rows = [_row(cell) for cell in held]
    return markdown.table([*headers, "Known verdict", "Predicted verdict"], rows, "llrrrrrll")


def _row(cell: Cell) -> list[str]:
    found, here = cell.prediction, cell.predicted.memory
    known = "OOM" if cell.out_of_memory else format_bytes(cell.known_bytes)
    peak = format_bytes(here.peak_reserved_bytes) if here else "-"
    band = f"{predicted.mib(found.reserved_low_bytes)} to {predicted.mib(found.reserved_high_bytes)} MiB"
    outside = "" if cell.within in (True, None) else " (outside)"
    return [
        markdown.safe(run_details.device_label(cell.predicted)),
        markdown.safe(label_of(cell.known.case)),
        marked(known, cell.known.kind),
        marked(peak, "predicted") if here else "-",
        "-" if cell.ratio is None else f"{cell.ratio:.3f}",
        "-" if cell.out_of_memory else band + outside,
        "-" if cell.allocated_ratio is None else f"{cell.allocated_ratio:.3f}",
        "out of memory" if cell.out_of_memory else "fits",
        f"{found.verdict.replace('_', ' ')}, {found.confidence}" + ("" if cell.right else " (wrong)"),
    ]
