"""A Ray cluster on this machine, whose nodes declare accelerators that are not there; and `bench` on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench import store
from bench.record import Record

FLEET = (sys.executable, str(Path(__file__).with_name("standin_fleet.py")))
#: Nothing is reported to Ray's makers.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


@dataclass
class LocalCluster:
    """A head without processors, and nodes of one card each. `client_port` is that of its Ray Client server."""

    ray: Any
    client_port: int
    nodes: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What RAY_ADDRESS is to say."""
        return str(self.ray.address)

    def add(self, *types: str) -> None:
        """Add a node for each of these accelerators, and wait until all are there."""
        for name in types:
            node = self.ray.add_node(
                wait=False, num_cpus=1, num_gpus=1, resources={f"accelerator_type:{name}": 1}, object_store_memory=80e6
            )
            self.nodes.setdefault(name, []).append(node)
        self.ray.wait_for_nodes(timeout=150)  # of a busy machine

    def kill(self, name: str) -> None:
        """Kill a node of this type without a word."""
        self.ray.remove_node(self.nodes[name].pop(), allow_graceful=False)

    def start(self, *arguments: str, gate: Path | None = None) -> subprocess.Popen[str]:
        """Start `bench` with these arguments and workers that sleep; none gets beyond two cases without the gate."""
        gated = {"STANDIN_GATE": str(gate)} if gate else {}
        return subprocess.Popen(
            [*FLEET, *arguments],
            env={**os.environ, **_QUIET, "RAY_ADDRESS": self.address, **gated},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bench(self, *arguments: str) -> tuple[int, str, str]:
        """The exit code and what was printed, on standard output and standard error."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=300)
        return process.returncode, output, errors


@contextmanager
def local_cluster(port: int, *types: str) -> Iterator[LocalCluster]:
    """A cluster of these accelerators, a node each, until the block ends."""
    os.environ.update(_QUIET)
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "ray_client_server_port": port, "object_store_memory": 80e6}
    # a killed node is noticed within seconds, and no process is started before it is needed
    config = {"health_check_period_ms": 1000, "health_check_initial_delay_ms": 1000}
    head["_system_config"] = config | {"enable_worker_prestart": False, "prestart_worker_first_driver": False}
    cluster = LocalCluster(Cluster(initialize_head=True, head_node_args=head), port)
    try:
        cluster.add(*types)
        yield cluster
    finally:
        cluster.ray.shutdown()


def keys(results: Path) -> set[tuple[object, ...]]:
    """The keys of all records, without run and time. No two may be alike."""
    records = [record for path in results.rglob("*.jsonl") for record in store.read_file(path).records]
    shortened = [record.key[:-1] for record in records]
    assert len(shortened) == len(set(shortened)), "a case was recorded twice"
    return set(shortened)


def records(results: Path, word: str = "") -> list[Record]:
    """The records in the folders whose names have this word."""
    paths = [path for path in results.rglob("*.jsonl") if word in path.parent.name]
    return [record for path in paths for record in store.read_file(path).records]


def wait_for(condition: Callable[[], object], what: str, process: subprocess.Popen[str] | None = None) -> None:
    """Wait until the condition holds; fails if this process ends before, or after five minutes."""
    deadline = time.monotonic() + 300
    while not condition():
        assert process is None or process.poll() is None, f"it ended before {what}: {process.communicate()}"
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)


def workers_at(gate: Path) -> Sequence[psutil.Process]:
    """The workers that this gate was named to."""
    return [process for process in psutil.process_iter() if _gate_of(process) == str(gate)]


def _gate_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SLEEPING_GATE")
    except psutil.Error:  # it has ended, or is not ours
        return None
