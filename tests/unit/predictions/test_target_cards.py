"""Cards that only records describe."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import GIB, a_case, a_device, an_environment, measured

from bench.predictions import target_cards
from bench.predictions.target_cards import choose_cards
from bench.record import GpuSettings


@pytest.mark.parametrize(("capability", "known"), [("8.9", True), ("seven", False), ("8", False), (None, False)])
def test_an_odd_compute_capability_is_one_that_is_not_known(capability: str | None, known: bool) -> None:
    # given a card that gpus.yaml does not have, in results with this text
    environment = an_environment(gpu=GpuSettings(compute_capability=capability))
    record = measured(device=a_device(name="NVIDIA Tesla X", total_bytes=5 * GIB), environment=environment)
    # when it is predicted for
    (card,), _ = choose_cards(["Tesla X"], None, Path("no-results"), [record])
    # then its kernels are those of that capability, or else those that are assumed of any card
    assert (card.kernels is not None) is known
    assert card.backend(a_case(dtype="float16"))


def test_the_device_of_this_machine_has_its_own_memory_and_limit() -> None:
    device = a_device(name="NVIDIA GeForce RTX 4090", total_bytes=23 * GIB)
    card = target_cards.of_device(device, None, 8 * GIB, Path("no-results"))
    assert (card.name, card.kernels) == ("NVIDIA GeForce RTX 4090", ("ada", "8.9"))
    assert (card.place.total_bytes, card.place.limit_bytes) == (23 * GIB, 8 * GIB)


def test_a_device_that_gpus_yaml_lacks_is_known_by_its_memory_and_compute_capability() -> None:
    device = a_device(name="NVIDIA Made Up 1", total_bytes=10 * GIB)
    environment = an_environment(gpu=GpuSettings(compute_capability="8.9"))
    known = target_cards.of_device(device, environment, None, Path("no-results"))
    assert (known.place.gpu, known.place.total_bytes, known.kernels) == (None, 10 * GIB, ("ada", "8.9"))
    assert target_cards.of_device(device, None, None, Path("no-results")).kernels is None
