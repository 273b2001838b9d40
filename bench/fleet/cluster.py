"""The connection to a Ray cluster: finding it, shipping this program to it, and what its nodes are.

Ray prints and sends much that nobody asked for; here it is silenced, and no usage is reported to its makers.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import grpc
import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import bench
from bench.errors import ClusterError, listed, printable
from bench.fleet import node_facts
from bench.fleet.address import CLIENT, OWN, VARIABLE
from bench.fleet.card_types import TYPE_LABEL, TYPE_RESOURCE, Node
from bench.fleet.ray_messages import last_line

#: What Ray reads from the environment. GPUs of a probe without any must stay visible; a node's own setting of CPU
#: threads too; and nothing is sent to Ray's makers.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}
_REACH_S, _PROBE_S = 5.0, 180.0
#: The folder of sweeps: in the package, or in a checkout beside it.
_SWEEPS = "configs"


@contextmanager
def connected(address: str, variables: Mapping[str, str]) -> Iterator[None]:
    """A connection to a cluster (`address_of`), to which this program is shipped, with these environment variables.

    `local` starts one, which ends with the block. Raises ClusterError if nothing answers, or if it has other versions.
    What runs on the cluster for the block ends with it. What Ray prints on standard output is left out.
    """
    handler = signal.getsignal(signal.SIGTERM)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _check_reachable(address)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(_Nowhere()):
        try:
            _connect(address, shipped(Path(folder), variables))
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray sets its own, which would end this process at once
            yield
        finally:
            ray.shutdown()


class _Nowhere:
    """A text file that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing is held."""

    def isatty(self) -> bool:
        return False


def shipped(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The runtime environment of everything that runs on the nodes: a copy of this package, and these variables.

    The copy in `folder` is laid out as in the wheel, also if this is a checkout. The working folder is an empty one,
    else Ray would let nodes import from a folder that is named like the driver's.
    """
    package, copy, empty = Path(bench.__file__).parent, folder / "bench", folder / "empty"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    if not (copy / _SWEEPS).exists():
        shutil.copytree(package.parent / _SWEEPS, copy / _SWEEPS)
    empty.mkdir()
    return {
        "py_modules": [str(copy)],
        "working_dir": str(empty),
        "env_vars": {**variables, "RAY_USAGE_STATS_ENABLED": "0"},
    }


def _check_reachable(address: str) -> None:
    """Raise ClusterError unless something that speaks gRPC, as Ray does, listens at HOST:PORT or ray://HOST:PORT.

    Ray itself would try for minutes.
    """
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if address in {OWN, "auto"}:
        return
    if not host or not port.isdigit():
        raise ClusterError(
            f"{printable(address, 80)} is not the address of a Ray cluster. Set {VARIABLE} to HOST:6379, or give --on "
            "ray://HOST:10001."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise ClusterError(
            f"No Ray cluster answers at {printable(address, 80)}: {getattr(error, 'strerror', None) or error}. "
            f"Start one (`ray start --head`), or check --on and {VARIABLE}."
        ) from None
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return  # only Ray knows the certificates
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_REACH_S)
        except grpc.FutureTimeoutError:
            raise ClusterError(
                f"What answers at {printable(address, 80)} is not a Ray cluster. Set {VARIABLE} to HOST:6379, or give "
                "--on ray://HOST:10001."
            ) from None


def _connect(address: str, runtime_env: Mapping[str, Any]) -> None:
    local: dict[str, Any] = {"include_dashboard": False} if address == OWN else {}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        with warnings.catch_warnings(action="ignore"):
            ray.init(address, runtime_env=dict(runtime_env), **quiet, **local)
    except (RuntimeError, ValueError, OSError, RayError) as error:
        raise ClusterError(_why_not(str(error), address)) from None


def _why_not(text: str, address: str) -> str:
    """The message for an error of `ray.init`."""
    where = printable(address, 80)
    versions = re.findall(r"^ *(Ray|Python): (\S+)$", text, re.MULTILINE)
    if "ersion mismatch" in text and len(versions) == 4:
        (_, ray_there), (_, python_there), (_, ray_here), (_, python_here) = versions
        return (
            f"The cluster at {where} has Ray {ray_there} and Python {python_there}, but here are Ray {ray_here} and "
            f"Python {python_here}. Run bench with the cluster's versions, for example on its head node."
        )
    reason = last_line(text, "Ray gives no reason").rstrip(".")
    return (
        f"The Ray cluster at {where} can't be used: {reason}. {VARIABLE} takes the port of the cluster (usually 6379), "
        "and --on ray://HOST:PORT that of its Ray Client server (usually 10001)."
    )


