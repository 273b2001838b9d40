"""Predicted beside measured memory: of a results folder in which predictions stand in for what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import a_case, measured, write_lines

from bench import config, plan
from bench.checks import predicted_memory
from bench.predictions.predicted_records import records_of
from bench.predictions.target_cards import choose_cards
from bench.record import Measured, Record

CARD = "NVIDIA GeForce RTX 4090"


@pytest.fixture(scope="module")
def as_predicted() -> Record:
    """A measured record of a case of the docs sweep whose peaks are just as predicted."""
    sweep = plan.make(config.load(config.find("docs")))
    cards, _ = choose_cards([CARD], None, Path("nothing"))
    (record,) = records_of(sweep.cases[0], cards, sweep)
    return record.model_copy(update={"kind": "measured", "prediction": None, "assumed": (), "outcome": Measured()})


def test_peaks_as_predicted_agree(as_predicted: Record) -> None:
    cards, _ = choose_cards([CARD], None, Path("nothing"))
    sweep = plan.make(config.load(config.find("docs")))
    agreement = predicted_memory.agreement(records_of(as_predicted.case, cards, sweep), [as_predicted], calibrated=True)
    assert (agreement.cases, agreement.off, agreement.within, agreement.wrong) == (1, 0.0, (True,), ())
    assert agreement.share_within == 1


def test_a_folder_without_a_measured_case_of_the_sweep_is_nothing_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(tmp_path / "device" / "run.jsonl", [measured(case=a_case(model="tiny"))])
    assert predicted_memory.main([str(tmp_path)]) == 1
    assert "docs sweep" in capsys.readouterr().out


def test_a_folder_is_compared_with_calibration_and_without(
    as_predicted: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = measured(case=as_predicted.case, device=as_predicted.device)
    write_lines(tmp_path / "device" / "run.jsonl", [record])
    assert predicted_memory.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["no limit, calibrated", "no limit, as shipped"]
    assert all("1 of 1 verdicts right" in line for line in lines)
