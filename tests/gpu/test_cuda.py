"""Everything that only a CUDA GPU can show: events, allocator peaks, NVML, a real out-of-memory and what comes after.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason. Sizes suit a card of 12 GiB or more.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories import a_case
from processes import bench, records

from bench.core.units import GIB, MIB, memory_percent
from bench.record import Case, Measured, MeasureSettings, OutOfMemory
from bench.workloads import models

torch = pytest.importorskip("torch")
import pool  # noqa: E402 - loads torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
QUICK = MeasureSettings(min_samples=3, min_time=0.0, max_time=5.0, max_noise=None)


def docs_case(model: str, operation: str, side: int, *, tiled: bool = False) -> Case:
    """A case of the docs' tables."""
    tiling = models.workload(model).default_tile(model) if tiled else "off"
    return a_case(model=model, operation=operation, size=side, dtype=models.get(model).dtype, tiling=tiling)


@pytest.fixture(autouse=True)
def empty_pool() -> Iterator[None]:
    """Leave the device as it was found."""
    yield
    pool.empty_pool()
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.fixture
def device() -> object:
    return torch.device("cuda", 0)


def _meter(device: object) -> object:
    from bench.device.base import Capacity
    from bench.device.cuda.cuda_memory import CudaMemory
    from bench.device.cuda.nvml import Nvml
    from bench.device.cuda.properties import total_bytes, uuid

    return CudaMemory(device, Nvml(uuid(device)), Capacity(total_bytes(device)), None)


def test_events_time_device_work_and_agree_with_a_synchronised_wall_clock(device: object) -> None:
    from bench.device.cuda.gpu import CudaEventClock

    # Given a call that keeps the device busy for tens of milliseconds and returns at once
    matrix = torch.randn(8192, 8192, device=device, dtype=torch.float16)

    def call() -> None:
        for _ in range(10):
            matrix @ matrix

    call()
    torch.cuda.synchronize()
    clock, walls, events = CudaEventClock(device), [], []
    # When it is timed by events and by the host around a synchronise
    for _ in range(7):
        events.append(clock.time(call))
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize()
        walls.append(time.perf_counter() - begin)
    # Then the two agree
    assert sorted(events)[3] == pytest.approx(sorted(walls)[3], rel=0.05)


def test_peaks_are_those_of_torch_s_counters_and_the_pool_was_emptied_before(device: object) -> None:
    # Given a pool with freed blocks from before
    del_me = torch.empty(512 * MIB, dtype=torch.uint8, device=device)
    del del_me
    meter = _meter(device)
    meter.begin()
    before = torch.cuda.memory_allocated(device)
    # When a call holds 96 MiB at its highest and 64 at its end
    kept = torch.empty(64 * MIB, dtype=torch.uint8, device=device)
    scratch = torch.empty(32 * MIB, dtype=torch.uint8, device=device)
    del scratch
    meter.first_call_done()
    (memory,) = meter.calls_done(weights_bytes=0)
    # Then allocated is exact, reserved covers it without the blocks from before, and both are torch's own figures
    assert memory.peak_allocated_bytes == before + 96 * MIB == torch.cuda.max_memory_allocated(device)
    assert memory.peak_reserved_bytes == torch.cuda.max_memory_reserved(device)
    assert memory.peak_allocated_bytes <= memory.peak_reserved_bytes < before + 200 * MIB
    assert memory.percent == memory_percent(
        memory.peak_reserved_bytes, torch.cuda.get_device_properties(device).total_memory
    )
    del kept


def test_what_a_case_leaves_behind_is_counted_to_the_byte(device: object) -> None:
    meter = _meter(device)
    meter.begin()
    leaked = torch.empty(3 * MIB, dtype=torch.uint8, device=device)
    assert meter.left_behind() == 3 * MIB
    del leaked
    assert meter.left_behind() == 0


def test_nvml_finds_the_device_that_torch_uses(device: object) -> None:
    from bench.device.cuda.nvml import Nvml
    from bench.device.cuda.properties import uuid

    nvml = Nvml(uuid(device))
    if nvml.reason:
        pytest.skip(nvml.reason)
    total = torch.cuda.get_device_properties(device).total_memory
    reading = nvml.total().bytes
    assert reading is not None
    assert total <= reading <= total * 1.1
    assert nvml.driver


def test_nvml_process_memory_grows_by_what_is_allocated_or_says_why_not(device: object) -> None:
    from bench.device.cuda.nvml import Nvml
    from bench.device.cuda.properties import uuid

    # Given a process with a context and an empty pool, as it is listed by the driver from then on
    torch.zeros(1, device=device)
    pool.require_empty_pool()
    nvml = Nvml(uuid(device))
    before, used = nvml.process(), nvml.used().bytes
    block = torch.ones(GIB, dtype=torch.uint8, device=device)
    torch.cuda.synchronize()
    after, used_after = nvml.process(), nvml.used().bytes
    if before.bytes is None or after.bytes is None:
        assert before.reason
        assert after.reason
    else:
        assert after.bytes - before.bytes >= block.numel()
    assert used is not None
    assert used_after is not None
    assert used_after - used >= 0.9 * block.numel()


def _session(limit: int | None = None) -> object:
    from bench.run.worker.session import Session

    return Session("cuda:0", limit)


def _ignore(_: str) -> None:
    return None


