"""The network model against requests over a path of given round trip and rates, and what is left of such a path."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path as File

import pytest
from endpoints import until
from shaped_path import UnavailableError, joined, namespaces
from shaped_path.exchange import Caller, asked, endpoint

from bench.core.network import Path, request

pytest.importorskip("httpx2")
BENCHMARKS = File(__file__).parents[2] / "benchmarks"
PATH = Path(0.040, 20e6, 20e6, tls=False)
UP_BYTES, DOWN_BYTES, WAIT_S = 32_768, 200_000, 0.01
#: Joins a path, says which processes it has started, and waits to be killed.
KILLED = """
import subprocess, sys, time
from bench.core.network import Path
from shaped_path import joined
with joined(Path(0.01, 1e7, 1e7)):
    print(open("/proc/self/task/%d/children" % __import__("os").getpid()).read(), flush=True)
    time.sleep(60)
"""


def test_a_request_takes_what_the_model_says(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given the truest path that can be had here, 40 ms long and 20 Mbit/s wide, and an endpoint at its end
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    with joined(PATH) as sides, endpoint(sides) as at:
        record_property("path", sides.name)
        with capsys.disabled():
            sys.stdout.write(f" [path: {'; not '.join([sides.name, *sides.passed_over])}] ")
        caller = Caller(asked(at.over_path, UP_BYTES, DOWN_BYTES, WAIT_S), kept=False)
        # When requests go over it, of which the first does not count
        with sides.client_side():
            samples = [caller.call() for _ in range(4)][1:]
        caller.close()
    # Then they take what the model and the endpoint say
    simulated_s = request(sides.path, UP_BYTES, DOWN_BYTES).total_s + statistics.median(s.waited_s for s in samples)
    assert statistics.median(s.wall_s for s in samples) == pytest.approx(simulated_s, rel=0.25)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_nothing_is_left_of_a_path_whose_owner_is_killed() -> None:
    # Given a path in a process of its own
    path = os.pathsep.join([str(BENCHMARKS.parent), str(BENCHMARKS)])
    owner = subprocess.Popen(
        [sys.executable, "-P", "-c", KILLED], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert owner.stdout is not None
    started = owner.stdout.readline().split()
    assert started
    # When that is killed
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    # Then the process that was the path ends, and with it what has no name: its namespaces and devices
    until(lambda: not any(alive(pid) for pid in started))


def test_a_path_in_namespaces_ends_with_its_block() -> None:
    # Given a path of namespaces
    here = os.stat("/proc/self/ns/net").st_ino if sys.platform == "linux" else 0
    try:
        with namespaces.joined(PATH) as sides:
            with sides.client_side():
                assert os.stat("/proc/thread-self/ns/net").st_ino != here
            before = len(os.listdir("/proc/self/fd"))
            # When an error ends it
            raise KeyError
    except UnavailableError as error:
        pytest.skip(str(error))
    except KeyError:
        pass
    # Then this thread is where it was, and no descriptor of a namespace is open
    assert os.stat("/proc/thread-self/ns/net").st_ino == here
    assert len(os.listdir("/proc/self/fd")) <= before - 2


def alive(pid: str) -> bool:
    """Whether a process runs; one that has ended and was not asked for yet does not."""
    try:
        return File("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
