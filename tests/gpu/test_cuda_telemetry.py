"""The telemetry of a real GPU: readings while it works, energy by two ways, and that watching costs nothing.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.core import stats
from bench.core.clock_reasons import reason_names
from bench.device.base import Window, windowed
from bench.device.cuda import gpu_watch, telemetry
from bench.device.cuda.nvml import Nvml
from bench.record import Telemetry

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
ROOT = Path(__file__).parents[2]
KNOWN_REASONS = reason_names(0x7FF)


@pytest.fixture
def device() -> object:
    return torch.device("cuda", 0)


@pytest.fixture
def uuid(device: object) -> str | None:
    from bench.device.cuda import properties

    return properties.uuid(device)


@pytest.fixture
def nvml(uuid: str | None) -> Nvml:
    opened = Nvml(uuid)
    if opened.reason:
        pytest.skip(opened.reason)
    return opened


@pytest.fixture
def watched(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> Iterator[gpu_watch.GpuWatch]:
    """A watch whose sampler is up."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    made = gpu_watch.GpuWatch(nvml)
    made.prepare()
    made.end([])
    yield made
    made.close()


def load(device: object, about_s: float) -> Callable[[], float]:
    """A call that keeps the device busy for about that long, and returns the seconds by events."""
    from bench.device.cuda.gpu import CudaEventClock

    matrix = torch.randn(4096, 4096, device=device, dtype=torch.float16)
    clock = CudaEventClock(device)

    def times(count: int) -> Callable[[], None]:
        return lambda: [torch.mm(matrix, matrix) for _ in range(count)] and None

    clock.time(times(10))
    one_s = clock.time(times(50)) / 50
    call = times(max(1, round(about_s / one_s)))
    return lambda: clock.time(call)


def run_for(time_once: Callable[[], float], seconds: float) -> tuple[list[float], list[Window]]:
    """Call for so long: seconds of each call, and when it ran."""
    samples: list[float] = []
    windows: list[Window] = []
    noted = windowed(time_once, windows)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        samples.append(noted())
    return samples, windows


def observe(
    watched: gpu_watch.GpuWatch, time_once: Callable[[], float], seconds: float
) -> tuple[Telemetry, list[Window]]:
    watched.begin()
    _, windows = run_for(time_once, seconds)
    return watched.end(windows), windows


def test_readings_arrive_while_the_gpu_works_and_are_within_its_limits(
    watched: gpu_watch.GpuWatch, nvml: Nvml, device: object
) -> None:
    # Given a second of load to begin with
    time_once, settings = load(device, 0.02), nvml.settings()
    run_for(time_once, 1.0)
    # When two seconds are watched
    seen, _ = observe(watched, time_once, 2.0)
    # Then there is a reading every 50 ms or so, and each quantity is possible
    assert seen.reason is None
    assert 20 <= seen.readings <= 45
    assert seen.sm_clock_hz is not None
    assert 0 < seen.sm_clock_hz.low <= seen.sm_clock_hz.high <= (settings.sm_clock_max_hz or 5e9)
    assert seen.temperature_c is None or 10 < seen.temperature_c.median < 110
    if seen.power_w is not None and settings.power_limit_w is not None:
        assert 0 < seen.power_w.low <= seen.power_w.high <= 1.2 * settings.power_limit_w
        assert seen.power_w.median > 0.2 * settings.power_limit_w
    assert set(seen.throttle_reasons) <= set(KNOWN_REASONS)


