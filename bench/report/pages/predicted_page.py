"""Predicted memory as documents: for the terminal, and the page `reports/predicted.md`, which adds what is known."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Iterator, Sequence

from bench.core.units import format_count
from bench.record import AllocatorKind, Record
from bench.report.document import Block, Bullets, Document, Section, Terms, Text, detail
from bench.report.pages.cells import MEMORY_ASSUMED, SURE, TIGHT
from bench.report.pages.known_peaks import KnownPeak, known_peaks, unmatched
from bench.report.pages.predicted_tables import WORDS, Group, card_table, demand_table, groups, known_table, stage_table
from bench.vram import assumptions
from bench.workloads import models

_CALL_LEGEND = (
    ("Needed", "the least that the call can run in: live tensors, with kernels that need no workspace."),
    (
        "Allocated, Reserved",
        "what the call takes on a card with memory to spare, where torch uses the kernels it prefers. Allocated is the "
        "live tensors; Reserved is what torch's allocator holds; Range is the least and the most that this may be. The "
        "CUDA context comes on top.",
    ),
)
_CARD_LEGEND = (
    (
        "Share of a card",
        "peak reserved on that card, as a share of its memory, as in the docs. A tight case reserves less than it "
        "would with memory to spare.",
    ),
    ("tight", TIGHT),
    ("OOM", "out of memory."),
    ("? and ??", "medium and low confidence in the verdict before the mark."),
)
_SOURCES = {
    "calibrated": "workspaces of convolutions as `bench calibrate` measured them on that device",
    "published": "workspaces fitted to the docs' published peaks of this precision and architecture",
    "rule": "workspaces by a rule that was not checked against this precision and architecture: a wide range",
}
#: A model of the class whose published peaks the fitted workspaces come from.
_FITTED_MODEL = "sd-v1"
_FITTED = (
    "The published peaks set the assumed size of workspaces for each precision and architecture, and how wide the "
    "range is. So the ratios show how well the model fits, not how well it predicts. The verdicts depend on neither."
)


def page(predictions: Sequence[Record], known: Sequence[Record]) -> Document:
    """Predictions for cards that are not here, and how far off they are where figures are known."""
    title = "Memory on cards that are not here"
    written = Text("Written by `bench report` from the records of `bench predict` and the results; do not edit.")
    if not predictions:
        missing = (
            "There are no predictions yet. Make them with `bench predict docs --out results/predicted/docs.jsonl`."
        )
        return Document(title, (Text(missing),), (written,))
    peaks = known_peaks(predictions, known)
    return Document(
        title,
        (
            Text(
                "The predicted peak on each card, as a share of its memory: by a trace of the real module, a model of "
                "torch's allocator, and the workspaces of convolutions."
            ),
            *(_group_section(group) for group in groups(predictions)),
            *([detail("Against what is known", Text(_FITTED), known_table(peaks))] if peaks else []),
        ),
        (
            Terms(_CARD_LEGEND),
            detail("What a call takes", Terms((*_CALL_LEGEND, *_sources(predictions)))),
            Bullets(
                (
                    *(assumptions.of(allocator) for allocator in _allocators(predictions)),
                    *_memory_notes(predictions),
                    *_unsupported(predictions),
                    *_agreement(peaks),
                    *_unmatched(peaks, known),
                ),
                "What the figures rest on",
            ),
            written,
        ),
    )


def terminal(records: Sequence[Record]) -> Document:
    """Two tables for each model, operation and precision: what a case takes, and its share of each card."""
    blocks: list[Block] = []
    for group in groups(records):
        stages = stage_table(group, f"{group.title}: what each stage reserves with memory to spare (predicted)")
        blocks += [
            demand_table(group, f"{group.title}: what a call takes with memory to spare (predicted)"),
            *([stages] if stages else []),
            card_table(group, f"{group.title}: predicted share of each card's memory"),
        ]
    notes = (
        *(f"{term}: {meaning}" for term, meaning in (*_CALL_LEGEND, *_CARD_LEGEND)),
        *(assumptions.stated(os.environ, allocator) for allocator in _allocators(records)),
        *_memory_notes(records),
        *_reasons(records),
        *(f"{term}: {meaning}" for term, meaning in _sources(records)),
    )
    return Document("", (*blocks, Bullets(notes, tone="quiet")))


def _allocators(records: Iterable[Record]) -> list[AllocatorKind]:
    return list(dict.fromkeys(record.prediction.allocator for record in records if record.prediction))


def _group_section(group: Group) -> Section:
    stages = stage_table(group)
    taken = detail("What a call takes", demand_table(group), *([stages] if stages else []))
    return Section(group.title, (card_table(group), taken))


def _sources(records: Iterable[Record]) -> list[tuple[str, str]]:
    """The meaning of each word that occurs in the last column."""
    used = dict.fromkeys((record.prediction.workspaces, record.case.model) for record in records if record.prediction)
    words = dict.fromkeys(word for word, _ in used)
    return [
        (word, f"{_SOURCES[word]}{_unchecked(word, [model for each, model in used if each == word])}.")
        for word in words
    ]


def _unchecked(word: str, keys: Iterable[str]) -> str:
    """What was not checked of fitted workspaces: models of another class than the docs' tables have."""
    zoo = models.zoo()
    others = [key for key in keys if key in zoo and _class_of(key) not in (None, _class_of(_FITTED_MODEL))]
    if word != "published" or not others:
        return ""
    return (
        f"; those are of {_class_of(_FITTED_MODEL)}, and for {', '.join(others)} the same kinds of convolution "
        "are taken to need the same, which was not checked"
    )


