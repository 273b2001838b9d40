"""What a card's records state of it, and which of its environment a worker sees."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from factories import a_case, a_device, an_environment

from bench.core import identity
from bench.errors import DeviceError
from bench.fleet.card_actor import CardActor, CardOrder, described
from bench.record import Device, MeasureSettings, Package
from bench.run.messages import Done, Ready

SLEEPING = (sys.executable, str(Path(__file__).parents[2] / "sleeping_worker.py"))
READY = Ready(device=a_device(identity=identity.of("1")), environment=an_environment())


def test_which_number_a_card_has_does_not_tell_equal_cards_apart() -> None:
    first, second = (
        READY.model_copy(update={"environment": an_environment(variables={"CUDA_VISIBLE_DEVICES": number, "A": "b"})})
        for number in "01"
    )
    order = CardOrder(device="cuda")
    assert described(first, order).environment == described(second, order).environment
    assert described(first, order).environment.variables == {"A": "b"}
    assert described(first, order).device == READY.device


def test_the_program_s_version_is_that_of_the_driver_which_shipped_it() -> None:
    old = READY.model_copy(update={"environment": an_environment(packages={"hybrid-bench": Package(version="0.0.1")})})
    packages = described(old, CardOrder(device="cuda", version="9.9")).environment.packages
    assert packages == {"hybrid-bench": Package(version="9.9")}


def test_a_stand_in_is_named_for_what_it_stands_in_for_and_is_marked() -> None:
    cpu = Ready(device=Device(kind="cpu", name="Test CPU", total_bytes=2**30), environment=an_environment())
    standing_in = described(cpu, CardOrder(device="cpu", stands_in_for="H100", identity=identity.of("n/1")))
    assert standing_in.device.name == "Test CPU (standing in for H100)"
    assert standing_in.device.identity == identity.of("n/1")
    assert standing_in.environment.stand_in


@pytest.mark.parametrize(("variables", "expected"), [({}, None), ({"OMP_NUM_THREADS": "3"}, "3")])
def test_ray_s_number_of_threads_is_undone_unless_the_driver_has_one(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    CardActor(CardOrder(device="cpu", variables=variables))
    assert os.environ.get("OMP_NUM_THREADS") == expected


def test_errors_are_values_because_ray_wraps_what_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPING_NO_CUDA", "1")
    assert isinstance(CardActor(CardOrder(device="cuda", command=SLEEPING)).start(), DeviceError)


def test_a_case_is_measured_by_a_worker_below_the_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPING_SECONDS", "0")
    actor = CardActor(CardOrder(device="cpu", command=SLEEPING))
    assert isinstance(actor.start(), Ready)
    done = actor.run(a_case(), MeasureSettings(), 20)
    assert isinstance(done, Done)
    assert done.stages
    assert actor.progress() == (None, None)
    actor._executor.close()
