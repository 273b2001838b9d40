"""Which records a model of times is fitted on, and what goes beyond them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import a_case, a_device, failed, measured, out_of_memory, published
from observed import GPUS, all_observed

from bench.analysis.speed.extrapolation import beyond
from bench.analysis.speed.observation import fitted, not_fitted, observations
from bench.config import load_gpus
from bench.core.work import Work
from bench.record import Record

CARD = a_device(name="NVIDIA GeForce RTX 3070", total_bytes=None)


def of(*records: Record) -> list[float]:
    return [one.seconds for one in observations(records, load_gpus(), lambda _: Work(elements=1))]


def test_published_and_measured_times_of_a_known_card_are_observed() -> None:
    found = observations(
        [published(0.05, device=CARD), measured(0.07, device=CARD)],
        load_gpus(),
        lambda case: Work(elements=case.axes["width"]),
    )

    assert [(one.kind, one.card, one.seconds) for one in found] == [
        ("published", CARD.name, 0.05),
        ("measured", CARD.name, 0.07),
    ]
    assert {one.work for one in found} == {Work(elements=64)}
    assert found[0].gpu == load_gpus().cards[CARD.name]


def test_a_card_that_shares_its_name_is_told_by_its_memory() -> None:
    twelve = a_device(name="NVIDIA GeForce RTX 3080", total_bytes=12_045 * 2**20)
    ten = a_device(name="NVIDIA GeForce RTX 3080", total_bytes=10_002 * 2**20)
    found = observations([measured(0.05, device=twelve), measured(0.07, device=ten)], load_gpus(), lambda _: Work())
    assert [one.card for one in found] == ["NVIDIA GeForce RTX 3080 12GB", "NVIDIA GeForce RTX 3080"]
    assert found[0].gpu.bandwidth_gb_s != found[1].gpu.bandwidth_gb_s


def test_decodes_are_observed_and_not_fitted() -> None:
    records = [published(0.05, device=CARD, case=a_case(operation=name)) for name in ("encode", "decode")]
    found = observations(records, load_gpus(), lambda _: Work())
    assert [one.case.operation for one in fitted(found)] == ["encode"]
    assert [one.case.operation for one in not_fitted(found)] == ["decode"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(published(0.05, device=a_device(name="NVIDIA GH200 480GB", total_bytes=None)), id="not all rates"),
        pytest.param(published(0.010, device=CARD), id="10 ms is not above 10 ms"),
        pytest.param(published(0.05), id="a card without rates"),
        pytest.param(out_of_memory(device=CARD), id="out of memory"),
        pytest.param(failed(device=CARD), id="failed"),
        pytest.param(measured(device=CARD, case=a_case(variant="channels-last")), id="another variant"),
        pytest.param(measured(device=CARD, case=a_case(transport="pt")), id="an endpoint's"),
    ],
)
def test_what_says_nothing_of_the_model_is_left_out(record: Record) -> None:
    assert of(record, published(0.011, device=CARD)) == [0.011]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ()),
        ({"size": 4096}, ()),
        ({"operation": "decode"}, ("decode (fitted on encode alone)",)),
        ({"dtype": "bfloat16"}, ("bfloat16 (fitted on float16, float32)",)),
        ({"model": "sdxl"}, ("SDXL (fitted on SD v1.5)",)),
        ({"batch": 4}, ("batch 4",)),
    ],
)
def test_what_no_time_was_observed_of_is_told(fields: dict[str, Any], told: tuple[str, ...]) -> None:
    case = a_case(**{"model": "sd-v1", "dtype": "float16"} | fields)

    assert beyond(case, GPUS["one"], all_observed()) == told


def test_a_model_in_a_precision_that_only_another_was_observed_in_is_told() -> None:
    seen = [one for one in all_observed() if one.case.dtype == "float16"]
    seen += [replace(seen[0], case=a_case(model="sdxl", dtype="float32"))]

    assert beyond(a_case(model="sdxl", dtype="float16"), GPUS["one"], seen) == ("SDXL in float16",)


def test_another_architecture_is_told() -> None:
    hopper = load_gpus().cards["NVIDIA H200"]

    assert beyond(a_case(model="sd-v1", dtype="float16"), hopper, all_observed()) == ("hopper (fitted on ampere)",)
