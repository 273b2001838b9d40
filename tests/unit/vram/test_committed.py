"""The committed predictions are those that this version makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.predictions.target_cards import choose_cards
from bench.record import Record
from bench.store import read_file
from bench.vram.verdict import predict
from bench.workloads.labels import label_of

COMMITTED = Path(__file__).parents[3] / "results" / "predicted" / "docs.jsonl"
RECORDS = read_file(COMMITTED).records


@pytest.mark.parametrize("record", RECORDS[::37], ids=lambda one: f"{one.device.name}: {label_of(one.case)}")
def test_a_committed_prediction_is_made_again(record: Record, tmp_path: Path) -> None:
    # Given its card, and no calibration
    (card,), _ = choose_cards([record.device.name], None, tmp_path)
    # When its case is predicted
    found, _, here = predict(record.case, card.backend(record.case), card.memory())
    # Then it is the same, to the byte; only the wording of the reason may have changed since, and records older than
    # the field do not name the kernels
    committed = record.prediction
    assert committed is not None
    assert found == committed.model_copy(update={"reason": found.reason, "kernels": committed.kernels or found.kernels})
    assert (here and here.reserved_bytes) == (record.memory and record.memory.peak_reserved_bytes)


def test_twelve_cards_and_the_whole_docs_sweep_are_committed() -> None:
    assert len({record.device.name for record in RECORDS}) == 12
    assert len({record.case.id for record in RECORDS}) == 32
    assert len(RECORDS) == 12 * 32
