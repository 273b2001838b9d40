"""A push that is killed halfway leaves the repository as it was, and the same command sends everything."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from factories import a_case, a_run, measured, write_lines
from processes import BENCH
from standins import hub

pytest.importorskip("huggingface_hub")
pytest.importorskip("pyarrow")

PUSH = (*BENCH, "push", "alice/results", "results")


@pytest.mark.parametrize("moment", ["PUT /lfs/", "POST .*/commit/"])
def test_a_push_that_is_killed_leaves_the_repository_whole(moment: str, tmp_path: Path) -> None:
    # Given a repository with a run, and results with another one
    for run, size in (("run-1", 64), ("run-2", 128)):
        record = measured(case=a_case(size=size), run=a_run(id=run))
        write_lines(tmp_path / "results" / "nvidia-test" / f"{run}.jsonl", [record])
    with hub.serving() as server:
        environment = os.environ | hub.environment(server, tmp_path, "alice")
        server.create("alice/results")
        line = (tmp_path / "results" / "nvidia-test" / "run-1.jsonl").read_bytes()
        server.add("alice/results", {"results/nvidia-test/run-1.jsonl": line})
        before = dict(server.dataset("alice/results").files)

        # When the push is killed while it uploads, or as it asks for the commit
        server.kill_at(moment, lambda: process.kill())  # noqa: PLW0108 - it begins below
        process = subprocess.Popen(PUSH, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        assert process.wait(timeout=60) == -signal.SIGKILL

        # Then the repository is as it was, and the same command sends all
        assert server.dataset("alice/results").files == before
        done = subprocess.run(PUSH, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        files = server.dataset("alice/results").files
        for path in (tmp_path / "results").rglob("*.jsonl"):
            assert files[str(path.relative_to(tmp_path))] == path.read_bytes()
