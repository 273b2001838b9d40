"""`bench run` as a user starts it, over the real worker and the tiny VAE."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest
from processes import BENCH, STANDIN_BENCH, bench, records

from bench.core.units import MIB
from bench.record import Failed, Measured, OutOfMemory
from bench.workloads.labels import size_of

#: What conftest.py spares the other runs.
ALL_CORES = {"OMP_NUM_THREADS": str(os.cpu_count()), "OMP_WAIT_POLICY": "PASSIVE"}
#: The smaller sizes of the smoke sweep: eight cases.
SMOKE = ("run", "smoke", "--device", "cpu", "--resolution", "64", "--resolution", "128")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """One run of the smoke sweep, on all cores: its results folder, and what `--json` printed."""
    results = tmp_path_factory.mktemp("smoke")
    done = bench(*SMOKE, "--out", str(results), "--json", env=ALL_CORES, command=BENCH)
    assert done.returncode == 0, done.stderr
    return results, json.loads(done.stdout)


def test_every_case_of_the_plan_is_measured_in_its_order(smoke: tuple[Path, dict[str, object]]) -> None:
    # Given the plan that a dry run prints
    plan = json.loads(bench(*SMOKE, "--dry-run", "--json").stdout)
    # When the sweep has been run
    results, summary = smoke
    # Then the file has those cases in that order, and the summary counts them
    assert [record.case.id for record in records(results)] == [case["id"] for case in plan["cases"]]
    assert summary["counts"] == {"measured": 8}


def test_a_record_keeps_samples_memory_and_environment(smoke: tuple[Path, dict[str, object]]) -> None:
    for record in records(smoke[0]):
        timing, memory, environment = record.timing, record.memory, record.environment
        assert timing is not None
        assert memory is not None
        assert environment is not None
        assert len(timing.samples_s) >= 3
        assert timing.stopped_by is not None
        assert timing.noise is not None
        assert record.flops
        assert timing.first_call_s is not None
        assert memory.peak_rss_bytes is not None
        assert memory.baseline_rss_bytes is not None
        assert memory.weights_bytes is not None
        growth = memory.peak_rss_bytes - memory.baseline_rss_bytes
        assert memory.peak_bytes == memory.weights_bytes + max(0, growth)
        assert {"torch", "diffusers"} <= environment.packages.keys()


def test_tiling_really_tiles_and_a_covering_tile_is_one(smoke: tuple[Path, dict[str, object]]) -> None:
    tiles = {(r.case.operation, size_of(r.case)): r.tiles for r in records(smoke[0]) if r.case.tile}
    # A 128 px image in 64 px tiles every 48 px has three starts a side, a 64 px one is covered by one tile.
    assert tiles == {("encode", "64x64"): 1, ("encode", "128x128"): 9, ("decode", "64x64"): 1, ("decode", "128x128"): 9}
    assert all(record.tiles is None for record in records(smoke[0]) if not record.case.tile)


def test_tiled_and_untiled_take_turns_when_asked_to(tmp_path: Path) -> None:
    # Given two sizes, each tiled and untiled
    narrow = ("--operation", "encode", "--resolution", "64", "--resolution", "128")
    done = bench("run", "smoke", *narrow, "--device", "cpu", "--out", str(tmp_path), "--interleave")
    # Then each case names the other of its size, and none of them broke up
    assert done.returncode == 0, done.stderr
    # and the table that ends their progress has a line for each size
    table = done.stderr.partition("Tiny encode on ")[2].splitlines()
    assert [line.split()[0] for line in table if "x" in line.split(" ms")[0] and "%" in line] == ["64x64", "128x128"]
    found = records(tmp_path)
    pairs = {record.case.id: record.interleaved_with for record in found}
    assert len(found) == 4
    assert all(pairs[other] == (mine,) for mine, (other,) in pairs.items())
    assert {
        len({r.case.axes["width"] for r in found if r.case.id in (mine, *others)}) for mine, others in pairs.items()
    } == {1}
    assert not any("alone" in warning for record in found for warning in record.warnings)


def test_faults_end_in_outcomes_and_all_others_are_measured(tmp_path: Path) -> None:
    # Given the sweep of faults, with a short time-out
    done = bench(
        "run", "faults", "--device", "cpu", "--out", str(tmp_path), "--set", "timeout=4", env={"BENCH_FAULTS": "1"}
    )
    # Then each fault has the outcome of its kind, the good cases between them are measured, and the exit code is 1
    assert done.returncode == 1, done.stderr
    outcomes = {(r.case.model, r.case.operation): r.outcome.status for r in records(tmp_path)}
    faults = {model: status for (model, operation), status in outcomes.items() if operation == "encode"}
    assert faults == {
        "tiny": "measured",
        "fault-oom": "out_of_memory",
        "fault-hang": "timed_out",
        "fault-segfault": "crashed",
        "fault-raise": "failed",
    }
    assert {status for (_, operation), status in outcomes.items() if operation == "decode"} == {"measured"}
    by_model = {r.case.model: r.outcome for r in records(tmp_path) if r.case.operation == "encode"}
    assert "SIGSEGV" in str(by_model["fault-segfault"])
    assert isinstance(by_model["fault-raise"], Failed)
    assert by_model["fault-raise"].exception == "RuntimeError"
    assert "raises on purpose" in by_model["fault-raise"].message
    assert isinstance(by_model["fault-oom"], OutOfMemory)
    assert by_model["fault-oom"].where == "host"
    assert by_model["fault-oom"].requested_bytes == 2**50
    assert all(name in done.stdout for name in ("fault-hang", "fault-segfault", "fault-raise", "fault-oom"))


def test_a_leak_is_told_and_the_next_case_has_a_worker_of_its_own(tmp_path: Path) -> None:
    # Given a case that keeps 256 MiB a call
    sweep = tmp_path / "leak.yaml"
    sweep.write_text("models: [fault-leak, tiny]\noperations: encode\nresolutions: 64\ntiling: 'off'\nrepeats: 1\n")
    sweep.write_text(sweep.read_text() + "measure: {min_time: 0, max_noise: null}\n")
    done = bench("run", str(sweep), "--device", "cpu", "--out", str(tmp_path / "results"), env={"BENCH_FAULTS": "1"})
    # Then its record says so, and the case after it begins with memory that is not its
    assert done.returncode == 0, done.stderr
    leaking, clean = records(tmp_path / "results")
    assert 512 <= int(leaking.warnings[-1].split(" MiB")[0]) < 520
    assert leaking.memory is not None
    assert clean.memory is not None
    assert leaking.memory.timing_peak_rss_bytes is not None
    assert clean.memory.baseline_rss_bytes is not None
    assert clean.memory.baseline_rss_bytes < leaking.memory.timing_peak_rss_bytes - 300 * MIB


def test_under_a_memory_limit_untiled_is_out_of_memory_and_tiled_is_measured(tmp_path: Path) -> None:
    # Given a limit that a 256 px image in one piece can't keep, and one in 64 px tiles can
    done = bench(
        *("run", "smoke", "--device", "cpu", "--out", str(tmp_path), "--vram-limit", "40MiB"),
        *("--set", "resolutions=256", "--set", "operations=decode", "--set", "repeats=1"),
        *("--set", "measure.max_noise=null", "--set", "timeout=400"),
    )
    # Then the one is out of memory, which is no failure of the run; the other is measured; per cent are of the limit
    assert done.returncode == 0, done.stderr
    untiled, tiled = records(tmp_path)
    assert isinstance(untiled.outcome, OutOfMemory)
    assert untiled.outcome.where == "host"
    assert untiled.outcome.requested_bytes
    assert isinstance(tiled.outcome, Measured)
    assert tiled.vram_limit_bytes == 40 * MIB
    assert tiled.memory is not None
    assert tiled.memory.percent is not None
    assert tiled.memory.peak_bytes is not None
    assert tiled.memory.percent == pytest.approx(tiled.memory.peak_bytes / (40 * MIB) * 100, rel=0.05)


def test_a_full_disk_stops_the_run_with_a_message_and_keeps_whole_lines(tmp_path: Path) -> None:
    # Given that no file may grow beyond a few records
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    done = bench(*SMOKE, "--out", str(tmp_path), command=STANDIN_BENCH, preexec_fn=small_files)
    # Then the run ends with one paragraph and exit code 2, and what fitted is whole
    assert done.returncode == 2
    assert "Can't write" in done.stderr
    assert "Traceback" not in done.stderr
    kept = records(tmp_path)
    assert 0 < len(kept) < 8
    # And with room again the same command completes the same file
    assert bench(*SMOKE, "--out", str(tmp_path), command=STANDIN_BENCH).returncode == 0
    assert records(tmp_path)[: len(kept)] == kept
    assert len(records(tmp_path)) == 8


def test_a_device_that_can_t_be_used_is_one_paragraph_and_exit_code_2(tmp_path: Path) -> None:
    # Given a device that is nowhere (what else is refused, test_device.py and test_session.py say)
    done = bench("run", "smoke", "--device", "cuda:99", "--out", str(tmp_path))
    # Then it says which of driver, build and device is missing, and no more
    missing = ("CPU-only build", "no usable NVIDIA driver", "sees no CUDA device", "the last is cuda:")
    assert done.returncode == 2
    assert any(reason in done.stderr for reason in missing)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.jsonl"))


def test_without_a_config_the_sweep_that_fits_is_named_with_the_reason() -> None:
    done = bench("run", "--dry-run", command=STANDIN_BENCH)
    assert done.returncode == 0
    assert "cpu.yaml, because no CUDA GPU is used: a stand-in was asked for" in done.stderr
    assert "24 cases of 'cpu'" in done.stdout
