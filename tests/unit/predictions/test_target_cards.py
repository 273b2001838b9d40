"""Cards that only records describe."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import GIB, a_case, a_device, an_environment, measured

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
