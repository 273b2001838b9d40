"""The CPU as it is held: no settings of a GPU, no driver, a watch that says why it reads nothing."""

from __future__ import annotations

import pytest

from bench.device.base import DeviceSoftware, Watch, Window

held = pytest.importorskip("held")


def test_a_cpu_has_no_driver_and_no_settings_of_a_gpu() -> None:
    cpu = held.the_cpu()
    assert cpu.software() == DeviceSoftware()
    assert (cpu.settings, cpu.compute_capability) == (None, None)


def test_a_cpu_says_that_it_is_no_gpu() -> None:
    watch: Watch = held.the_cpu().watch

    watch.begin()
    telemetry = watch.end([Window(0.0, 1.0)])

    assert telemetry.reason is not None
    assert telemetry.reason.startswith("not a GPU: ")
    assert watch.end_each([[], []]) == (telemetry, telemetry)
    assert watch.warnings(telemetry, 1) == ()
