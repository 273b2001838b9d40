"""The cells of the docs' tables, each with a new prediction and with what other programs would set aside for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.analysis.memory import published_peaks
from bench.analysis.memory.agreement import Cell, Guess
from bench.analysis.memory.other_programs import OTHER_PROGRAMS
from bench.core.units import ITEM_BYTES
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Measured, OutOfMemory, Record
from bench.vram import cudnn, shares
from bench.workloads import models

#: The names of this program's estimates: as `bench predict` makes them; with the shares of another architecture, as if
#: those of the card's own had not been fitted; and by the rule for unknown architectures.
PREDICTED = "this program"
OTHER_ARCHITECTURE = "shares of the other architecture"
UNKNOWN_ARCHITECTURE = "the rule for unknown architectures"
#: The estimates that a user of each program gets.
COMPARED = (PREDICTED, *OTHER_PROGRAMS)


def cells(records: Sequence[Record]) -> list[Cell]:
    """The published cells of VAE models on cards in gpus.yaml, predicted without calibrations. Loads no torch."""
    published = [record for record in records if _is_cell(record)]
    if not published:
        return []
    cards = {card.name: replace(card, calibrated={}) for card in choose_cards([], None, Path())[0]}
    published = [record for record in published if record.device.name in cards]
    digits = published_peaks.decimals(published)
    return [_cell(record, cards[record.device.name], digits) for record in published]


def _is_cell(record: Record) -> bool:
    """Whether a record is a published peak, or its absence, of a case that can be predicted."""
    if record.kind != "published" or record.case.model not in models.zoo():
        return False
    has_peak = isinstance(record.outcome, Measured) and record.memory is not None and record.memory.percent is not None
    out_of_memory = isinstance(record.outcome, OutOfMemory)
    return (has_peak or out_of_memory) and models.workload(record.case.model).is_predicted


def _cell(record: Record, card: TargetCard, digits: dict[str, int]) -> Cell:
    total_bytes, capacity_bytes = card.place.total_bytes, card.place.capacities[1]
    guess, weights_bytes = _predicted(record, card)
    guesses = {PREDICTED: guess}
    for name, architecture in _elsewhere(record, card):
        guesses[name], _ = _predicted(record, card, architecture)
    for name, estimate in OTHER_PROGRAMS.items():
        needed_bytes = estimate(record.case) + weights_bytes
        guesses[name] = Guess(needed_bytes, needed_bytes <= capacity_bytes)
    return Cell(
        record,
        published_peaks.peak_bytes(record, total_bytes),
        published_peaks.rounding_bytes(record, total_bytes, digits),
        guesses,
    )


def _elsewhere(record: Record, card: TargetCard) -> list[tuple[str, str]]:
    """Estimates as if the card had another architecture: their names and architectures, empty for an unknown one."""
    own = card.kernels[0] if card.kernels else ""
    item_bytes = ITEM_BYTES[record.case.dtype]
    others = sorted(name for width, name in shares.FITTED if width == item_bytes and name != own)
    return [*((OTHER_ARCHITECTURE, name) for name in others[:1]), (UNKNOWN_ARCHITECTURE, "")]


def _predicted(record: Record, card: TargetCard, architecture: str | None = None) -> tuple[Guess, int]:
    """The prediction of a cell, and the bytes of the weights."""
    from bench.vram import verdict

    case = record.case
    backend = card.backend(case)
    if architecture is not None:
        other = cudnn.backend(architecture, "8.0", ITEM_BYTES[case.dtype])
        backend = replace(other, cublas_bytes=backend.cublas_bytes)
    prediction, demand, peaks = verdict.predict(case, backend, card.memory())
    band = prediction.reserved_low_bytes, prediction.reserved_high_bytes
    reserved_bytes = None if peaks is None else peaks.reserved_bytes
    return Guess(reserved_bytes, peaks is not None, band), demand.weights_bytes