def _class_of(key: str) -> object:
    return models.workload(key).architecture(key).get("class")


def _reasons(records: Iterable[Record]) -> list[str]:
    """Why cases are tight, out of memory or unsupported, and why it is not sure that others fit."""
    reasons = {
        (record.prediction.verdict, record.prediction.reason)
        for record in records
        if record.prediction and (record.prediction.verdict != "fits" or record.prediction.confidence == "low")
    }
    words = WORDS | {"fits": SURE["low"]}
    return [f"Why {words[verdict]}: {reason}." for verdict, reason in sorted(reasons)]


def _memory_notes(records: Iterable[Record]) -> list[str]:
    cards = dict.fromkeys(record.device.name for record in records if "total_bytes" in record.assumed)
    return [f"Memory assumed for {', '.join(cards)}: {MEMORY_ASSUMED}."] if cards else []


def _unsupported(records: Iterable[Record]) -> list[str]:
    """The torch versions that run on cards for which the predicted one has no kernels."""
    reasons = dict.fromkeys(
        record.prediction.reason
        for record in records
        if record.prediction and record.prediction.verdict == "unsupported"
    )
    return [f"no torch: {reason}." for reason in reasons]


def _agreement(peaks: Sequence[KnownPeak]) -> Iterator[str]:
    for kind in dict.fromkeys(peak.known.kind for peak in peaks):
        alike = [peak for peak in peaks if peak.known.kind == kind]
        right = sum(peak.right for peak in alike)
        text = f"Against {format_count(len(alike), f'{kind} case')}: {right} of {len(alike)} verdicts are right"
        ratios = [peak.ratio for peak in alike if peak.ratio is not None]
        within = [peak.within for peak in alike if peak.within is not None]
        if ratios:
            text += (
                f"; predicted over {kind} peak reserved is {min(ratios):.2f} to {max(ratios):.2f}, median "
                f"{statistics.median(ratios):.2f}; {sum(within)} of {len(within)} are in the predicted range"
            )
        allocated = [peak.allocated_ratio for peak in alike if peak.allocated_ratio is not None]
        if allocated:
            text += f"; for peak allocated it is {min(allocated):.3f} to {max(allocated):.3f}"
        yield f"{text}."


def _unmatched(peaks: Sequence[KnownPeak], known: Sequence[Record]) -> list[str]:
    """The published cases whose peak could have been compared, had they been predicted."""
    known = [record for record in known if record.memory is not None or record.outcome.status == "out_of_memory"]
    counts = ", ".join(f"{count} of {name}" for name, count in unmatched(peaks, known).items())
    return [f"These published cases have no prediction among the records: {counts}."] if counts else []
