"""A sweep on a Ray cluster of this machine, whose nodes declare accelerators for which CPUs stand in.

Where the worker is not the point, one that sleeps measures.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import BENCH, bench

pytest.importorskip("ray")

from clusters import LocalCluster, keys, local_cluster, records, wait_for, workers_at

from bench.fleet import node_facts
from bench.run import surroundings

TYPES = ("A100", "H100", "L4")
CASES = 12
#: A case at the gate may wait as long as a busy machine takes to start all cards.
SWEEP = ("run", "smoke", "--set", "timeout=900", "--device", "cpu", "--on", "ray")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Four nodes of three types."""
    with local_cluster(_free_port(), *TYPES, "H100") as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that nobody disturbed, through the Ray Client server."""
    results = tmp_path_factory.mktemp("undisturbed")
    on = f"ray://127.0.0.1:{cluster.client_port}"
    code, output, errors = cluster.bench(*SWEEP[:-1], on, "--json", "--out", str(results))
    assert code == 0, errors
    assert {run["title"] for run in json.loads(output)["runs"]} == set(TYPES)
    return results


def _end(driver: subprocess.Popen[str], how: int) -> tuple[int, str]:
    driver.send_signal(how)
    _, errors = driver.communicate(timeout=120)
    return driver.returncode, errors


def test_each_type_has_one_complete_result_set(undisturbed: Path) -> None:
    files = list(undisturbed.rglob("*.jsonl"))
    assert len(files) == len(TYPES)
    for name in TYPES:
        measured = records(undisturbed, name.lower())
        assert len(measured) == CASES
        assert {record.device.name for record in measured} == {f"Sleeping CPU (standing in for {name})"}
        assert all(record.run.is_shared for record in measured)
        for environment in (record.environment for record in measured):
            assert environment is not None
            assert environment.stand_in
            assert "_ray_pkg_" in environment.os, "the worker did not run from what was shipped"
            assert environment.project_commit == surroundings.project_commit()
            assert "CUDA_VISIBLE_DEVICES" not in environment.variables
            assert environment.variables.get("OMP_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS")


def _at_the_gate(results: Path, gate: Path, cards: int) -> bool:
    """Whether so many cards have measured two cases each, and wait."""
    return len(keys(results)) == 2 * cards and len(workers_at(gate)) == cards


def test_a_killed_node_loses_nothing_and_the_same_command_completes_its_type(
    cluster: LocalCluster, undisturbed: Path, tmp_path: Path
) -> None:
    # Given a sweep that is under way on every card
    out, gate = tmp_path / "out", tmp_path / "gate"
    driver = cluster.start(*SWEEP, "--out", str(out), gate=gate)
    wait_for(lambda: _at_the_gate(out, gate, 4), "two records of each card", driver)
    # When the only node of one type is killed, and one of two nodes of another
    cluster.kill("L4")
    cluster.kill("H100")
    wait_for(lambda: len(workers_at(gate)) == 2, "the workers of the killed nodes to end", driver)
    gate.touch()
    _, errors = driver.communicate(timeout=300)
    # Then the other node has measured everything, and only the type without a node is unfinished
    assert driver.returncode == 1, errors
    assert "was lost" in errors
    kept = {name: records(out, name.lower()) for name in TYPES}
    assert {name: len(kept[name]) for name in TYPES} == {"A100": CASES, "H100": CASES, "L4": 2}
    # When the nodes are back and the same command is run again
    cluster.add("L4", "H100")
    code, _, errors = cluster.bench(*SWEEP, "--out", str(out))
    assert code == 0, errors
    assert {name: records(out, name.lower())[: len(kept[name])] for name in TYPES} == kept
    assert keys(out) == keys(undisturbed)


def test_a_killed_driver_loses_nothing_and_leaves_nothing_behind(
    cluster: LocalCluster, undisturbed: Path, tmp_path: Path
) -> None:
    # Given a sweep on all cards; a second driver waits for them, and on the same folder it is refused
    out, gate = tmp_path / "out", tmp_path / "gate"
    driver = cluster.start(*SWEEP, "--out", str(out), gate=gate)
    wait_for(lambda: _at_the_gate(out, gate, 4), "two records of each card", driver)
    waiting = tmp_path / "waiting"
    second = cluster.start(*SWEEP, "--out", str(waiting), gate=gate)
    code, _, errors = cluster.bench(*SWEEP, "--out", str(out))
    assert (code, "another" in errors) == (2, True)
    assert second.stderr is not None
    wait_for(lambda: "Waiting for" in second.stderr.readline(), "the second driver to wait", second)
    # When the first one is killed
    _end(driver, signal.SIGKILL)
    # Then the second one has the cards, and says what is kept if it is interrupted
    wait_for(lambda: _at_the_gate(waiting, gate, 4), "two records of each card", second)
    code, errors = _end(second, signal.SIGINT)
    assert code == 130
    assert f"4 of {CASES} cases are kept" in errors
    assert "Traceback" not in errors
    wait_for(lambda: not workers_at(gate), "the workers to end with their drivers")
    # And the same command completes what the first one has begun
    kept = {name: records(out, name.lower()) for name in TYPES}
    code, _, errors = cluster.bench(*SWEEP, "--out", str(out))
    assert code == 0, errors
    assert keys(out) == keys(undisturbed)
    assert {name: records(out, name.lower())[: len(kept[name])] for name in TYPES} == kept


def test_nodes_whose_gpus_can_t_be_used_are_named(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_NO_CUDA", "1")
    code, _, errors = cluster.bench("run", "smoke", "--on", "ray", "--out", str(tmp_path))
    assert code == 2
    assert len(re.findall(r"error: Node \S+: .*no CUDA", errors)) == len(TYPES)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_the_real_worker_runs_from_what_was_shipped(tmp_path: Path) -> None:
    chosen = ("--operation", "decode", "--resolution", "64", "--set", "tiling=off")
    done = bench(*SWEEP, *chosen, "--out", str(tmp_path), env={"RAY_ADDRESS": "local"}, command=BENCH)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert record.device.kind == "cpu"
    assert record.timing is not None
    assert record.environment is not None
    assert record.environment.stand_in is None
    assert record.environment.packages["torch"].version.startswith(node_facts.versions()["torch"])
