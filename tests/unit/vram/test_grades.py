"""Quick grades agree with the verdicts of `bench predict`."""

from __future__ import annotations

import random

import pytest

from bench.core.units import GIB, MIB
from bench.record import Case, Tile
from bench.vram import cudnn, grades, verdict
from bench.vram.verdict import Card
from bench.workloads import models

CONTEXTS = (256 * MIB, 636 * MIB)


def drawn_case(draw: random.Random) -> Case:
    key = draw.choice(["sd-v1", "sdxl", "flux", "tiny"])
    width, height = (draw.randrange(8, 160) * 8 for _ in range(2))
    return Case(
        model=key,
        operation=draw.choice(["encode", "decode"]),
        axes=models.sized(key, width, height, batch=draw.choice([1, 1, 2, 3])),
        dtype=draw.choice(["float16", "bfloat16", "float32"]),
        tiling=draw.choice(["off", "off", Tile.of(256)]),
    )


@pytest.mark.parametrize("seed", range(40))
def test_grades_agree_with_the_verdict(seed: int) -> None:
    # Given a case, kernels, and a card whose memory is close to what the case takes
    draw = random.Random(seed)
    case = drawn_case(draw)
    architecture, capability = draw.choice([("ada", "8.9"), ("ampere", "8.6"), ("hopper", "9.0"), ("", "8.0")])
    kernels = cudnn.backend(architecture, capability, 4 if case.dtype == "float32" else 2)
    required = verdict.demand(case, kernels)
    least, most = required.lean_peaks.allocated_bytes, required.preferred_peaks.reserved_bytes
    card = Card(int(draw.uniform(0.8 * least, 1.1 * most)) + CONTEXTS[1], CONTEXTS)
    # When it is graded and predicted
    prediction, _, peaks = verdict.predict(case, kernels, card)
    # Then both agree
    assert grades.runs(case, kernels, card) == (peaks is not None)
    assert grades.fits(case, kernels, card) == (prediction.verdict == "fits" and prediction.confidence != "low")
    assert grades.reserved_bytes(case, kernels) == prediction.taken_reserved_bytes


def test_the_largest_tensor_of_a_decode_is_the_upsampled_one() -> None:
    case = Case(model="sdxl", operation="decode", axes=models.square("sdxl", 1024), dtype="float32")
    assert grades.largest_tensor(case) == 256 * 1024 * 1024  # 256 channels enter the last resolution
    assert grades.largest_tensor(case.model_copy(update={"tiling": Tile.of(512)})) == 256 * 512 * 512


def test_a_card_with_room_for_everything_runs_everything() -> None:
    case = Case(model="tiny", operation="encode", axes=models.square("tiny", 64), dtype="float32")
    kernels = cudnn.backend("ada", "8.9", 4)
    assert grades.fits(case, kernels, Card(8 * GIB, CONTEXTS))
    assert not grades.runs(case, kernels, Card(CONTEXTS[0], CONTEXTS))
