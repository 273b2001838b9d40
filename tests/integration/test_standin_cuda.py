"""The CUDA path end to end, kernels aside, on the stand-in of torch.cuda: each command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import sent_bundles
from endpoints import Child, serving
from processes import bench, records, warm
from standins import nvml_library as nvml

from bench import store
from bench.cli import main
from bench.core.units import MIB
from bench.record import Measured, OutOfMemory, Record
from bench.sharing.accept.acceptance import Request, judge

ROOT = Path(__file__).parents[2]
STANDIN = ROOT / "tests" / "standins" / "torch_cuda"
SMALL = ("--resolution", "64", "--resolution", "192", "--operation", "decode", "--set", "repeats=3")


def on_standin(**variables: str) -> dict[str, str]:
    """What the environment of a process on the stand-in has besides.

    One thread: the threads of small kernels mostly wait for each other where other tests want the cores as well.
    """
    paths = [str(STANDIN), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **variables}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of the small sweep under a limit of which the context leaves 8 MiB."""
    folder = tmp_path_factory.mktemp("standin")
    limit = ("--vram-limit", "520MiB")
    done = bench("run", "smoke", "--device", "cuda", "--out", str(folder), *SMALL, *limit, env=on_standin())
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_on_cuda_under_a_limit_has_measured_cases_and_out_of_memory_and_goes_on(measured: Path) -> None:
    outcomes = {(r.case.axes["width"], r.case.tile is not None): r for r in records(measured)}
    fits, refused = outcomes[64, False], outcomes[192, False]
    assert isinstance(fits.outcome, Measured)
    assert fits.device.kind == "cuda"
    assert fits.timing is not None
    assert fits.timing.clock == "cuda_event"
    assert fits.memory is not None
    assert 0 < fits.memory.weights_bytes < fits.memory.peak_allocated_bytes <= fits.memory.peak_reserved_bytes
    assert fits.memory.peak_reserved_bytes <= 8 * 2**20
    assert isinstance(refused.outcome, OutOfMemory)
    assert refused.outcome.where == "device"
    assert refused.outcome.requested_bytes


def test_its_records_are_marked_and_no_report_takes_them(measured: Path) -> None:
    found = records(measured)
    assert all(r.environment and r.environment.stand_in for r in found)
    files, warnings = store.read([measured])
    assert [file.records for file in files] == [()]
    assert len(warnings) == 1


def test_its_bundle_is_refused_unless_a_stand_in_s_is_asked_for(measured: Path, tmp_path: Path) -> None:
    made = records(measured)
    sent = sent_bundles.bundled(tmp_path, made, stand_in=made[0].environment and made[0].environment.stand_in)
    for allowed, refused in ((False, {"stand-in"}), (True, set())):
        request = Request(tmp_path / "scratch", allow_stand_in=allowed)
        findings = judge(sent, request)[0].findings
        assert {finding.check for finding in findings if finding.severity == "refused"} == refused


def test_its_bundle_is_refused_by_its_clock_if_the_marks_are_removed(measured: Path, tmp_path: Path) -> None:
    unmarked = [
        record.model_copy(update={"environment": record.environment.model_copy(update={"stand_in": None})})
        for record in records(measured)
        if record.environment is not None
    ]
    findings = judge(sent_bundles.bundled(tmp_path, unmarked), Request(tmp_path / "results"))[0].findings
    assert ("refused", "clock") in {(finding.severity, finding.check) for finding in findings}


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory, nvml_library: Path) -> tuple[list[Record], list[Record]]:
    """Records of a run without a limit, by torch's stand-in and NVML's: as SIGKILL left them, and once completed."""
    folder = tmp_path_factory.mktemp("resumed")
    processes = folder / "processes"
    processes.write_text(f"0 {700 * MIB}\n")
    env = nvml.environment(nvml_library, "h100", processes=processes) | on_standin()
    out = folder / "out"
    arguments = ("run", "smoke", "--device", "cuda", "--out", str(out), "--operation", "decode", "--quiet")
    arguments += ("--resolution", "64", "--resolution", "72", "--resolution", "80", "--set", "repeats=3")
    command, environment = warm({**os.environ, **env})
    with subprocess.Popen([*command, *arguments], env=environment) as parent:
        deadline = time.monotonic() + 300
        while not list(out.rglob("*.jsonl")):
            assert parent.poll() is None, "the run ended before its first record"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        parent.send_signal(signal.SIGKILL)
    killed = records(out)
    done = bench(*arguments, env=env)
    assert done.returncode == 0, done.stderr
    return killed, records(out)


def test_a_run_that_was_killed_goes_on_after_its_last_whole_record(resumed: tuple[list[Record], list[Record]]) -> None:
    killed, completed = resumed
    assert 0 < len(killed) < len(completed) == completed[0].run.cases
    assert completed[: len(killed)] == killed
    assert len({record.case.id for record in completed}) == len(completed)


