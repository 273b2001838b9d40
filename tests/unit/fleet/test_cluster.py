"""The connection to a cluster: what is shipped, what is refused, in whose words. No cluster is started."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from bench.errors import ClusterError
from bench.fleet import cluster
from bench.fleet.card_types import Node
from bench.fleet.node_facts import NodeFacts, look, versions


def a_node(name: str, **facts: Any) -> Node:
    given = {"versions": {"torch": "2.13.0", "diffusers": "0.42.0"}, "missing": (), "gpu_names": (), "cpu_name": ""}
    return Node(id=name, name=name, cpus=1, gpus=1, declared=None, type_amount=0, facts=NodeFacts(**given | facts))


def refusal(address: str) -> str:
    with pytest.raises(ClusterError) as error, cluster.connected(address, {}):
        pass
    return str(error.value)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_where_nothing_listens_there_is_no_cluster(address: str) -> None:
    assert address in refusal(address)


@pytest.mark.parametrize("address", ["head", "http://head", "head:", "127.0.0.1:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert address in refusal(address)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of something that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: _accept(server, held), daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


def _accept(server: socket.socket, held: list[socket.socket]) -> None:
    try:
        while True:
            held.append(server.accept()[0])
    except OSError:
        return


def test_something_else_that_listens_is_no_cluster(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_REACH_S", 0.2)
    assert "not a Ray cluster" in refusal(f"127.0.0.1:{silent}")


def test_a_cluster_of_other_versions_is_told_apart_in_one_sentence_of_each_side() -> None:
    from ray._private import utils

    here = utils.compute_version_info()
    with pytest.raises(RuntimeError) as error:
        utils.check_version_info({"ray_version": "1.0.0", "python_version": "3.1.4"}, "this test")
    message = cluster._why_not(str(error.value), "head:6379")
    assert all(word in message for word in ("head:6379", "Ray 1.0.0", "Python 3.1.4", f"Ray {here[0]}"))
    assert "\n" not in message


def test_only_the_package_is_shipped_and_the_variables_that_change_figures(tmp_path: Path) -> None:
    shipped = cluster.shipped(tmp_path, {"PYTORCH_ALLOC_CONF": "expandable_segments:True"})
    (folder,) = map(Path, shipped["py_modules"])
    assert folder.name == "bench"
    assert (folder / "traces" / "data").is_dir()
    assert (folder / "configs" / "docs.yaml").is_file()
    assert not {"results", ".git", "__pycache__"} & {path.name for path in folder.rglob("*")}
    assert shipped["env_vars"]["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    assert not list(Path(shipped["working_dir"]).iterdir())


def test_a_node_of_other_versions_is_refused_by_name() -> None:
    nodes = [a_node("good"), a_node("odd", versions={"torch": "2.6.0", "diffusers": "0.42.0"})]
    expected = {"torch": "2.13.0"}  # this machine has no diffusers
    with pytest.raises(ClusterError, match=r"odd.*torch 2\.6\.0, not 2\.13\.0"):
        cluster.check_packages(nodes, expected, any_versions=False)
    cluster.check_packages(nodes, expected, any_versions=True)
    cluster.check_packages(nodes[:1], expected, any_versions=False)


def test_what_the_driver_lacks_is_compared_among_the_nodes() -> None:
    nodes = [a_node("first"), a_node("odd", versions={"torch": "2.13.0", "diffusers": "0.32.0"})]
    with pytest.raises(ClusterError, match=r"odd.*diffusers 0\.32\.0, not 0\.42\.0"):
        cluster.check_packages(nodes, {}, any_versions=False)


def test_a_node_that_lacks_a_package_is_named_with_it() -> None:
    with pytest.raises(ClusterError, match=r"bare.*diffusers"):
        cluster.check_packages([a_node("bare", missing=("diffusers",))], {}, any_versions=True)


def test_the_facts_of_this_machine() -> None:
    facts = look()
    assert facts.versions == versions()
    assert facts.cpu_name


def test_a_node_s_type_is_its_resource_or_else_its_label() -> None:
    facts = NodeFacts({}, (), (), "")
    described = {"NodeID": "n1", "NodeManagerAddress": "10.0.0.3", "Resources": {"CPU": 4.0, "GPU": 2.0}, "Labels": {}}
    by_label = described | {"Labels": {"ray.io/accelerator-type": "L4"}}
    by_resource = by_label | {"Resources": {"accelerator_type:H100": 1.0, "GPU": 1.0}, "NodeName": "big"}
    nodes = [cluster._node(node, facts) for node in (described, by_label, by_resource)]
    assert [node.declared for node in nodes] == [None, "L4", "H100"]
    assert [(node.name, node.gpus, node.cpus) for node in nodes] == [
        ("10.0.0.3", 2, 4.0),
        ("10.0.0.3", 2, 4.0),
        ("big", 1, 0),
    ]


def test_a_node_that_has_died_is_left_out_and_one_that_lives_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(*_: object) -> NodeFacts:
        raise ClusterError("it does not answer")

    described = {"NodeID": "n1", "NodeManagerAddress": "10.0.0.3", "Resources": {"GPU": 1.0}}
    monkeypatch.setattr(cluster, "_facts", no_answer)
    monkeypatch.setattr(cluster.ray, "nodes", lambda: [described | {"Alive": False}])
    assert cluster._node_if_alive(described, None) is None
    monkeypatch.setattr(cluster.ray, "nodes", lambda: [described | {"Alive": True}])
    with pytest.raises(ClusterError, match="does not answer"):
        cluster._node_if_alive(described, None)
