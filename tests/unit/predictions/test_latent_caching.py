"""The largest batch: predicted, confirmed by one run, and lowered once if that runs out of memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from factories import a_device, failed, measured, out_of_memory, refusal

from bench.analysis.training.caching import PredictedBatches, batch_of, batches_to, with_batch
from bench.config import Resolution
from bench.core.units import MIB
from bench.errors import ConfigError
from bench.plan import Plan
from bench.predictions import latent_caching, predicted_records
from bench.predictions.target_cards import choose_cards
from bench.record import Case, Memory, Record


def encode(model: str = "sd-v1", side: int = 512, dtype: str = "float16", tiling: str = "off") -> Case:
    return latent_caching.case_of(model, Resolution(width=side, height=side), None, dtype, tiling, "random")


def test_the_largest_batch_is_that_of_the_verdicts() -> None:
    # Given a card of 4 GiB
    (card,), _ = choose_cards([], "4GiB", Path("no-results"))
    batches = latent_caching.on_card(encode(), card, 256)
    # Then one image more is not predicted to fit with memory to spare
    verdicts = []
    for batch in (batches.largest, batches.largest + 1):
        prediction = predicted_records.predict(with_batch(encode(), batch), card).prediction
        verdicts.append(prediction and prediction.verdict == "fits" and prediction.confidence != "low")
    assert verdicts == [True, False]
    assert list(batches.peaks) == [batch_of_case(case) for case in batches.cases]
    assert max(batches.peaks.values()) <= batches.capacity_bytes


def batch_of_case(case: Case) -> int:
    return case.axes["batch"]


def test_no_larger_batch_than_wanted_is_considered() -> None:
    (card,), _ = choose_cards(["RTX 4090"], None, Path("no-results"))
    batches = latent_caching.on_card(encode(), card, 3)
    assert (batches.largest, batches.is_most, [*batches.peaks]) == (3, True, [1, 2, 3])


def test_a_card_that_holds_no_image_has_no_cases() -> None:
    (card,), _ = choose_cards([], "1GiB", Path("no-results"))
    batches = latent_caching.on_card(encode("sdxl", 1024, "float32"), card, 256)
    assert (batches.largest, batches.cases) == (0, ())
    assert batches.peaks[1] > batches.capacity_bytes


def test_a_cpu_takes_what_fits_its_limit() -> None:
    case = encode("tiny", 64, "float32")
    device = a_device(kind="cpu", name="CPU")
    batches = latent_caching.on_cpu(case, device, 60 * MIB, 256)
    assert batches.is_rough
    assert 1 < batches.largest < 256
    assert max(batches.peaks.values()) <= 60 * MIB
    assert latent_caching.on_cpu(case, device, None, 4).largest == 4


def test_what_is_free_on_a_host_varies_but_the_plan_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    for free_bytes in (70 * MIB, 75 * MIB):
        monkeypatch.setattr(latent_caching.host, "free_bytes", lambda free_bytes=free_bytes: free_bytes)
        batches.append(latent_caching.on_cpu(encode("tiny", 64, "float32"), a_device(kind="cpu"), None, 256))
    assert batches[0].cases == batches[1].cases
    assert batches[0].largest == 16


@pytest.mark.parametrize(
    ("model", "side", "dtype", "tiling", "word"),
    [
        ("sd-v9", 64, "float16", "off", "--model"),
        ("sd-v1", 100, "float16", "off", "104"),
        ("sd-v1", 64, "float8", "off", "--dtype"),
        ("sd-v1", 64, "float16", "30/3", "--tiling"),
    ],
)
def test_what_can_t_be_encoded_is_refused(model: str, side: int, dtype: str, tiling: str, word: str) -> None:
    assert word in refusal(ConfigError, encode, model, side, dtype, tiling)


def batches_of(largest: int, capacity_bytes: int) -> PredictedBatches:
    """Peaks of 10 MiB and 1 MiB more for each image."""
    peaks = {batch: (10 + batch) * MIB for batch in batches_to(largest)}
    return PredictedBatches(encode("tiny", 64, "float32"), "a card", peaks, largest, capacity_bytes, is_most=False)


class Machine:
    """Runs plans: batches up to `fits` are measured with 3 MiB an image, larger ones run out of memory."""

    def __init__(self, fits: int) -> None:
        self.fits, self.plans, self.told = fits, [], []  # type: ignore[var-annotated]

    def run(self, plan: Plan) -> Sequence[Record]:
        self.plans.append([batch_of_case(case) for case in plan.cases])
        return [self.record(case) for case in plan.cases]

    def record(self, case: Case) -> Record:
        batch = batch_of_case(case)
        if batch > self.fits:
            return out_of_memory(case=case)
        return measured(0.1, case=case, memory=Memory(peak_bytes=(10 + 3 * batch) * MIB))

    def confirm(self, batches: PredictedBatches) -> list[Record]:
        return latent_caching.confirm(batches, self.run, self.told.append)


def test_a_prediction_that_holds_takes_one_run_of_the_largest_batch() -> None:
    machine = Machine(fits=20)
    records = machine.confirm(batches_of(20, 64 * MIB))
    assert machine.plans == [[1, 2, 4, 8, 16, 20]]
    assert [batch_of(record) for record in records] == [1, 2, 4, 8, 16, 20]
    assert machine.told == []


def test_after_out_of_memory_one_smaller_batch_is_measured_and_no_more() -> None:
    # Given a device on which 18 images take what 54 were predicted to
    machine = Machine(fits=18)
    records = machine.confirm(batches_of(54, 64 * MIB))
    # Then the next batch follows from the measured peaks: 16 take 58 MiB, and 2 of 3 MiB more fit
    assert machine.plans == [[1, 2, 4, 8, 16, 32, 54], [18]]
    assert records[-1].case.axes["batch"] == 18
    assert "54" in machine.told[0]
    assert "18" in machine.told[0]


def test_if_that_fails_too_nothing_more_is_tried() -> None:
    machine = Machine(fits=16)
    records = machine.confirm(batches_of(54, 64 * MIB))
    assert machine.plans[1:] == [[18]]
    assert [record.outcome.status for record in records[-3:]] == ["out_of_memory"] * 3


def test_a_largest_batch_that_fails_for_another_reason_is_left_at_that() -> None:
    plans: list[Plan] = []

    def run(plan: Plan) -> Sequence[Record]:
        plans.append(plan)
        return [failed(case=case) for case in plan.cases]

    latent_caching.confirm(batches_of(4, 64 * MIB), run, lambda _: pytest.fail("nothing is to be told"))
    assert len(plans) == 1
