"""The command line in a process of its own, and what it wrote."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from bench import store
from bench.record import Record

BENCH = (sys.executable, "-m", "bench")
#: A worker that measures nothing and loads no torch, and the same command over it.
STANDIN = (sys.executable, str(Path(__file__).with_name("standin_worker.py")))
STANDIN_BENCH = (sys.executable, str(Path(__file__).with_name("standin_bench.py")))


_WARM = Path(__file__).with_name("warm")
_WARM_CLIENT = ("-I", "-S", str(_WARM / "client.py"))
#: Variables that a process reads before its first line of Python, or torch while it is loaded: one server for each set.
_READ_EARLY = (
    *("PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OMP_WAIT_POLICY"),
    *("STANDIN_CUDA", "STANDIN_CUDA_TOTAL", "STANDIN_CUDA_COUNT", "CUDA_VISIBLE_DEVICES"),
)


@cache
def _server(read_early: tuple[str | None, ...]) -> str:
    """The name of the socket of a `warm/server.py` that was started with these values."""
    name = f"hybrid-bench-{uuid.uuid4().hex}"
    environment = {variable: value for variable, value in os.environ.items() if variable not in _READ_EARLY}
    given = zip(_READ_EARLY, read_early, strict=True)
    environment |= {variable: value for variable, value in given if value is not None}
    server = subprocess.Popen(
        [sys.executable, "-P", str(_WARM / "server.py"), name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment | {"WARM_CLIENT": json.dumps(_WARM_CLIENT)},
        start_new_session=True,
    )
    atexit.register(server.kill)
    assert server.stdout is not None
    assert server.stdout.readline(), "tests/warm/server.py did not start"
    return name


def warm(environment: Mapping[str, str], program: str = "bench") -> tuple[tuple[str, ...], dict[str, str]]:
    """A command that runs a module or a file in a process that has torch from the beginning, and its environment.

    Importing torch and diffusers takes six seconds, and most tests are about what happens after that.
    """
    if sys.platform != "linux":  # others have no `fork` that is safe once torch is loaded
        return (sys.executable, *(() if program.endswith(".py") else ("-m",)), program), dict(environment)
    name = _server(tuple([environment.get(variable) for variable in _READ_EARLY]))
    return (sys.executable, *_WARM_CLIENT, program), {**environment, "WARM_SOCKET": name}


def bench(
    *arguments: str, env: Mapping[str, str] | None = None, command: Sequence[str] | None = None, **kwargs: object
) -> subprocess.CompletedProcess[str]:
    """Run `bench` with these arguments, and with these variables on top of the environment.

    In a process that `warm` starts, unless a command is given.
    """
    environment = {**os.environ, **(env or {})}
    if command is None:
        command, environment = warm(environment)
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env=environment,
        **kwargs,  # type: ignore[call-overload]
    )


def records(results: Path) -> list[Record]:
    """The records of the one run in a results folder."""
    (file,) = results.rglob("*.jsonl")
    return list(store.read_file(file).records)


def peak_kib(cache_folder: Path, *arguments: str) -> int:
    """The most memory that a command of `bench` takes in a process of its own, in KiB. It must succeed.

    `cache_folder`: where it keeps traces; an empty one, so that all are captured.
    """
    code = (
        f"import resource; from bench.cli import main; assert main({list(arguments)!r}) == 0; "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"XDG_CACHE_HOME": str(cache_folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])