def test_without_a_limit_on_both_stand_ins_every_record_tells_the_driver_s_side_too(
    resumed: tuple[list[Record], list[Record]],
) -> None:
    for record in resumed[1]:
        assert isinstance(record.outcome, Measured)
        assert record.vram_limit_bytes is None
        assert record.memory is not None
        assert record.memory.nvml_process_bytes == 700 * MIB
        assert record.memory.context_bytes is not None
        assert record.telemetry is not None
        assert record.environment is not None
        assert record.environment.driver
        assert record.environment.nvml_reason is None
        assert record.environment.torch_settings is not None
        assert record.environment.stand_in


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """`bench serve` on the stand-in."""
    folder = tmp_path_factory.mktemp("serve")
    with serving(folder, "--model", "tiny", "--device", "cuda", "--no-token", "--quiet", env=on_standin()) as child:
        yield child


def test_an_endpoint_on_the_device_decodes_and_tells_of_the_stand_in(endpoint: Child) -> None:
    query = "shape=1&shape=4&shape=8&shape=8&dtype=float32&output_type=pt"
    headers = {"accept": "tensor/binary"}
    said = httpx2.post(f"{endpoint.route('tiny', 'decode')}?{query}", content=bytes(1024), headers=headers, timeout=60)
    assert said.status_code == 200, said.text
    assert json.loads(said.headers["shape"]) == [1, 3, 16, 16]
    health = httpx2.get(f"{endpoint.url}/health").json()
    assert health["device"]["kind"] == "cuda"
    assert health["stand_in"]


def test_a_client_without_the_stand_in_measures_it_and_its_records_are_marked(endpoint: Child, tmp_path: Path) -> None:
    # Given an endpoint on the stand-in, and a client on this machine as it is
    arguments = ("remote", "loopback", "--endpoint", endpoint.url, "--resolution", "64", "--set", "repeats=2")
    arguments += ("--set", "measure.few_samples=1", "--set", "remote.transports=png")
    arguments += ("--set", "remote.load.seconds=0.2")
    # When it measures an encode and a decode
    done = bench(*arguments, "--out", str(tmp_path / "out"))
    # Then both are measured, say what the server's device is, and are left out of what is read
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "out")
    assert {record.case.operation for record in found} == {"encode", "decode"}
    for record in found:
        assert isinstance(record.outcome, Measured)
        assert record.environment is not None
        assert record.environment.stand_in is None
        assert record.remote is not None
        assert record.remote.endpoint.server_device is not None
        assert record.remote.endpoint.server_device.kind == "cuda"
        assert record.remote.endpoint.stand_in
    assert [file.records for file in store.read([tmp_path / "out"])[0]] == [()]
    # And they are refused where results lie
    assert main([*arguments, "--out", str(tmp_path / "results")]) == 2
    assert not list((tmp_path / "results").rglob("*.jsonl"))


def test_results_refuse_a_stand_in(tmp_path: Path) -> None:
    done = bench("run", "smoke", "--device", "cuda", *SMALL, env=on_standin(), cwd=tmp_path)
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert not list(tmp_path.rglob("*.jsonl"))


def test_doctor_sees_the_device(tmp_path: Path) -> None:
    done = bench("doctor", "--device", "cuda", "--json", "--out", str(tmp_path), env=on_standin())
    facts = json.loads(done.stdout)["facts"]
    assert facts["device"]["kind"] == "cuda"
    assert facts["found"]["gpu"]["capability"] == "9.0"
    assert facts["environment"]["stand_in"]


def test_a_device_that_fails_late_is_refused_with_its_reason_and_auto_takes_the_cpu(tmp_path: Path) -> None:
    env = on_standin(STANDIN_CUDA="fails-late")
    arguments = ("run", "smoke", "--resolution", "64", "--operation", "decode", "--set", "repeats=3")
    refused = bench(*arguments, "--device", "cuda", "--out", str(tmp_path), env=env)
    assert refused.returncode == 2
    assert "device kernel image is invalid" in refused.stderr
    assert "Traceback" not in refused.stderr
    taken = bench(*arguments, "--device", "auto", "--out", str(tmp_path), env=env)
    assert taken.returncode == 0, taken.stderr
    assert {r.device.kind for r in records(tmp_path)} == {"cpu"}


def test_serve_on_a_device_that_fails_late_ends_with_its_reason() -> None:
    env = on_standin(STANDIN_CUDA="fails-late")
    done = bench("serve", "--model", "tiny", "--weights", "random", "--device", "cuda", "--port", "0", env=env)
    assert done.returncode == 2
    assert "device kernel image is invalid" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_tour_runs_a_decode_in_the_model_s_own_precision_and_keeps_what_it_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_tour.py"), "--out", str(tmp_path)]
    command += ["--only", "decode-batches", "--model", "tiny", "--resolution", "64"]
    env = {**os.environ, **on_standin()}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads((tmp_path / "gpu_tour" / "summary.json").read_text())
    assert (result["name"], result["status"]) == ("decode-batches", "ran")
    figures = json.loads((tmp_path / "gpu_tour" / "decode-batches.json").read_text())
    assert figures["dtype"] == "float32"
    assert figures["batch_1_s"] > 0
    assert figures["stand_in"]


@pytest.mark.parametrize(("persona", "folder"), [("no-device", "out"), ("", "results")])
def test_the_tour_runs_nothing_without_a_gpu_or_for_results_on_a_stand_in(
    tmp_path: Path, persona: str, folder: str
) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_tour.py"), "--out", str(tmp_path / folder)]
    env = {**os.environ, **on_standin(STANDIN_CUDA=persona)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())