def nodes(*, on_cpu: bool) -> list[Node]:
    """The live nodes that may measure, with their facts, which a short task on each looks up.

    Those that have or declare accelerators; if there are none, `on_cpu`, those with a processor. One that is lost
    meanwhile is left out: Ray may notice that a node has died only when it is asked. Raises ClusterError for one that
    lives and does not answer.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    wanted = [node for node in alive if node["Resources"].get("GPU", 0) >= 1 or (on_cpu and _declared(node))]
    if not wanted and on_cpu:
        wanted = [node for node in alive if node["Resources"].get("CPU", 0) >= 1]
    look = ray.remote(num_cpus=0, max_retries=0)(node_facts.look)
    asked = [
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in wanted
    ]
    looked = [_node_if_alive(node, reference) for node, reference in zip(wanted, asked, strict=True)]
    return [node for node in looked if node is not None]


def _node_if_alive(described: Mapping[str, Any], reference: Any) -> Node | None:
    """The node with its facts; None if it is dead."""
    try:
        return _node(described, _facts(described, reference))
    except ClusterError:
        if any(node["Alive"] for node in ray.nodes() if node["NodeID"] == described["NodeID"]):
            raise
        return None


def _facts(described: Mapping[str, Any], reference: Any) -> node_facts.NodeFacts:
    name = _name(described)
    try:
        facts: node_facts.NodeFacts = ray.get(reference, timeout=_PROBE_S)
    except GetTimeoutError:
        raise ClusterError(
            f"Node {name} did not answer within {_PROBE_S:.0f} s. Look at its logs: `ray logs`."
        ) from None
    except (RayError, ConnectionError) as error:
        cause = error.cause if isinstance(error, RayTaskError) else error
        reason = last_line(str(cause or error), type(error).__name__).rstrip(".")
        raise ClusterError(f"Node {name} can't be used: {reason}.") from None
    return facts


def _node(described: Mapping[str, Any], facts: node_facts.NodeFacts) -> Node:
    resources, declared = described["Resources"], _declared(described)
    return Node(
        id=described["NodeID"],
        name=_name(described),
        cpus=resources.get("CPU", 0),
        gpus=int(resources.get("GPU", 0)),
        declared=declared,
        type_amount=resources.get(f"{TYPE_RESOURCE}{declared}", 0),
        facts=facts,
    )


def _declared(described: Mapping[str, Any]) -> str | None:
    """The type of accelerator that a node declares, by a resource or else by a label."""
    declaring = [str(name) for name in described["Resources"] if name.startswith(TYPE_RESOURCE)]
    if declaring:
        return declaring[0].removeprefix(TYPE_RESOURCE)
    label: str | None = described.get("Labels", {}).get(TYPE_LABEL)
    return label or None


def _name(described: Mapping[str, Any]) -> str:
    """The name that `ray start --node-name` gave, else the address."""
    return str(described.get("NodeName") or described.get("NodeManagerAddress") or described["NodeID"][:8])


def check_packages(used: Sequence[Node], expected: Mapping[str, str], *, any_versions: bool) -> None:
    """Raise ClusterError for a node that lacks a package, or has a version that is not the expected one.

    `expected` are the driver's versions. A package that the driver lacks is compared with the first node's.
    """
    for node in used:
        if node.facts.missing:
            raise ClusterError(
                f"Node {node.name} lacks {listed(node.facts.missing)}. Install there what bench needs: "
                "pip install 'hybrid-bench[fleet]'"
            )
    if any_versions:
        return
    wanted = ChainMap(dict(expected), dict(used[0].facts.versions) if used else {})
    for node in used:
        versions = node.facts.versions
        different = [
            f"{name} {versions[name]}, not {wanted[name]}" for name in versions if versions[name] != wanted[name]
        ]
        if different:
            raise ClusterError(
                f"Node {node.name} has {'; '.join(different)}. Install the same versions on all nodes and here, or add "
                "--any-versions to measure with those that are there."
            )
