"""`bench remote` as a user starts it, over an endpoint that it starts itself, and over none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from misbehaving import misbehaving
from processes import bench, records, warm

from bench.record import Measured

pytest.importorskip("httpx2")
pytest.importorskip("starlette")
#: The shipped sweep in its shortest form: an encode and a decode.
SHORT = (
    *("remote", "loopback", "--loopback", "--resolution", "64", "--set", "repeats=2", "--set", "measure.few_samples=1"),
    *("--set", "remote.transports=png", "--set", "remote.load.transports=png", "--set", "remote.load.seconds=0.2"),
    *("--set", "remote.overlap.transports=png", "--set", "remote.overlap.images=3"),
)


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run of it, with a token in the environment that this endpoint does not ask for."""
    results = tmp_path_factory.mktemp("loopback")
    done = bench(*SHORT, "--out", str(results), "--json", env={"BENCH_ENDPOINT_TOKEN": "s3cret"})
    assert done.returncode == 0, done.stderr
    return results, done


def test_an_endpoint_that_is_started_for_it_is_measured(
    loopback: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    results, done = loopback
    assert json.loads(done.stdout)["counts"] == {"measured": 2}
    for record in records(results):
        assert isinstance(record.outcome, Measured)
        assert record.device.kind == "endpoint"
        assert record.device.name.startswith("loopback on ")
        assert record.case.weights == "random"
        assert record.assumed == ()
        remote = record.remote
        assert remote is not None
        assert remote.endpoint.server_device is not None
        assert "torch" in remote.endpoint.server_packages
        assert [(e.client, e.connection) for e in remote.exchanges] == [
            ("diffusers", "new"), ("bench", "new"), ("bench", "kept")
        ]  # fmt: skip
        assert record.timing == remote.exchanges[0].timing
        assert remote.checked >= 4
        assert all(exchange.server and exchange.server.compute_s for exchange in remote.exchanges[1:])
        assert [load.kind for load in remote.loads] == ["closed", "open"]
        assert remote.loads[0].errors == {}


def test_images_are_decoded_in_turn_with_generation_and_overlapped_with_it(
    loopback: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    results, _ = loopback
    encode, decode = (record.remote for record in records(results))
    assert encode is not None
    assert decode is not None
    assert encode.overlaps == ()
    assert [overlap.share for overlap in decode.overlaps] == [0.5, 1, 2]
    for overlap in decode.overlaps:
        assert overlap.generation_s == overlap.share * decode.exchanges[0].timing.median_s
        assert overlap.client == "diffusers"
        assert len(overlap.in_turn_s) == len(overlap.overlapped_s) == 2
        assert len(overlap.requests_in_turn_s) == len(overlap.requests_overlapped_s) == 6
        assert all(seconds >= overlap.images * overlap.generation_s for seconds in overlap.overlapped_s)
        whole = sum(overlap.generated_s[:6]) + sum(overlap.requests_in_turn_s)
        assert sum(overlap.in_turn_s) == pytest.approx(whole)


def test_a_video_is_measured_over_tensors_and_over_a_file(tmp_path: Path) -> None:
    # given a sweep of a video
    sweep = tmp_path / "video.yaml"
    sweep.write_text(
        "{name: video, models: tiny-hunyuan-video, operations: decode, resolutions: 48x32, frames: 5, repeats: 2, "
        "measure: {few_samples: 1, min_time: 0, max_noise: null}, remote: {transports: [pt-partial, mp4]}}"
    )
    # when an endpoint is started for it and measured
    done = bench("remote", str(sweep), "--loopback", "--out", str(tmp_path / "out"), "--json")
    # then both transports were measured, with the bytes of a latent of two frames, and the file is the smaller answer
    assert done.returncode == 0, done.stderr
    tensor, file = records(tmp_path / "out")
    assert [record.case.transport for record in (tensor, file)] == ["pt-partial", "mp4"]
    assert all(isinstance(record.outcome, Measured) for record in (tensor, file))
    assert tensor.remote is not None
    assert file.remote is not None
    assert tensor.remote.request_bytes == file.remote.request_bytes == 16 * 2 * 4 * 6 * 4
    assert tensor.remote.response_bytes == 5 * 32 * 48 * 3
    assert 0 < (file.remote.response_bytes or 0) < 5 * 32 * 48 * 3
    assert file.remote.checked > 0


def test_nothing_of_a_token_is_written(loopback: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    results, done = loopback
    assert "s3cret" not in done.stdout + done.stderr + "".join(f.read_text() for f in results.rglob("*.jsonl"))


def test_a_run_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    sweep = tmp_path / "two.yaml"
    sweep.write_text(
        "models: [tiny, sdxl]\noperations: decode\nresolutions: 64\nrepeats: 2\nremote: {transports: jpg}\n"
    )
    command = ("remote", str(sweep), "--out", str(tmp_path), "--json", "--set", "measure.max_noise=null")
    with misbehaving() as server:
        good = [f"--endpoint={model}/decode={server.url}/good" for model in ("tiny", "sdxl")]
        # given a run that is interrupted over its second case, which does not end
        stuck = (*command, good[0], f"--endpoint=sdxl/decode={server.url}/slow")
        program, environment = warm(os.environ)
        with subprocess.Popen([*program, *stuck], env=environment, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            for line in child.stderr:
                if line.startswith("[1/2]"):
                    child.send_signal(signal.SIGINT)
                    break
            said = child.stderr.read()
            assert child.wait(60) == 130, said
        assert "1 of 2 cases are kept" in said

        # when the same command is given again, then only the rest is measured
        again = bench(*command, *good)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["resumed"] == 1
    assert [record.case.model for record in records(tmp_path)] == ["tiny", "sdxl"]


def test_an_endpoint_that_is_not_there_ends_the_command_once(tmp_path: Path) -> None:
    # given a sweep of five cases, and an address at which nothing listens
    with misbehaving() as gone:
        pass
    # when it is measured
    done = bench(
        *("remote", "loopback", "--endpoint", gone.url, "--resolution", "64", "--out", str(tmp_path)),
        env={"BENCH_ENDPOINT_TOKEN": "s3cret"},
    )
    # then one error says so, and no case is on disk: the same command measures all of them later
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()].count("error") == 1
    assert gone.url in done.stderr
    assert not list(tmp_path.rglob("*.jsonl"))
    assert "s3cret" not in done.stdout + done.stderr