@pytest.mark.parametrize(("model", "operation"), [("sd-v1", "encode"), ("sd-v1", "decode"), ("sdxl", "decode")])
def test_a_case_s_peak_is_that_of_the_same_call_by_hand(model: str, operation: str) -> None:
    from bench.workloads.vae_classes.module import VaeOnDevice

    # Given a case measured by a session
    case = docs_case(model, operation, 512)
    done = _session().run(case, QUICK, _ignore)
    assert isinstance(done.outcome, Measured), done.outcome
    (stage,) = done.stages
    assert stage.memory is not None
    gc.collect()
    torch.cuda.empty_cache()
    # When the same call is made by hand on an empty pool
    device = torch.device("cuda", 0)
    workload = VaeOnDevice(case, device)
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    call: Callable[[], object] = workload.prepare(case).run
    with torch.inference_mode():
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    # Then torch's counters say the same
    assert stage.memory.peak_allocated_bytes == torch.cuda.max_memory_allocated(device)
    assert stage.memory.peak_reserved_bytes == torch.cuda.max_memory_reserved(device)


def test_peak_allocated_is_the_same_in_any_order_of_cases() -> None:
    cases = [docs_case("sd-v1", "encode", side) for side in (256, 1024, 512)]
    session = _session()

    def peak(case: Case) -> int:
        (stage,) = session.run(case, QUICK, _ignore).stages
        return stage.memory.peak_allocated_bytes

    forward = {case.id: peak(case) for case in cases}
    backward = {case.id: peak(case) for case in reversed(cases)}
    assert forward == backward


def test_under_a_limit_untiled_is_out_of_memory_tiled_is_measured_and_the_next_case_too(tmp_path: Path) -> None:
    # Given SDXL in float32 under 8 GiB, where the docs have OOM at 2048 untiled and a figure tiled
    done = bench(
        *("run", "docs", "--device", "cuda:0", "--out", str(tmp_path), "--vram-limit", "8GiB", "--model", "sdxl"),
        *("--operation", "encode", "--resolution", "2048", "--resolution", "1024", "--set", "repeats=3"),
    )
    assert done.returncode == 0, done.stderr
    outcomes = {(r.case.axes["width"], r.case.tile is not None): r for r in records(tmp_path)}
    refused = outcomes[2048, False].outcome
    assert isinstance(refused, OutOfMemory)
    assert refused.where == "device"
    assert refused.requested_bytes
    # Then all others are measured, in the memory that the limit leaves beside the context, and per cent are of 8 GiB
    for key in ((2048, True), (1024, False), (1024, True)):
        record = outcomes[key]
        assert isinstance(record.outcome, Measured), record.outcome
        memory = record.memory
        assert memory is not None
        assert memory.peak_reserved_bytes is not None
        assert memory.context_bytes is not None
        assert memory.peak_reserved_bytes + memory.context_bytes <= 8 * GIB
        footprint = memory.nvml_process_bytes
        assert footprint is None or footprint <= 8 * GIB + 256 * MIB  # code that was loaded after the context's measure
        assert memory.percent == memory_percent(memory.peak_reserved_bytes, 8 * GIB)


def test_a_limit_below_the_context_is_refused_with_its_size(tmp_path: Path) -> None:
    done = bench("run", "smoke", "--device", "cuda", "--vram-limit", "32MiB", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "context alone takes" in done.stderr


def test_a_device_that_is_not_there_is_refused_with_their_number(tmp_path: Path) -> None:
    done = bench("run", "smoke", "--device", "cuda:99", "--out", str(tmp_path))
    assert done.returncode == 2
    assert f"cuda:{torch.cuda.device_count() - 1}" in done.stderr


def test_the_default_sweep_is_the_docs_one() -> None:
    done = bench("run", "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert plan["config"] == "docs"
    assert len(plan["cases"]) == 32
    assert "is a CUDA GPU" in done.stderr


def test_faults_on_the_device_are_outcomes_and_good_cases_between_them_are_measured(tmp_path: Path) -> None:
    done = bench(
        *("run", "faults", "--device", "cuda:0", "--out", str(tmp_path), "--set", "timeout=15"),
        env={"BENCH_FAULTS": "1"},
    )
    assert done.returncode == 1, done.stderr
    faults = {r.case.model: r.outcome for r in records(tmp_path) if r.case.operation == "encode"}
    refused = faults["fault-oom"]
    assert isinstance(refused, OutOfMemory)
    assert refused.where == "device"
    assert {name: outcome.status for name, outcome in faults.items()} == {
        "tiny": "measured",
        "fault-oom": "out_of_memory",
        "fault-hang": "timed_out",
        "fault-segfault": "crashed",
        "fault-raise": "failed",
    }
    assert all(r.outcome.status == "measured" for r in records(tmp_path) if r.case.operation == "decode")


def test_cases_that_take_turns_have_the_peaks_that_they_have_alone() -> None:
    from bench.run.worker.session import Session

    # Given a case in two precisions, tiled and untiled
    held = Session("cuda", None)
    tilings = ("off", models.workload("sd-v1").default_tile("sd-v1"))
    cases = [
        a_case(model="sd-v1", size=768, dtype=dtype, tiling=tiling)
        for dtype in ("float16", "bfloat16")
        for tiling in tilings
    ]
    # When they take turns, and then each is measured alone
    together = held.run_interleaved(cases, QUICK, lambda _: None)
    assert isinstance(together, tuple), together
    alone = [held.run(case, QUICK, lambda _: None) for case in cases]
    # Then each first call allocated the same bytes, and their times agree
    for turned, single in zip(together, alone, strict=True):
        (in_turns,), (by_itself,) = turned.stages, single.stages
        assert in_turns.memory.peak_allocated_bytes == by_itself.memory.first_call_peak_allocated_bytes
        assert turned.leaked_bytes == single.leaked_bytes == 0
        assert in_turns.timing.median_s == pytest.approx(by_itself.timing.median_s, rel=0.1)