def test_the_energy_counter_and_integrated_power_agree(
    watched: gpu_watch.GpuWatch, nvml: Nvml, device: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if nvml.energy_j() is None:
        pytest.skip("this GPU has no energy counter")
    # Given a GPU under load for longer than the second over which its power may be averaged
    time_once = load(device, 0.02)
    run_for(time_once, 1.5)
    # When two seconds are watched with the counter, and two without
    counted, _ = observe(watched, time_once, 2.0)
    monkeypatch.setattr(Nvml, "energy_j", lambda _: None)
    integrated, _ = observe(watched, time_once, 2.0)
    # Then a call took the same by both
    assert counted.energy_source == "total energy counter", counted.energy_reason
    assert integrated.energy_source == "integrated power", integrated.energy_reason
    assert counted.energy_per_call_j == pytest.approx(integrated.energy_per_call_j, rel=0.25)


def test_a_case_of_half_a_second_has_energy_within_a_third_of_a_long_one_s(
    watched: gpu_watch.GpuWatch, device: object
) -> None:
    # Given the shortest case that the default settings make, by whichever way its energy is told
    time_once = load(device, 0.02)
    run_for(time_once, 1.5)
    short, _ = observe(watched, time_once, telemetry.INTEGRATION_WINDOW_S + 0.1)
    long, _ = observe(watched, time_once, 3.0)
    if short.energy_per_call_j is None or long.energy_per_call_j is None:
        pytest.skip(f"{short.energy_reason} {long.energy_reason}")
    assert short.energy_per_call_j == pytest.approx(long.energy_per_call_j, rel=0.33)


def test_watching_does_not_change_the_time_of_a_short_call(watched: gpu_watch.GpuWatch, device: object) -> None:
    # Given a call of about a millisecond on a GPU that is warm
    time_once = load(device, 0.001)
    run_for(time_once, 3.0)
    plain: list[float] = []
    turns: list[list[float]] = []
    seen: list[float] = []
    # When seconds with and without the sampler take turns, so that drift hits both
    for place in (0, 1, 1, 0, 0, 1, 1, 0):
        if place:
            watched.begin()
        samples, windows = run_for(time_once, 1.0)
        (seen if place else plain).extend(samples)
        if not place:
            turns.append(samples)
        if place:
            assert watched.end(windows).readings > 0
    # Then the medians differ by no more than calls of a millisecond do by themselves: twice the spread of the plain
    # turns' own medians, or three hundredths, which is a few clock steps of 15 MHz in 1.5 GHz and the host's launches
    medians = [stats.median(turn) for turn in turns]
    own = (max(medians) - min(medians)) / stats.median(medians)
    assert stats.median(seen) == pytest.approx(stats.median(plain), rel=max(0.03, 2 * own))


def test_stamps_of_the_sampler_fall_into_the_worker_s_windows(watched: gpu_watch.GpuWatch, device: object) -> None:
    # Given half a second of idling, a second of load, and half a second of idling, all of it watched
    time_once = load(device, 0.05)
    watched.begin()
    time.sleep(0.5)
    _, windows = run_for(time_once, 1.0)
    time.sleep(0.5)
    seen = watched.end(windows)
    # Then only the load's readings count: a clock that differed between the processes would show here
    assert 8 <= seen.readings <= 24


def test_settings_and_neighbours_are_plausible(nvml: Nvml, device: object) -> None:
    settings = nvml.settings()
    properties = torch.cuda.get_device_properties(device)

    assert settings.compute_capability in {None, f"{properties.major}.{properties.minor}"}
    assert settings.multiprocessors is None
    for hertz in (settings.sm_clock_default_hz, settings.sm_clock_max_hz, settings.memory_clock_max_hz):
        assert hertz is None or 0.3e9 < hertz < 3e10
    for watts in (settings.power_limit_w, settings.power_default_w):
        assert watts is None or 10 < watts < 3000
    neighbours = settings.neighbours
    assert neighbours.count is None or 0 <= neighbours.count < 1000
    assert neighbours.bytes is None or 0 <= neighbours.bytes <= properties.total_memory * 1.1
    assert neighbours.utilization is None or 0 <= neighbours.utilization <= 1


def test_the_driver_supports_the_cuda_that_torch_was_built_for_or_an_older_one_of_its_kind(nvml: Nvml) -> None:
    version = nvml.cuda_version()
    assert version is not None
    assert int(version.split(".")[0]) >= int(torch.version.cuda.split(".")[0])
