"""`bench serve` in a process of its own, with the tiny model."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from endpoints import Child, read_head, serving
from processes import bench

FUZZ = Path(__file__).parents[2] / "benchmarks" / "endpoint_fuzz.py"
LATENT = "shape=1&shape=4&shape=8&shape=8&dtype=float32"
#: Calls that run long enough for a signal to meet them: attention over 96 x 96 positions.
LONG = "shape=1&shape=4&shape=96&shape=96&dtype=float32&output_type=pt"
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    limits = ("--max-pixels", "256x256", "--body-timeout", "1", "--quiet")
    with serving(tmp_path_factory.mktemp("serve"), "--model", "tiny", *limits, env=ONE_THREAD) as made:
        yield made


def decode(child: Child, query: str = f"{LATENT}&output_type=pt", body: bytes = bytes(1024)) -> httpx2.Response:
    return httpx2.post(
        f"{child.route('tiny', 'decode')}?{query}", content=body, headers={"accept": "tensor/binary"}, timeout=60
    )


def test_the_line_of_json_says_where_and_what(child: Child) -> None:
    assert child.ready_message["url"].startswith("http://127.0.0.1:")
    assert (child.ready_message["weights"], child.ready_message["noise"]) == ("random", True)
    assert child.ready_message["models"]["tiny"]["dtype"] == "float32"
    assert child.ready_message["device"]["kind"] in {"cpu", "cuda"}


def test_health_tells_versions_device_and_limits(child: Child) -> None:
    response = httpx2.get(f"{child.url}/health").json()
    assert response["ready"] is True
    assert response["versions"]["torch"]
    assert response["device"]["total_bytes"] > 0
    assert response["limits"]["max_pixels"] == 256 * 256
    assert response["models"]["tiny"]["weights_bytes"] > 0
    assert httpx2.get(f"{child.url}/ready").status_code == 200


def test_a_decode_is_served(child: Child) -> None:
    response = decode(child)
    assert response.status_code == 200, response.text
    assert json.loads(response.headers["shape"]) == [1, 3, 16, 16]
    assert len(response.content) == 3 * 16 * 16 * 4
    assert response.headers["x-weights"] == "random"


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", b"", 400),
        (LATENT, bytes(1000), 400),
        (f"{LATENT}&dtype=float16", bytes(1024), 400),
        (LATENT, b"\xff" * 1024, 422),
        ("shape=1&shape=4&shape=4096&shape=4096&dtype=float32", bytes(1024), 413),
        (LATENT, bytes(5_000_000), 413),
    ],
)
def test_after_bad_input_the_next_request_works(child: Child, query: str, body: bytes, status: int) -> None:
    response = decode(child, query, body)
    assert (response.status_code, sorted(response.json())) == (status, ["error", "reason"])
    assert decode(child).status_code == 200


def test_short_fuzz_no_500_no_hang(child: Child) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--requests", "300", "--seed", "7", "--url", child.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert decode(child).status_code == 200


def test_a_signal_lets_what_was_accepted_finish(tmp_path: Path) -> None:
    with serving(tmp_path, "--model", "tiny", env=ONE_THREAD) as child, ThreadPoolExecutor(1) as pool:
        body = bytes(4 * 4 * 96 * 96)
        accepted = pool.submit(decode, child, LONG, body)
        until_in_flight(child)
        # When it is told to stop
        child.process.send_signal(signal.SIGTERM)
        # Then the request is answered all the same, and the process ends well
        assert accepted.result().status_code == 200
        assert child.process.wait(30) == 0
        assert "stopped" in child.stderr.read_text()


def test_ctrl_c_waits_for_what_was_accepted_and_a_second_one_ends_it_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--model", "tiny", env=ONE_THREAD) as child, socket.socket() as client:
        # Given a body that does not come to its end
        host, port = child.url.removeprefix("http://").split(":")
        client.connect((host, int(port)))
        client.sendall(b"POST /tiny/decode HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        assert b"100 Continue" in read_head(client)
        child.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            child.process.wait(1)
        assert child.end(signal.SIGINT, 10) == 130


def until_in_flight(child: Child) -> None:
    """Wait until the endpoint has a request in hand."""
    due = time.monotonic() + 30
    while "bench_endpoint_in_flight 1.0" not in httpx2.get(f"{child.url}/metrics").text:
        assert time.monotonic() < due
        threading.Event().wait(0.01)


def test_a_port_in_use_is_an_error_that_says_what_to_do(child: Child) -> None:
    done = bench("serve", "--model", "tiny", "--weights", "random", "--port", child.url.rsplit(":", 1)[1])
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkpoint_that_is_none_is_an_error(tmp_path: Path) -> None:
    done = bench("serve", "--model", "tiny", "--weights", str(tmp_path), "--port", "0")
    assert done.returncode == 2
    assert "--model tiny" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_ends_with_the_parent_that_it_was_given(tmp_path: Path) -> None:
    # Given a process that starts an endpoint bound to it, waits until it listens, tells its id and ends
    parent = (
        "import os, subprocess, sys; child = subprocess.Popen([sys.executable, '-m', 'bench', 'serve', '--model', "
        "'tiny', '--weights', 'random', '--port', '0', '--with-parent', str(os.getpid())], "
        "stdout=subprocess.PIPE, stderr=subprocess.DEVNULL); child.stdout.readline(); print(child.pid)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True, timeout=100)
    pid, due = int(done.stdout), time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < due, "it outlived its parent"
        threading.Event().wait(0.05)


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
