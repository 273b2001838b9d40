"""`bench doctor --client` with the installed diffusers, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

COMMAND = """
import sys
sys.modules['torch'] = sys.modules['diffusers'] = sys.modules['pynvml'] = None
from bench.cli import main
sys.exit(main(['doctor', *sys.argv[1:]]))
"""


def bench_doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in which torch, diffusers and pynvml can't be imported."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **variables},
    )


def test_the_installed_client_is_told_layout_by_layout_and_the_remedy_holds() -> None:
    # Given a proxy that must not be asked for loopback
    done = bench_doctor("--client", "--json", http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
    # When the client has been tried
    said = json.loads(done.stdout)
    if said["facts"]["refused"]:
        pytest.skip(said["facts"]["refused"])  # an old diffusers has no client
    # Then each layout has a finding, none of them a problem, and what was remedied arrived
    assert (done.returncode, said["sound"]) == (0, True), done.stdout
    assert [finding["subject"] for finding in said["findings"]] == [
        *("client", "contiguous", "permuted", "channels-last", "transposed", "sliced", "expanded"),
        *("CUDA", "CUDA, permuted"),
    ]
    counts = [count for layout in said["facts"]["layouts"] for count in layout["counts"]]
    remedied = [count for count in counts if count["kind"]["remedied"]]
    assert {(count["sent"], count["differing"], count["error"]) for count in remedied} == {(20, 0, None)}
    assert {(count["kind"]["operation"], count["kind"]["dtype"]) for count in remedied} == {
        (operation, dtype) for operation in ("decode", "encode") for dtype in ("float16", "bfloat16", "float32")
    }


def test_the_client_alone_is_looked_at() -> None:
    done = bench_doctor("--client", "--ceilings")
    assert done.returncode == 2
    assert "--ceilings" in done.stderr
