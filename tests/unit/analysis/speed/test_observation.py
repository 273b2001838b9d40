"""Which records a model of times is fitted on."""

from __future__ import annotations

import pytest
from factories import a_case, a_device, failed, measured, out_of_memory, published
from observed import kernels

from bench.analysis.speed.observation import digest, observations, timed_calls, variant_of
from bench.config import load_gpus
from bench.core.work import Kernels
from bench.record import Case, Record

CARD = a_device(name="NVIDIA GeForce RTX 3070", total_bytes=None)


def of(*records: Record) -> list[float]:
    return [one.seconds for one in observations(records, load_gpus(), lambda _: kernels())]


def counted(case: Case) -> Kernels:
    return kernels(launches=case.axes["width"])


def test_published_and_measured_times_of_a_known_card_are_observed() -> None:
    found = observations([published(0.05, device=CARD), measured(0.07, device=CARD)], load_gpus(), counted)

    assert [(one.kind, one.card, one.seconds) for one in found] == [
        ("published", CARD.name, 0.05),
        ("measured", CARD.name, 0.07),
    ]
    assert [one.kernels.launches for one in found] == [64, 64]
    assert found[0].gpu == load_gpus().cards[CARD.name]


def test_a_card_that_shares_its_name_is_told_by_its_memory() -> None:
    twelve = a_device(name="NVIDIA GeForce RTX 3080", total_bytes=12_045 * 2**20)
    ten = a_device(name="NVIDIA GeForce RTX 3080", total_bytes=10_002 * 2**20)
    found = observations([measured(0.05, device=twelve), measured(0.07, device=ten)], load_gpus(), counted)
    assert [one.card for one in found] == ["NVIDIA GeForce RTX 3080 12GB", "NVIDIA GeForce RTX 3080"]
    assert found[0].gpu.bandwidth_gb_s != found[1].gpu.bandwidth_gb_s


def test_decodes_count_as_encodes_do() -> None:
    records = [published(0.05, device=CARD, case=a_case(operation=name)) for name in ("encode", "decode")]
    found = observations(records, load_gpus(), counted)
    assert [one.case.operation for one in found] == ["encode", "decode"]


def test_a_variant_computes_what_the_default_one_does_with_other_kernels() -> None:
    cases = [a_case(variant=variant) for variant in ("default", "sliced", "channels-last", "compiled")]
    asked: list[str] = []

    def count(case: Case) -> Kernels:
        asked.append(case.variant)
        return kernels()

    found = observations([measured(device=CARD, case=case) for case in cases], load_gpus(), count)
    assert asked == ["default", "sliced", "default", "default"]
    assert [variant_of(one.case) for one in found] == ["default", "default", "channels-last", "compiled"]


def test_a_time_whose_kernels_can_t_be_counted_is_left_out() -> None:
    assert observations([published(0.05, device=CARD)], load_gpus(), lambda _: None) == ()


def test_a_digest_tells_sets_of_times_apart_whatever_their_order() -> None:
    def digest_of(*seconds: float, kind: str = "published") -> str:
        made = published if kind == "published" else measured
        calls = timed_calls([made(each, device=CARD) for each in seconds], load_gpus())
        return digest(call for call, _ in calls)

    assert digest_of(0.05, 0.07) == digest_of(0.07, 0.05)
    different = {digest_of(0.05), digest_of(0.05, 0.07), digest_of(0.051), digest_of(0.05, kind="measured")}
    assert len(different) == 4


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(published(0.05, device=a_device(name="NVIDIA GH200 480GB", total_bytes=None)), id="not all rates"),
        pytest.param(published(0.010, device=CARD), id="10 ms is not above 10 ms"),
        pytest.param(published(0.05), id="a card without rates"),
        pytest.param(out_of_memory(device=CARD), id="out of memory"),
        pytest.param(failed(device=CARD), id="failed"),
        pytest.param(published(0.05, device=a_device(name="NVIDIA Test", total_bytes=None)), id="an unknown card"),
        pytest.param(
            published(0.05, device=CARD, case=a_case(model="unheard-of")), id="a model that is not in the zoo"
        ),
        pytest.param(measured(device=CARD, case=a_case(transport="pt")), id="an endpoint's"),
        pytest.param(measured(device=CARD, vram_limit_bytes=4 * 2**30), id="under a memory limit"),
        pytest.param(
            published(0.05, device=CARD, case=a_case(dtype="float64")), id="a precision without a place in it"
        ),
    ],
)
def test_what_says_nothing_of_the_model_is_left_out(record: Record) -> None:
    assert of(record, published(0.011, device=CARD)) == [0.011]


def test_times_of_another_class_than_the_published_ones_are_left_out() -> None:
    # given a published time, and a measured one of a model of another class on the same card
    known = published(
        0.1, device=a_device(name="NVIDIA GeForce RTX 3090", total_bytes=None), case=a_case(model="sd-v1")
    )
    other = measured(0.2, device=known.device, case=a_case(model="taesd"))
    # then it does not change the figures of the published class
    assert [call.case.model for call, _ in timed_calls([known, other], load_gpus())] == ["sd-v1"]
    assert [call.case.model for call, _ in timed_calls([other], load_gpus())] == ["taesd"]
